#!/usr/bin/env python3
"""Measures nethttp beside its peers: the same load, one after the other, round after round.

    bench/run.py                                   all, 5 rounds of 3 s; writes RESULTS.md
    bench/run.py --only plain,browser --peers ours,hyper,floor --rounds 1 --seconds 2
    bench/run.py --only client-seq,client-big --rounds 3 --dry
    bench/run.py --instructions --peers ours,hyper,floor
    bench/run.py files                             files, beside nginx and tower-http's ServeDir
    bench/run.py http2                             HTTP/2, by h2load; writes RESULTS-http2.md
    bench/run.py http2 --instructions              the same under callgrind, and allocations
    bench/run.py proxy                             reverse proxies; writes RESULTS-proxy.md

Needs cargo, wrk and taskset; `--instructions` needs valgrind, `http2` and `proxy` h2load. Go is measured
when there is a `go`, nginx when there is an `nginx`, HAProxy when there is a `haproxy`.
"""

import argparse
import shlex
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field

from kit import clients, http2, instructions, programs, proxy, report, workloads


@dataclass(frozen=True)
class Mode:
    """What can be measured together: programs, and the names of workloads for them."""

    servers: list
    server_names: list
    clients: list = field(default_factory=list)
    client_names: list = field(default_factory=list)

    @property
    def names(self):
        return [*self.server_names, *self.client_names]

    @property
    def peers(self):
        return list(dict.fromkeys(program.name for program in [*self.servers, *self.clients]))


MODES = {
    "memory": Mode(programs.SERVERS, workloads.NAMES, programs.CLIENTS, clients.CLIENT_NAMES),
    "files": Mode(programs.FILE_SERVERS, workloads.FILE_NAMES),
    "http2": Mode(programs.HTTP2_SERVERS, http2.NAMES),
    "proxy": Mode(proxy.PROXIES, proxy.NAMES),
}


@dataclass
class Run:
    """What was asked for, and all that was measured."""

    command: str
    servers: list
    clients: list
    rounds: int
    seconds: int
    samples: dict = field(default_factory=lambda: defaultdict(list))
    idle: dict = field(default_factory=lambda: defaultdict(list))
    wrk_version: str = ""
    files: bool = False

    def beside(self, workload):
        """The programs that a workload is for."""
        return self.clients if workload in clients.CLIENT_WORKLOADS else self.servers


def main():
    options = parse()
    mode = MODES[options.mode]
    servers = built(options, mode.servers, mode.server_names)
    asking = built(options, mode.clients, mode.client_names)
    if asking and clients.SERVER not in servers:
        programs.build([clients.SERVER])
    if options.mode == "files":
        programs.make_files()
    command = shlex.join(["bench/run.py", *sys.argv[1:]])
    if options.mode == "http2" and options.instructions:
        http2.count(servers, options.only, command, options.dry)
    elif options.mode == "proxy":
        programs.build([proxy.UPSTREAM])
        if options.instructions:
            proxy.count(servers, options.only, command, options.dry)
        else:
            proxy.run(servers, options, command)
    elif options.mode == "http2":
        http2.run(servers, options.only, options.rounds, command, options.dry)
    elif options.instructions:
        count_instructions(servers, asking, options.only, command, options.dry)
    else:
        files = options.mode == "files"
        run = Run(command, servers, asking, options.rounds, options.seconds, wrk_version=wrk_version(), files=files)
        measure(run, options.only)
        tell(run, options.dry)


def built(options, known, names):
    """Of these programs those that are asked for, if any of these workloads is."""
    if not set(names) & set(options.only):
        return []
    return programs.build([program for program in known if not options.peers or program.name in options.peers])


def count_instructions(servers, asking, only, command, dry):
    text = instructions.text(instructions.count(servers, asking, only), command)
    print(f"{text}\n\nProfiles: callgrind_annotate {programs.TARGET}/instructions/PROGRAM-WORKLOAD.out")
    if not dry:
        report.keep(text)


def tell(run, dry):
    sections = [report.noise(run), report.figures(run), *report.tables(run), report.idle_table(run)]
    print("\n\n".join(section for section in sections if section))
    if not dry:
        report.write(run)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", nargs="?", choices=MODES, default="memory", help="what is served (%(default)s)")
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--seconds", type=positive, default=3, help="of load, for each program in each round")
    parser.add_argument("--only", type=by_comma, help="workloads, by comma")
    parser.add_argument("--peers", type=by_comma, help="programs, by comma")
    parser.add_argument("--instructions", action="store_true", help="count instructions under valgrind instead")
    parser.add_argument("--dry", action="store_true", help="leave the files with results alone")
    options = parser.parse_args()
    mode = MODES[options.mode]
    counted_only = [workload.name for workload in workloads.COUNTED_ONLY] if options.instructions else []
    check_known(parser, "--only", options.only, [*mode.names, *counted_only])
    check_known(parser, "--peers", options.peers, mode.peers)
    options.only = options.only or mode.names
    return options


def positive(text):
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return int(text)


def by_comma(text):
    return text.split(",")


def check_known(parser, option, names, known):
    """What there is depends on the mode, which is known once all is parsed."""
    if unknown := [name for name in names or () if name not in known]:
        parser.error(f"{option}: {', '.join(unknown)}: there is {', '.join(known)}")


def wrk_version():
    # wrk has no option for it: it prints its version and its usage, and fails.
    return subprocess.run(["wrk", "--version"], capture_output=True, text=True).stdout.partition(" Copyright")[0]


def measure(run, names):
    """Rounds go around all programs, so that a slow minute of the machine hits all of them."""
    asked = [workload for workload in report.ALL_WORKLOADS if workload.name in names]
    for number in range(1, run.rounds + 1):
        for workload in asked:
            measured = clients.measure if workload in clients.CLIENT_WORKLOADS else workloads.measure
            for program in run.beside(workload):
                if workload.name in program.lacks:
                    continue
                progress(number, workload.name, program.name)
                run.samples[workload.name, program.name].append(measured(program, workload, run.seconds))
        if workloads.IDLE in names:
            for program in run.servers:
                progress(number, workloads.IDLE, program.name)
                run.idle[program.name].append(workloads.measure_idle(program))
    print("\r" + " " * 60 + "\r", end="", file=sys.stderr)


def progress(*words):
    if sys.stderr.isatty():
        print("\r" + " ".join(map(str, words)).ljust(60), end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
