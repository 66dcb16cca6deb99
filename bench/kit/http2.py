"""Servers over HTTP/2 without TLS, to a client that knows it beforehand: h2load's requests."""

import datetime
import re
import struct
import subprocess
import tempfile
import time
from dataclasses import dataclass

from . import areas, instructions, report
from .process import OTHER_CORE, Server, machine_busy
from .programs import BENCH, versions
from .requests import ECHO_BYTES
from .workloads import IDLE, Sample, allow_open_files, children_seconds, settled_memory

RESULTS = BENCH / "RESULTS-http2.md"
# The parts of the results; each kind of run replaces its own.
TITLE, INSTRUCTIONS_TITLE = "# HTTP/2", "# Instructions over HTTP/2"
TITLES = (TITLE, INSTRUCTIONS_TITLE)
IDLE_CONNECTIONS = 2000


@dataclass(frozen=True)
class Http2Workload:
    name: str
    says: str
    connections: int
    streams: int
    # How many are timed, and two counts for instructions.
    requests: int
    few: int
    many: int
    # What ours may take at most: of hyper's, of nghttpd's and of our HTTP/1.1's CPU, and in instructions.
    of_hyper: float
    of_nghttpd: float | None = None
    of_http1: float | None = None
    instructions: int | None = None
    path: str = "/"
    # How many bytes are sent, to be sent back.
    content_bytes: int = 0

    @property
    def title(self):
        return f"{self.says}; `h2load -n {self.requests} -c {self.connections} -m {self.streams}`."


SMALL = "`GET /`, 13 bytes"
WORKLOADS = [
    Http2Workload("streams32", SMALL, 16, 32, 200_000, 5_120, 25_600, 0.38, 0.60, instructions=7_000),
    Http2Workload("streams1", SMALL, 64, 1, 100_000, 2_560, 12_800, 0.68, 0.92, 1.20, 9_500),
    Http2Workload(
        "echo16k", "`POST /echo`, 16 KiB sent back as they come", 16, 8, 20_000, 512, 1_536, 0.85,
        path="/echo", content_bytes=ECHO_BYTES,
    ),
    Http2Workload(
        "echo1m", "`POST /echo`, 1 MiB sent back as it comes", 4, 8, 800, 16, 48, 1.02,
        path="/echo", content_bytes=1 << 20,
    ),
]  # fmt: skip
IDLE_KIB = 3.0
# Ours asked in HTTP/1.1 by the same client.
OVER_HTTP1 = "ours-http1"
NAMES = [workload.name for workload in WORKLOADS] + [IDLE]


class Http2Server(Server):
    def wait_until_it_answers(self):
        for _ in range(600):
            if h2load(self.port, ["-n1", "-c1", "-m1"])[1] == 1:
                return
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.program.name} ended: {self.process.stderr.read().decode()}")
            time.sleep(0.05)
        raise RuntimeError(f"{self.program.name} does not answer")


def h2load(port, options, path="/"):
    """Requests a second, and how many were answered with a 2xx."""
    command = ["taskset", "-c", str(OTHER_CORE), "h2load", *options, f"http://127.0.0.1:{port}{path}"]
    said = subprocess.run(command, capture_output=True, text=True).stdout
    rate = re.search(r"([\d.]+) req/s", said)
    answered = re.search(r"status codes: (\d+) 2xx", said)
    return float(rate[1]) if rate else 0, int(answered[1]) if answered else 0


def load(server, workload, requests):
    options = [f"-n{requests}", f"-c{workload.connections}", f"-m{workload.streams}"]
    if server.program.name == OVER_HTTP1:
        options.append("--h1")
    with tempfile.NamedTemporaryFile() as content:
        if workload.content_bytes:
            content.write(b"x" * workload.content_bytes)
            content.flush()
            options += ["-d", content.name]
        rate, answered = h2load(server.port, options, workload.path)
    if not answered:
        raise RuntimeError(f"{server.program.name} answered nothing in {workload.name}")
    return rate, answered


