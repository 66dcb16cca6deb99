"""Instructions a request, counted by callgrind: noise of the machine does not touch them.

A server runs twice, with few and with many requests; the difference, divided, is what one request
takes, without what starting and connecting take. Only user space is counted, and no cache miss.
"""

import re

from .process import Server
from .programs import TARGET
from .requests import read_answers
from .workloads import CHURN, WORKLOADS

FEW, MANY = 512, 2560
CONNECTIONS = (1, 16)


def print_instructions(programs, only):
    asked = [workload for workload in WORKLOADS if workload.name != CHURN and (not only or workload.name in only)]
    programs = [program for program in programs if program.under_valgrind]
    for connections in CONNECTIONS:
        print(f"\nInstructions a request, {connections} connection{'s' * (connections > 1)}")
        print(f"{'':14}" + "".join(f"{workload.name:>12}" for workload in asked))
        for program in programs:
            counts = [a_request(program, workload, connections) for workload in asked]
            print(f"{program.name:14}" + "".join(f"{count:>12}" for count in counts), flush=True)
    print(f"\nProfiles: callgrind_annotate {TARGET}/instructions/PROGRAM-WORKLOAD-CONNECTIONS.out")


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
    directory = TARGET / "instructions"
    directory.mkdir(exist_ok=True)
    output = directory / f"{program.name}-{workload.name}-{connections}.out"
    callgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}"]
    with Server(program, wrapper=callgrind) as server:
        exchange(server, workload, connections, rounds)
    collected = re.search(r"Collected : (\d+)", server.errors)
    if not collected:
        raise RuntimeError(f"callgrind counted nothing:\n{server.errors}")
    return int(collected[1])


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
