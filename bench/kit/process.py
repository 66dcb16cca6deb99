"""A server under test as a process: pinned, watched through /proc, ended."""

import os
import pathlib
import signal
import socket
import subprocess
import time
from dataclasses import dataclass

from .requests import HELLO, PLAIN, read_answers

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
TESTED_CORE, OTHER_CORE = 0, 1


@dataclass(frozen=True)
class Cpu:
    """CPU time of a process and its children.

    `total` is the scheduler's, nanoseconds made seconds (`/proc/PID/task/*/schedstat`); threads
    that have ended are not in it, and no server here ends any. The ticks are of `/proc/PID/stat`:
    good for telling user from system time, which the kernel does by what it finds running when
    its clock ticks, a few hundred times a second. So a share of them is a sample.
    """

    total: float
    user_ticks: int
    system_ticks: int

    def since(self, before):
        user, system = self.user_ticks - before.user_ticks, self.system_ticks - before.system_ticks
        return Cpu(self.total - before.total, user, system)


class Server:
    """Starts a program on a free port, alone on its core; ends it when left."""

    def __init__(self, program, environment=None, wrapper=(), core=TESTED_CORE):
        self.program = program
        self.port = free_port()
        self.environment = os.environ | program.environment | (environment or {}) | {"PORT": str(self.port)}
        self.command = ["taskset", "-c", str(core), *wrapper, *program.command(self.port)]

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            self.wait_until_it_answers()
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.errors = self.process.communicate(timeout=60)[1].decode(errors="replace")
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def wait_until_it_answers(self):
        for _ in range(600):
            try:
                with self.connect() as connection, connection.makefile("rb") as stream:
                    connection.sendall(PLAIN)
                    contents, _ = read_answers(stream)
                    assert contents == [HELLO], f"{self.program.name} answered {contents}"
                    return
            except ConnectionRefusedError:
                if self.process.poll() is not None:
                    raise RuntimeError(f"{self.program.name} ended: {self.process.stderr.read().decode()}") from None
                time.sleep(0.05)
        raise RuntimeError(f"{self.program.name} does not answer")

    def cpu(self):
        total, user, system = 0, 0, 0
        for process in family(self.process.pid):
            # The command's name is in parentheses and may hold anything; what follows is numbers.
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            user += int(fields[11])
            system += int(fields[12])
            total += sum(int(path.read_text().split()[0]) for path in process.glob("task/*/schedstat"))
        return Cpu(total / 1e9, user, system)

    def memory(self, name):
        """KiB of `VmHWM` (the peak) or `VmRSS` (now)."""
        lines = (line for process in family(self.process.pid) for line in (process / "status").open())
        return sum(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


def family(pid):
    """The directories in /proc of a process and of all below it."""
    process = pathlib.Path("/proc", str(pid))
    yield process
    for children in process.glob("task/*/children"):
        for child in children.read_text().split():
            yield from family(child)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def machine_busy():
    """CPU seconds that all cores together have spent on anything, stolen time included."""
    with open("/proc/stat") as stat:
        user, nice, system, _, _, irq, softirq, steal = map(int, stat.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS_A_SECOND
