"""Servers over HTTP/2 without TLS, to a client that knows it beforehand: h2load's requests."""

import datetime
import re
import subprocess
import time

from . import report
from .process import OTHER_CORE, Server, machine_busy
from .programs import BENCH, versions
from .workloads import Sample, children_seconds

RESULTS = BENCH / "RESULTS-http2.md"
NAMES = ["http2"]
REQUESTS, CONNECTIONS, STREAMS = 200_000, 16, 32
# What ours may take at most of hyper's CPU.
OF_HYPER = 1.00


class Http2Server(Server):
    def wait_until_it_answers(self):
        for _ in range(600):
            if load(self, 1, 1, 1)[1] == 1:
                return
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.program.name} ended: {self.process.stderr.read().decode()}")
            time.sleep(0.05)
        raise RuntimeError(f"{self.program.name} does not answer")


def load(server, requests, connections, streams):
    """Requests a second, and how many were answered with a 2xx."""
    command = ["taskset", "-c", str(OTHER_CORE), "h2load", f"-n{requests}", f"-c{connections}", f"-m{streams}"]
    said = subprocess.run([*command, f"http://127.0.0.1:{server.port}/"], capture_output=True, text=True).stdout
    rate = re.search(r"([\d.]+) req/s", said)
    answered = re.search(r"status codes: (\d+) 2xx", said)
    return float(rate[1]) if rate else 0, int(answered[1]) if answered else 0


def measure(program):
    with Http2Server(program) as server:
        began, busy, loaded, cpu = time.monotonic(), machine_busy(), children_seconds(), server.cpu()
        rate, answered = load(server, REQUESTS, CONNECTIONS, STREAMS)
        cpu = server.cpu().since(cpu)
        busy, loaded = machine_busy() - busy, children_seconds() - loaded
        if not answered:
            raise RuntimeError(f"{program.name} answered nothing")
        return Sample(
            requests_a_second=rate,
            cpu_us=cpu.total / answered * 1e6,
            ticks=cpu,
            p99_ms=None,
            peak_kib=server.memory("VmHWM"),
            failures=REQUESTS - answered,
            foreign=max(busy - loaded - cpu.total, 0) / (time.monotonic() - began),
        )


def run(programs, rounds, command, dry):
    """All programs, round after round, and the report."""
    samples = {program.name: [] for program in programs}
    for _ in range(rounds):
        for program in programs:
            samples[program.name].append(measure(program))
    text = described(programs, samples, rounds, command)
    print(text)
    if not dry:
        RESULTS.write_text(text + "\n")
        print(f"\nwritten: {RESULTS.name}")


def described(programs, samples, rounds, command):
    hyper = samples.get("hyper")
    of_total = report.middle(hyper, "cpu_us") if hyper else None
    of_user = report.user(hyper) if hyper else None
    rows = []
    for name, taken in samples.items():
        cpu, failures = report.middle(taken, "cpu_us"), sum(sample.failures for sample in taken)
        rows.append([
            name + (f" ({failures} failures)" if failures else ""),
            f"{report.middle(taken, 'requests_a_second'):,.0f}", report.digits(cpu),
            f"{report.digits(report.user(taken))} ± {report.chance(taken):.0%}",
            report.ratio(cpu, of_total), report.ratio(report.user(taken), of_user),
            f"{report.middle(taken, 'peak_kib') / 1024:.1f}", f"{report.spread(taken):.0%}",
        ])  # fmt: skip
    names = ["program", "requests/s", "cpu µs", "user µs", "cpu, of hyper's", "user, of hyper's", "peak MiB", "spread"]
    foreign = report.median(sample.foreign for taken in samples.values() for sample in taken)
    known = "\n".join(f"- {what}: {which}" for what, which in versions(programs).items())
    return f"""\
# HTTP/2

Written by `bench/run.py`; do not edit. {datetime.date.today()}, rounds: {rounds}; figures are medians
over them. `{command}`

`GET /`, 13 bytes, without TLS: `h2load -n {REQUESTS} -c {CONNECTIONS} -m {STREAMS}` on core 1, the
program on core 0 with one worker. Columns are those of RESULTS.md. Ours is meant to take at most
{OF_HYPER:.2f} of hyper's CPU. Other programs and the host took {foreign:.0%} of a core (median).

{report.table(names, rows)}

{known}"""
