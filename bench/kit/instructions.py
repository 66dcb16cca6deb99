"""Instructions a request, counted by callgrind: noise of the machine does not touch them.

A program runs twice, with few and with many requests; the difference, divided, is what one request
takes, without what starting and connecting take. Only user space is counted, and no cache miss.
"""

import re
from dataclasses import dataclass, field

from . import areas, clients, report
from .process import OTHER_CORE, Server
from .programs import TARGET
from .requests import read_answers
from .workloads import CHURN, COUNTED_ONLY, FILE_WORKLOADS, WORKLOADS

FEW, MANY = 512, 2560
CONNECTIONS = 16
# How many functions are told of.
LARGEST = 30
# Whose instructions are told by area too.
OURS = "ours"


@dataclass
class Counted:
    """Instructions a request: of each program, and ours by area and by function."""

    programs: dict = field(default_factory=dict)
    areas: dict = field(default_factory=dict)
    functions: dict = field(default_factory=dict)


def count(servers, asking, only):
    """Workloads by name, each with what was counted for it."""
    known = [*WORKLOADS, *FILE_WORKLOADS, *COUNTED_ONLY]
    of_servers = [workload for workload in known if workload.name in only]
    of_clients = [workload for workload in clients.CLIENT_WORKLOADS if workload.name in only]
    asked = [(it, servers, a_request) for it in of_servers] + [(it, asking, of_a_client) for it in of_clients]
    counted = {}
    for workload, programs, measure in asked:
        counted[workload.name] = Counted()
        for program in programs:
            is_known = workload not in COUNTED_ONLY or program.name == OURS
            if program.under_valgrind and is_known and workload.name not in program.closes:
                measure(program, workload, counted[workload.name])
    return counted


def text(counted, command):
    """The tables, as a part of the results."""
    names = list(counted)
    programs = list(dict.fromkeys(name for it in counted.values() for name in it.programs))
    rows = [[name, *(of_program(counted[it].programs.get(name)) for it in names)] for name in programs]
    parts = [f"{report.INSTRUCTIONS_TITLE}\n\n{ABOUT} `{command}`", report.table(["program", *names], rows)]
    return "\n\n".join([*parts, *where_ours_go(counted)])


def where_ours_go(counted):
    """Ours by area and by function, if it was counted."""
    names = list(counted)
    by_area = ranked({name: it.areas for name, it in counted.items()})
    if not by_area:
        return []
    by_function = ranked({name: it.functions for name, it in counted.items()})[:LARGEST]
    return [
        f"## Where ours go\n\n{ABOUT_AREAS}",
        report.table(["area", *names], by_area),
        f"The {LARGEST} largest functions, without those that they call:",
        report.table(["function", *names], by_function),
    ]


def ranked(parts):
    """A row for each part, with what it takes in each workload: first that which takes most in one."""
    known = dict.fromkeys(part for shares in parts.values() for part in shares)
    most = {part: max(shares.get(part, 0) for shares in parts.values()) for part in known}
    return [
        [part, *(of_program(shares.get(part, 0)) for shares in parts.values())]
        for part in sorted(known, key=lambda part: -most[part])
    ]


ABOUT = f"""\
Instructions that a request takes in user space, counted by callgrind: no noise of the machine touches
them, and they know nothing of caches, of the kernel, and of how many of them the processor does at a
time. Servers have {CONNECTIONS} connections."""
ABOUT_AREAS = """\
By the source they were written in; what the compiler has put into a function of ours from the standard
library and others' crates counts as that function's."""


def of_program(instructions):
    return "-" if instructions is None else f"{instructions:,.0f}"


def a_request(program, workload, counted):
    at_once = workload.answers * CONNECTIONS
    few, many = FEW // at_once, MANY // at_once

    def run(rounds, out):
        with Server(program, workload.environment, wrapper=callgrind(out)) as server:
            if workload.name == CHURN:
                connect_anew(server, workload, CONNECTIONS, rounds)
            else:
                exchange(server, workload, CONNECTIONS, rounds)
        return collected(server.errors)

    note(program, workload, counted, run, few, many, at_once)


def of_a_client(program, workload, counted):
    def run(requests, out):
        return collected(clients.start(program, workload, server, requests, callgrind(out)).stderr)

    with Server(clients.SERVER, core=OTHER_CORE) as server:
        note(program, workload, counted, run, workload.few, workload.many, 1)


def note(program, workload, counted, run, few, many, at_once):
    """Of both runs, and by their profiles, what each of the requests between few and many has taken."""
    files = [profile(f"{program.name}-{workload.name}{which}") for which in ("-few", "")]
    less, more = run(few, files[0]), run(many, files[1])
    requests = (many - few) * at_once
    counted.programs[program.name] = (more - less) / requests
    if program.name == OURS:
        (areas_before, before), (areas_after, after) = (areas.of_profile(file) for file in files)
        counted.areas = {area: (areas_after[area] - areas_before[area]) / requests for area in areas_after}
        counted.functions = {name: (after[name] - before[name]) / requests for name in after}


def profile(name):
    directory = TARGET / "instructions"
    directory.mkdir(exist_ok=True)
    return directory / f"{name}.out"


def callgrind(out):
    return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]


def collected(said):
    found = re.search(r"Collected : (\d+)", said)
    if not found:
        raise RuntimeError(f"callgrind counted nothing:\n{said}")
    return int(found[1])


def exchange(server, workload, connections, rounds):
    """Sends on all connections, then reads all answers, and so on."""
    sockets = [server.connect() for _ in range(connections)]
    files = [socket.makefile("rb") for socket in sockets]
    size = None
    for _ in range(rounds):
        for socket in sockets:
            socket.sendall(workload.message)
        for file in files:
            if size is None:
                _, size = read_answers(file, workload.answers)
            elif len(file.read(size)) != size:
                raise ConnectionError("the server closed before its answer was whole")
    for file, socket in zip(files, sockets):
        file.close()
        socket.close()


def connect_anew(server, workload, connections, rounds):
    """The same over connections that the server closes behind their answers."""
    for _ in range(rounds):
        sockets = [server.connect() for _ in range(connections)]
        for socket in sockets:
            socket.sendall(workload.message)
        for socket in sockets:
            with socket, socket.makefile("rb") as file:
                read_answers(file)
                if file.read():
                    raise ConnectionError("there is more than the answer")