def measure(program, workload):
    with Http2Server(program) as server:
        began, busy, loaded, cpu = time.monotonic(), machine_busy(), children_seconds(), server.cpu()
        rate, answered = load(server, workload, workload.requests)
        cpu = server.cpu().since(cpu)
        busy, loaded = machine_busy() - busy, children_seconds() - loaded
        return Sample(
            requests_a_second=rate,
            cpu_us=cpu.total / answered * 1e6,
            ticks=cpu,
            p99_ms=None,
            peak_kib=server.memory("VmHWM"),
            failures=workload.requests - answered,
            foreign=max(busy - loaded - cpu.total, 0) / (time.monotonic() - began),
        )


def measure_idle(program):
    """KiB of resident memory for each connection that has had one answer and is kept."""
    allow_open_files(IDLE_CONNECTIONS + 100)
    with Http2Server(program) as server:
        before = settled_memory(server)
        kept = [asked_once(server) for _ in range(IDLE_CONNECTIONS)]
        after = settled_memory(server)
        for connection in kept:
            connection.close()
    return (after - before) / IDLE_CONNECTIONS


# RFC 9113, sections 4.1 and 6: types and flags of frames.
DATA, HEADERS, SETTINGS, GOAWAY = 0, 1, 4, 7
ACK, END_STREAM, END_HEADERS = 1, 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# `GET / HTTP` by the static table, and `:authority: localhost` as a literal (RFC 7541, appendix A).
GET = bytes([0x82, 0x86, 0x84, 0x01, 9]) + b"localhost"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def asked_once(server):
    connection = server.connect()
    connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_STREAM | END_HEADERS, 1, GET))
    with connection.makefile("rb") as stream:
        while True:
            head = stream.read(9)
            assert len(head) == 9 and head[3] != GOAWAY, f"{server.program.name} does not answer"
            stream.read(int.from_bytes(head[:3], "big"))
            if head[3] == SETTINGS and not head[4] & ACK:
                connection.sendall(frame(SETTINGS, ACK, 0))
            if head[3] in (DATA, HEADERS) and head[4] & END_STREAM:
                return connection


def run(programs, only, rounds, command, dry):
    """All programs, round after round, and the report."""
    asked = [workload for workload in WORKLOADS if workload.name in only]
    samples = {(workload.name, program.name): [] for workload in asked for program in programs if fits(program, workload)}
    idle = {program.name: [] for program in programs if IDLE not in program.lacks} if IDLE in only else {}
    for _ in range(rounds):
        for workload in asked:
            for program in programs:
                if fits(program, workload):
                    samples[workload.name, program.name].append(measure(program, workload))
        for program in programs:
            if program.name in idle:
                idle[program.name].append(measure_idle(program))
    tell(described(programs, asked, samples, idle, rounds, command), dry)


def fits(program, workload):
    return workload.name not in program.lacks


def tell(text, dry):
    print(text)
    if not dry:
        report.keep(text, RESULTS, TITLES)


def described(programs, asked, samples, idle, rounds, command):
    foreign = report.median(sample.foreign for taken in samples.values() for sample in taken) if samples else 0
    known = "\n".join(f"- {what}: {which}" for what, which in versions(programs).items())
    parts = [
        f"""\
{TITLE}

Written by `bench/run.py`; do not edit. {datetime.date.today()}, rounds: {rounds}; figures are medians
over them. `{command}`

Without TLS; h2load is on core 1, the program on core 0 with one worker. Columns are those of RESULTS.md.
Other programs and the host took {foreign:.0%} of a core (median).""",
        goals(asked, samples, idle),
        *(workload_table(workload, programs, samples) for workload in asked),
    ]
    if idle:
        rows = [[name, f"{report.median(taken):.1f}"] for name, taken in idle.items()]
        about = f"KiB of resident memory for a connection that has had one answer and is kept; {IDLE_CONNECTIONS} of them."
        parts.append(f"## {IDLE}\n\n{about}\n\n{report.table(['program', 'KiB'], rows)}")
    return "\n\n".join([*parts, known])


