"""What is asked of a server, and one measurement of it."""

import json
import os
import resource
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

from . import requests
from .process import LOAD_CORE, Cpu, Server, machine_busy
from .programs import BENCH

IDLE_CONNECTIONS = 4000


@dataclass(frozen=True)
class Workload:
    name: str
    says: str
    connections: int
    message: bytes
    # For servers that cannot read what they are asked (the floor).
    environment: dict = field(default_factory=dict)
    # What ours may take at most: of hyper's user time, of the floor's total, of hyper's total.
    of_hyper_user: float | None = None
    of_floor_total: float | None = None
    of_hyper_total: float | None = None


WORKLOADS = [
    Workload("plain", "`GET /`, one field", 64, requests.PLAIN, {}, 0.45, 1.12),
    Workload("browser", "`GET /` with a browser's 13 fields", 64, requests.BROWSER, {}, 0.42, 1.15),
    Workload("pipeline", "`GET /`, 16 at once", 64, requests.PIPELINE, {}, 0.45, 1.40),
    Workload("echo16k", "`POST /echo`, 16 KiB sent back as they come", 32, requests.ECHO, {}, 0.45, 1.12),
    Workload("big", "`GET /big`, 1 MiB from memory", 16, requests.BIG, {}, 0.15, 1.05),
    Workload("churn", "`GET /`, a connection for each request", 32, requests.CHURN, {"CLOSE": "1"}, of_hyper_total=0.95),
]
IDLE = "idle"
NAMES = [workload.name for workload in WORKLOADS] + [IDLE]


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


def measure(program, workload, seconds):
    with Server(program, workload.environment) as server, tempfile.NamedTemporaryFile() as file:
        file.write(workload.message)
        file.flush()
        began, busy, load, cpu = time.monotonic(), machine_busy(), children_seconds(), server.cpu()
        result = run_wrk(server, workload, seconds, file.name)
        cpu = server.cpu().since(cpu)
        busy, load = machine_busy() - busy, children_seconds() - load
        return Sample(
            requests_a_second=result["requests"] / result["microseconds"] * 1e6,
            cpu_us=cpu.total / result["requests"] * 1e6,
            ticks=cpu,
            # wrk loses count of the latency of answers that come together: most of its histogram is zeros.
            p99_ms=None if workload.name == "pipeline" else result["p99_us"] / 1000,
            peak_kib=server.memory("VmHWM"),
            failures=result["failures"],
            foreign=max(busy - load - cpu.total, 0) / (time.monotonic() - began),
        )


def run_wrk(server, workload, seconds, request_file):
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", "--threads", "1", "--latency"]
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
