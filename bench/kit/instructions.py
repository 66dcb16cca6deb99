"""Instructions a request, counted by callgrind: noise of the machine does not touch them.

A program runs twice, with few and with many requests; the difference, divided, is what one request
takes, without what starting and connecting take. Only user space is counted, and no cache miss.
"""

import re

from . import clients
from .process import OTHER_CORE, Server
from .programs import TARGET
from .requests import read_answers
from .workloads import CHURN, FILE_WORKLOADS, WORKLOADS

FEW, MANY = 512, 2560
CONNECTIONS = (1, 16)


def print_servers(programs, only):
    known = [*WORKLOADS, *FILE_WORKLOADS]
    asked = [workload for workload in known if workload.name != CHURN and workload.name in only]
    for connections in CONNECTIONS if asked else ():
        title = f"{connections} connection{'s' * (connections > 1)}"
        print_table(title, asked, programs, lambda program, workload: a_request(program, workload, connections))


def print_clients(programs, only):
    asked = [workload for workload in clients.CLIENT_WORKLOADS if workload.name in only]
    if asked:
        print_table("clients", asked, programs, of_a_client)


def print_table(title, asked, programs, count):
    print(f"\nInstructions a request, {title}")
    print(f"{'':14}" + "".join(f"{workload.name:>14}" for workload in asked))
    for program in programs:
        if program.under_valgrind:
            print(f"{program.name:14}" + "".join(f"{count(program, it):>14}" for it in asked), flush=True)


def a_request(program, workload, connections):
    if workload.name in program.closes:
        return "-"
    at_once = workload.answers * connections
    few, many = FEW // at_once, MANY // at_once
    # The run with many requests comes last, so that its profile stays.
    less = total_instructions(program, workload, connections, few)
    more = total_instructions(program, workload, connections, many)
    return f"{(more - less) / ((many - few) * at_once):,.0f}"


def total_instructions(program, workload, connections, rounds):
    with Server(program, wrapper=callgrind(f"{program.name}-{workload.name}-{connections}")) as server:
        exchange(server, workload, connections, rounds)
    return collected(server.errors)


def of_a_client(program, workload):
    wrapper = callgrind(f"{program.name}-{workload.name}")
    with Server(clients.SERVER, core=OTHER_CORE) as server:
        less, more = (
            collected(clients.start(program, workload, server, requests, wrapper).stderr)
            for requests in (workload.few, workload.many)
        )
    return f"{(more - less) / (workload.many - workload.few):,.0f}"


def callgrind(name):
    directory = TARGET / "instructions"
    directory.mkdir(exist_ok=True)
    return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={directory / name}.out"]


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