def goals(asked, samples, idle):
    """Ours against what it is meant to be."""
    rows = []
    for workload in asked:
        ours = samples.get((workload.name, "ours"))
        if not ours:
            continue
        row = [workload.name]
        goals_of = {"hyper": workload.of_hyper, "nghttpd": workload.of_nghttpd, OVER_HTTP1: workload.of_http1}
        for name, goal in goals_of.items():
            theirs = samples.get((workload.name, name))
            base = report.middle(theirs, "cpu_us") if theirs else None
            row += [report.ratio(report.middle(ours, "cpu_us"), base), report.goal(goal)]
        rows.append(row)
    if "ours" in idle:
        rows.append([f"{IDLE}: {report.median(idle['ours']):.1f} KiB, at most {IDLE_KIB}", *["-"] * 6])
    names = ["workload", "cpu, of hyper's", "at most", "of nghttpd's", "at most", "of our HTTP/1.1's", "at most"]
    return "## Ours, and what it is meant to be over HTTP/2\n\n" + report.table(names, rows)


def workload_table(workload, programs, samples):
    hyper = samples.get((workload.name, "hyper"))
    of_total = report.middle(hyper, "cpu_us") if hyper else None
    of_user = report.user(hyper) if hyper else None
    rows = []
    for program in programs:
        taken = samples.get((workload.name, program.name))
        if not taken:
            continue
        cpu, failures = report.middle(taken, "cpu_us"), sum(sample.failures for sample in taken)
        rows.append([
            program.name + (f" ({failures} failures)" if failures else ""),
            f"{report.middle(taken, 'requests_a_second'):,.0f}", report.digits(cpu),
            f"{report.digits(report.user(taken))} ± {report.chance(taken):.0%}",
            report.ratio(cpu, of_total), report.ratio(report.user(taken), of_user),
            f"{report.middle(taken, 'peak_kib') / 1024:.1f}", f"{report.spread(taken):.0%}",
        ])  # fmt: skip
    names = ["program", "requests/s", "cpu µs", "user µs", "cpu, of hyper's", "user, of hyper's", "peak MiB", "spread"]
    return f"## {workload.name}\n\n{workload.title}\n\n{report.table(names, rows)}"


def count(programs, only, command, dry):
    """Instructions and allocations a request, under callgrind."""
    counted, allocations = {}, {}
    for workload in (workload for workload in WORKLOADS if workload.name in only):
        counted[workload.name] = instructions.Counted()
        allocations[workload.name] = {}
        for program in programs:
            if program.under_valgrind and fits(program, workload):
                count_one(program, workload, counted[workload.name], allocations[workload.name])
    tell(described_counts(programs, counted, allocations, command), dry)


def count_one(program, workload, counted, allocations):
    def run(requests, out):
        with Http2Server(program, wrapper=instructions.callgrind(out)) as server:
            load(server, workload, requests)
        return instructions.collected(server.errors)

    instructions.note(program, workload, counted, run, workload.few, workload.many, 1)
    less, more = (areas.allocations(instructions.profile(f"{program.name}-{workload.name}{it}")) for it in ("-few", ""))
    allocations[program.name] = (more - less) / (workload.many - workload.few)


def described_counts(programs, counted, allocations, command):
    names = list(counted)
    told = list(dict.fromkeys(name for it in counted.values() for name in it.programs))
    most = ["at most, ours", *(instructions.of_program(it.instructions) for it in WORKLOADS if it.name in names)]
    of_each = [[name, *(instructions.of_program(counted[it].programs.get(name)) for it in names)] for name in told]
    allocated = [[name, *(f"{allocations[it].get(name, 0):.1f}" for it in names)] for name in told]
    known = "\n".join(f"- {what}: {which}" for what, which in versions(programs).items())
    about = f"""\
{INSTRUCTIONS_TITLE}

Instructions that a request takes in user space, counted by callgrind. {datetime.date.today()}. `{command}`
Under it a program is slow, so h2load is always ahead: its requests come in batches as large as they get."""
    return "\n\n".join([
        about,
        report.table(["program", *names], [*of_each, most]),
        "Allocations (`malloc`, `calloc`, `realloc`) a request; ours is meant to take at most 1:",
        report.table(["program", *names], allocated),
        *instructions.where_ours_go(counted),
        known,
    ])  # fmt: skip
