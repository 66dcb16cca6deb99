"""What is asked of a client, and one measurement of it."""

import os
import subprocess
import time
from dataclasses import dataclass

from .process import OTHER_CORE, TESTED_CORE, TICKS_A_SECOND, Cpu, Server, machine_busy
from .programs import SERVERS

# All clients ask the same server, which takes little of the other core.
SERVER = next(program for program in SERVERS if program.name == "floor")


@dataclass(frozen=True)
class ClientWorkload:
    name: str
    says: str
    path: str
    concurrency: int
    # So many tell how many it takes to fill the time; and two counts for instructions.
    some: int
    few: int
    many: int
    # What ours may take at most: of hyper-util's user time, of the floor's total.
    of_hyper_user: float
    of_floor_total: float
    of_hyper_total: None = None

    @property
    def title(self):
        tasks = "1 task" if self.concurrency == 1 else f"{self.concurrency} tasks share one client"
        return f"{self.says}; {tasks}."


CLIENT_WORKLOADS = [
    ClientWorkload("client-seq", "`GET /`, 13 bytes", "/", 1, 4000, 512, 2560, of_hyper_user=0.50, of_floor_total=1.20),
    ClientWorkload("client-conc64", "`GET /`, 13 bytes", "/", 64, 8000, 512, 2560, of_hyper_user=0.45, of_floor_total=1.30),
    ClientWorkload("client-big", "`GET /big`, 1 MiB", "/big", 8, 400, 32, 96, of_hyper_user=0.35, of_floor_total=1.15),
]  # fmt: skip
CLIENT_NAMES = [workload.name for workload in CLIENT_WORKLOADS]


@dataclass(frozen=True)
class ClientSample:
    """One round of one client."""

    requests_a_second: float
    # Microseconds a request, user and system time together.
    cpu_us: float
    ticks: Cpu
    # How much of one core went to other programs meanwhile, or was stolen by the host.
    foreign: float
    # A request that fails ends its program.
    failures: int = 0

    @property
    def seen(self):
        return {}


def measure(program, workload, seconds):
    with Server(SERVER, core=OTHER_CORE) as server:
        requests = round(run(program, workload, server, workload.some)[0] * seconds)
        requests = max(requests, workload.concurrency)
        began, busy, served = time.monotonic(), machine_busy(), server.cpu()
        rate, cpu_us, user_us = run(program, workload, server, requests)
        took, busy, served = time.monotonic() - began, machine_busy() - busy, server.cpu().since(served)
        total, user = (each * requests / 1e6 for each in (cpu_us, user_us))
        ticks = Cpu(total, round(user * TICKS_A_SECOND), round((total - user) * TICKS_A_SECOND))
        return ClientSample(rate, cpu_us, ticks, foreign=max(busy - total - served.total, 0) / took)


def run(program, workload, server, requests, wrapper=()):
    """Requests a second, and microseconds of CPU and of user time for one request."""
    return [float(number) for number in start(program, workload, server, requests, wrapper).stdout.split()]


def start(program, workload, server, requests, wrapper=()):
    url = f"http://127.0.0.1:{server.port}{workload.path}"
    command = ["taskset", "-c", str(TESTED_CORE), *wrapper, program.path]
    command += [url, str(workload.concurrency), str(requests)]
    environment = os.environ | program.environment
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    if ended.returncode:
        raise RuntimeError(f"{program.file} failed in {workload.name}:\n{ended.stderr}")
    return ended
