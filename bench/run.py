#!/usr/bin/env python3
"""Measures nethttp beside its peers: the same load, one after the other, round after round.

    bench/run.py                                   all, 5 rounds of 3 s; writes RESULTS.md
    bench/run.py --only plain,browser --peers ours,hyper,floor --rounds 1 --seconds 2
    bench/run.py --instructions --peers ours,hyper,floor
    bench/run.py files                             files, beside nginx and tower-http's ServeDir
    bench/run.py http2                             HTTP/2, by h2load; writes RESULTS-http2.md

Needs cargo, wrk and taskset; `--instructions` needs valgrind. Go is measured when there is a `go`,
nginx when there is an `nginx`.
"""

import argparse
import shlex
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field

from kit import http2, instructions, programs, report, workloads


@dataclass
class Run:
    """What was asked for, and all that was measured."""

    command: str
    programs: list
    rounds: int
    seconds: int
    samples: dict = field(default_factory=lambda: defaultdict(list))
    idle: dict = field(default_factory=lambda: defaultdict(list))
    wrk_version: str = ""
    files: bool = False

    @property
    def names(self):
        return [program.name for program in self.programs]


def main():
    options = parse()
    files = options.mode == "files"
    known = {"files": programs.FILE_SERVERS, "http2": programs.HTTP2_SERVERS}.get(options.mode, programs.SERVERS)
    asked = [program for program in known if not options.peers or program.name in options.peers]
    built = programs.build(asked)
    if files:
        programs.make_files()
    if options.instructions:
        instructions.print_instructions(built, options.only)
        return
    command = shlex.join(["bench/run.py", *sys.argv[1:]])
    if options.mode == "http2":
        http2.run(built, options.rounds, command, options.dry)
        return
    run = Run(command, built, options.rounds, options.seconds, wrk_version=wrk_version(), files=files)
    measure(run, options.only or (workloads.FILE_NAMES if files else workloads.NAMES))
    sections = [report.noise(run), report.figures(run), *report.tables(run), report.idle_table(run)]
    print("\n\n".join(section for section in sections if section))
    if not options.dry:
        report.write(run)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", nargs="?", choices=["files", "http2"], help="files, or HTTP/2")
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--seconds", type=positive, default=3, help="of load, for each program in each round")
    parser.add_argument("--only", type=list_of(workloads.NAMES + workloads.FILE_NAMES), help="workloads, by comma")
    names = [program.name for program in programs.SERVERS + programs.FILE_SERVERS]
    parser.add_argument("--peers", type=list_of(names), help="programs, by comma")
    parser.add_argument("--instructions", action="store_true", help="count instructions under valgrind instead")
    parser.add_argument("--dry", action="store_true", help="leave RESULTS.md alone")
    return parser.parse_args()


def positive(text):
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return int(text)


def list_of(known):
    def parse_list(text):
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: there is {', '.join(known)}")
        return names

    return parse_list


def wrk_version():
    # wrk has no option for it: it prints its version and its usage, and fails.
    return subprocess.run(["wrk", "--version"], capture_output=True, text=True).stdout.partition(" Copyright")[0]


def measure(run, names):
    """Rounds go around all programs, so that a slow minute of the machine hits all of them."""
    for number in range(1, run.rounds + 1):
        for workload in workloads.FILE_WORKLOADS if run.files else workloads.WORKLOADS:
            if workload.name not in names:
                continue
            for program in run.programs:
                if workload.name in program.lacks:
                    continue
                progress(number, workload.name, program.name)
                run.samples[workload.name, program.name].append(workloads.measure(program, workload, run.seconds))
        if workloads.IDLE in names:
            for program in run.programs:
                progress(number, workloads.IDLE, program.name)
                run.idle[program.name].append(workloads.measure_idle(program))
    print("\r" + " " * 60 + "\r", end="", file=sys.stderr)


def progress(*words):
    if sys.stderr.isatty():
        print("\r" + " ".join(map(str, words)).ljust(60), end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
