"""Instructions a request, counted by callgrind: noise of the machine does not touch them.

A server runs twice, with few and with many requests; the difference, divided, is what one request
takes, without what starting and connecting take. Only user space is counted, and no cache miss.
"""

import re

from . import requests
from .process import Server
from .programs import TARGET

FEW, MANY = 500, 4500
# Name: (bytes to send, answers to them).
MESSAGES = {
    "plain": (requests.PLAIN, 1),
    "browser": (requests.BROWSER, 1),
    "pipeline": (requests.PIPELINE, requests.PIPELINE_DEPTH),
    "echo16k": (requests.ECHO, 1),
    "big": (requests.BIG, 1),
}
CONNECTIONS = (1, 16)


def print_instructions(programs, only):
    messages = [name for name in MESSAGES if not only or name in only]
    programs = [program for program in programs if program.under_valgrind]
    for connections in CONNECTIONS:
        print(f"\nInstructions a request, {connections} connection{'s' * (connections > 1)}")
        print(f"{'':14}" + "".join(f"{name:>12}" for name in messages))
        for program in programs:
            counts = [f"{a_request(program, name, connections):12,.0f}" for name in messages]
            print(f"{program.name:14}" + "".join(counts), flush=True)
    print(f"\nProfiles: callgrind_annotate {TARGET}/instructions/PROGRAM-WORKLOAD-CONNECTIONS.out")


def a_request(program, name, connections):
    message, answers = MESSAGES[name]
    few, many = FEW, MANY
    if name == "big":
        few, many = few // 10, many // 10
    counts = []
    for total in (few, many):
        rounds = total // (answers * connections)
        counts.append((total_instructions(program, name, connections, rounds), rounds * answers * connections))
    (few_count, few), (many_count, many) = counts
    return (many_count - few_count) / (many - few)


def total_instructions(program, name, connections, rounds):
    directory = TARGET / "instructions"
    directory.mkdir(exist_ok=True)
    # The run with many requests comes last, so that its profile stays.
    output = directory / f"{program.name}-{name}-{connections}.out"
    callgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}"]
    with Server(program, wrapper=callgrind) as server:
        exchange(server, *MESSAGES[name], connections, rounds)
    collected = re.search(r"Collected : (\d+)", server.errors)
    if not collected:
        raise RuntimeError(f"callgrind counted nothing:\n{server.errors}")
    return int(collected[1])


def exchange(server, message, answers, connections, rounds):
    """Sends on all connections, then reads all answers, and so on."""
    sockets = [server.connect() for _ in range(connections)]
    files = [socket.makefile("rb") for socket in sockets]
    size = None
    for _ in range(rounds):
        for socket in sockets:
            socket.sendall(message)
        for file in files:
            if size is None:
                _, size = requests.read_answers(file, answers)
            elif len(file.read(size)) != size:
                raise ConnectionError("the server closed before its answer was whole")
    for file, socket in zip(files, sockets):
        file.close()
        socket.close()
