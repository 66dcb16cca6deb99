"""What is asked of a server, and one measurement of it."""

import json
import os
import resource
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

from . import requests
from .process import OTHER_CORE, Cpu, Server, machine_busy
from .programs import BENCH, LARGE_BYTES, SMALL_BYTES

IDLE_CONNECTIONS = 4000


@dataclass(frozen=True)
class Workload:
    name: str
    says: str
    connections: int
    message: bytes
    # What comes back for one message: so many answers, each with so much content.
    answers: int = 1
    content_bytes: int = len(requests.HELLO)
    # For servers that cannot read what they are asked (the floor).
    environment: dict = field(default_factory=dict)
    # What ours may take at most: of hyper's user time, of the floor's total, of hyper's total.
    of_hyper_user: float | None = None
    of_floor_total: float | None = None
    of_hyper_total: float | None = None
    # Of the totals of nginx and of tower-http's ServeDir.
    of_nginx_total: float | None = None
    of_tower_http_total: float | None = None

    @property
    def title(self):
        return f"{self.says}; {self.connections} connections."


PIPELINE, CHURN, IDLE = "pipeline", "churn", "idle"
WORKLOADS = [
    Workload("plain", "`GET /`, one field", 64, requests.PLAIN, of_hyper_user=0.45, of_floor_total=1.12),
    Workload(
        "browser", "`GET /` with a browser's 13 fields", 64, requests.BROWSER, of_hyper_user=0.42, of_floor_total=1.15
    ),
    Workload(
        PIPELINE, "`GET /`, 16 at once", 64, requests.PIPELINE, answers=requests.PIPELINE_DEPTH,
        of_hyper_user=0.45, of_floor_total=1.40,
    ),
    Workload(
        "echo16k", "`POST /echo`, 16 KiB sent back as they come", 32, requests.ECHO, content_bytes=requests.ECHO_BYTES,
        of_hyper_user=0.45, of_floor_total=1.12,
    ),
    Workload(
        "big", "`GET /big`, 1 MiB from memory", 16, requests.BIG, content_bytes=requests.BIG_BYTES,
        of_hyper_user=0.15, of_floor_total=1.05,
    ),
    Workload(
        CHURN, "`GET /`, a connection for each request", 32, requests.CHURN, environment={"CLOSE": "1"},
        of_hyper_total=0.95,
    ),
]
FILE_WORKLOADS = [
    Workload(
        "file4k", "`GET` of a file of 4 KiB", 64, requests.SMALL_FILE, content_bytes=SMALL_BYTES,
        of_nginx_total=1.50, of_tower_http_total=1.00,
    ),
    Workload(
        "file1m", "`GET` of a file of 1 MiB", 16, requests.LARGE_FILE, content_bytes=LARGE_BYTES,
        of_nginx_total=1.10, of_tower_http_total=1.00,
    ),
]
# Counted only, and of ours only: their difference, divided by five, is what a middleware takes that only passes on.
CHAIN = Workload("chain", "`GET /chain/`, through five middlewares that pass it on", 64, requests.CHAIN)
ALONE = Workload("alone", "`GET /alone/`, which is `chain` without middlewares", 64, requests.ALONE)
COUNTED_ONLY = [CHAIN, ALONE]
NAMES = [workload.name for workload in WORKLOADS] + [IDLE]
FILE_NAMES = [workload.name for workload in FILE_WORKLOADS]


@dataclass(frozen=True)
class Sample:
    """One round of one program."""

    requests_a_second: float
    # Microseconds a request, user and system time together.
    cpu_us: float
    ticks: Cpu
    p99_ms: float | None
    peak_kib: int
    failures: int
    # How much of one core went to other programs meanwhile, or was stolen by the host.
    foreign: float

    @property
    def seen(self):
        """What is told of it beside what it costs."""
        return {"p99 ms": self.p99_ms, "peak MiB": self.peak_kib / 1024}


def measure(program, workload, seconds, behind=None):
    """What is behind a proxy is its own server, and no other program."""
    with Server(program, workload.environment) as server, tempfile.NamedTemporaryFile() as file:
        check(server, workload)
        file.write(workload.message)
        file.flush()
        others = behind.cpu() if behind else None
        began, busy, load, cpu = time.monotonic(), machine_busy(), children_seconds(), server.cpu()
        result = run_wrk(server, workload, seconds, file.name)
        cpu = server.cpu().since(cpu)
        busy, load = machine_busy() - busy, children_seconds() - load
        load += behind.cpu().since(others).total if behind else 0
        return Sample(
            requests_a_second=result["requests"] / result["microseconds"] * 1e6,
            cpu_us=cpu.total / result["requests"] * 1e6,
            ticks=cpu,
            # wrk loses count of the latency of answers that come together: most of its histogram is zeros.
            p99_ms=None if workload.name == PIPELINE else result["p99_us"] / 1000,
            peak_kib=server.memory("VmHWM"),
            failures=result["failures"],
            foreign=max(busy - load - cpu.total, 0) / (time.monotonic() - began),
        )


def check(server, workload):
    """What wrk does not look at: that answers are whole, and the connection kept, or closed."""
    closes = workload.name == CHURN or workload.name in server.program.closes
    with server.connect() as connection, connection.makefile("rb") as stream:
        for _ in range(1 if closes else 3):
            connection.sendall(workload.message)
            contents, _ = requests.read_answers(stream, workload.answers)
            sizes = {len(content) for content in contents}
            assert sizes == {workload.content_bytes}, f"{server.program.name}, {workload.name}: {sizes} bytes"
        if closes:
            assert stream.read() == b"", f"{server.program.name} sent more than its answer"


def run_wrk(server, workload, seconds, request_file):
    command = ["taskset", "-c", str(OTHER_CORE), "wrk", "--threads", "1", "--latency"]
    command += ["--connections", str(workload.connections), "--duration", f"{seconds}s"]
    command += ["--script", str(BENCH / "kit" / "wrk.lua"), f"http://127.0.0.1:{server.port}/"]
    environment = os.environ | {"BENCH_REQUEST": request_file}
    ended = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    result = json.loads(ended.stdout.splitlines()[-1])
    if not result["requests"]:
        raise RuntimeError(f"{server.program.name} answered nothing in {workload.name}:\n{ended.stdout}")
    return result


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure_idle(program):
    """KiB of resident memory for each connection that has had one answer and is kept."""
    allow_open_files(IDLE_CONNECTIONS + 100)
    with Server(program) as server:
        before = settled_memory(server)
        kept = [asked_once(server) for _ in range(IDLE_CONNECTIONS)]
        after = settled_memory(server)
        for connection in kept:
            connection.close()
    return (after - before) / IDLE_CONNECTIONS


def asked_once(server):
    connection = server.connect()
    connection.sendall(requests.PLAIN)
    with connection.makefile("rb") as stream:
        contents, _ = requests.read_answers(stream)
    assert contents == [requests.HELLO]
    return connection


def settled_memory(server):
    time.sleep(0.5)
    return server.memory("VmRSS")


def allow_open_files(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count * 2, hard), hard))
