"""Reverse proxies: the proxy on one core, what is behind it and the load on the other."""

import dataclasses
import datetime
import functools
import os
import resource
import subprocess
import time
from dataclasses import dataclass

from . import http2, instructions, programs, report, requests, workloads
from .process import OTHER_CORE, Server, machine_busy
from .programs import BENCH, TARGET, Program
from .workloads import Sample, Workload, children_seconds, settled_memory

RESULTS = BENCH / "RESULTS-proxy.md"
# The parts of the results; each kind of run replaces its own.
TITLE, INSTRUCTIONS_TITLE = "# Reverse proxies", "# Instructions of a reverse proxy"
TITLES = (TITLE, INSTRUCTIONS_TITLE)
OF_NGINX, OF_GO = 1.25, 0.50

# Debian's, but for one worker, no log, connections that are kept to the upstream and for good, and content that
# passes as it comes.
NGINX = """\
daemon off;
worker_processes 1;
worker_rlimit_nofile {files};
pid {directory}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 32768; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    map $http_upgrade $connection_field {{ default upgrade; "" ""; }}
    upstream behind {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port}{http2} backlog=4096;
        location / {{
            proxy_pass http://behind;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_read_timeout 1h;
            proxy_set_header Connection $connection_field;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""
HAPROXY = """\
global
    nbthread 1
    maxconn {tunnels}
defaults
    mode http
    option forwardfor
    option http-keep-alive
    http-reuse always
    timeout connect 10s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
frontend clients
    bind 127.0.0.1:{port} backlog 4096{http2}
    default_backend behind
backend behind
    server upstream 127.0.0.1:{upstream} pool-max-conn 1024
"""


def configure_nginx(port, upstream=0, is_http2=False):
    directory = directory_of("nginx-proxy")
    file = directory / "nginx.conf"
    # Without TLS, Debian's speaks one of both protocols at a port.
    spoken = " http2" if is_http2 else ""
    files = open_files()
    file.write_text(NGINX.format(directory=directory, port=port, upstream=upstream, http2=spoken, files=files))
    return ["-c", file, "-e", "stderr"]


def configure_haproxy(port, upstream=0, is_http2=False):
    file = directory_of("haproxy") / "haproxy.cfg"
    spoken = " proto h2" if is_http2 else ""
    # It ends at once where it could not have so many.
    tunnels = (open_files() - 200) // 2
    file.write_text(HAPROXY.format(port=port, upstream=upstream, http2=spoken, tunnels=tunnels))
    return ["-db", "-q", "-f", file]


def open_files():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def directory_of(name):
    directory = TARGET / name
    directory.mkdir(parents=True, exist_ok=True)
    return directory


PROXIES = [
    Program("nginx", "nginx", "nginx", under_valgrind=False, configure=configure_nginx),
    Program("ours", "bench_proxy", "nethttp"),
    Program("haproxy", "haproxy", "haproxy", under_valgrind=False, configure=configure_haproxy),
    Program("hyper", "proxy-hyper", "hyper", package="peers-proxy"),
    Program("go", "proxy-go", "go", {"GOMAXPROCS": "1"}, under_valgrind=False),
]
UPSTREAM = Program("upstream", "proxy-upstream", "tokio", package="peers-proxy")
WEBSOCKETS = TARGET / "release" / "proxy-websockets"

HTTP1_WORKLOADS = [
    Workload("plain", "`GET /`, 13 bytes", 64, requests.PLAIN, of_nginx_total=OF_NGINX),
    Workload(
        "echo16k", "`POST /echo`, 16 KiB sent back as they come", 32, requests.ECHO, content_bytes=requests.ECHO_BYTES,
        of_nginx_total=OF_NGINX,
    ),
    Workload(
        "big", "`GET /big`, 1 MiB", 16, requests.BIG, content_bytes=requests.BIG_BYTES, of_nginx_total=1.10
    ),
]  # fmt: skip


@dataclass(frozen=True)
class StreamsWorkload:
    """HTTP/2 to the proxy, HTTP/1.1 behind it."""

    name: str
    says: str
    connections: int
    streams: int
    requests: int
    few: int
    many: int
    path: str = "/"
    content_bytes: int = 0
    of_nginx_total: float = OF_NGINX

    @property
    def title(self):
        return f"{self.says}; `h2load -n {self.requests} -c {self.connections} -m {self.streams}`."


@dataclass(frozen=True)
class MessagesWorkload:
    """WebSockets, on each of which a message goes to the upstream and back, again and again."""

    name: str
    says: str
    connections: int
    messages: int
    of_nginx_total: float = OF_NGINX

    @property
    def title(self):
        return f"{self.says}; {self.connections} WebSockets, {self.messages:,} messages. CPU is for a message there and back."


STREAMS = StreamsWorkload("h2-h1", "HTTP/2 to the proxy, HTTP/1.1 behind it: `GET /`", 16, 32, 40_000, 2_560, 7_680)
MESSAGES = MessagesWorkload("websocket", "messages of 64 bytes, sent back by the upstream", 64, 100_000)
WORKLOADS = [*HTTP1_WORKLOADS, STREAMS, MESSAGES]
# Tunnels that are held, each of which has had a message there and back.
TUNNELS, IDLE_TUNNELS, TUNNEL_KIB = "tunnels", 4000, 8.0
SHOWN, SHOWN_TUNNELS = "tunnels10k", 10_000
NAMES = [*(workload.name for workload in WORKLOADS), TUNNELS, SHOWN]


class Behind:
    """The upstream, and the proxies as they are when it is behind them."""

    def __enter__(self):
        self.server = Server(UPSTREAM, core=OTHER_CORE)
        return self.server.__enter__() and self

    def __exit__(self, *failure):
        self.server.__exit__(*failure)

    def seen_by(self, program, is_http2=False):
        port = self.server.port
        configure = program.configure and functools.partial(program.configure, upstream=port, is_http2=is_http2)
        environment = program.environment | {"UPSTREAM": str(port)}
        return dataclasses.replace(program, configure=configure, environment=environment)


def measure(program, workload, seconds):
    with Behind() as behind:
        if isinstance(workload, Workload):
            return workloads.measure(behind.seen_by(program), workload, seconds, behind.server)
        with start(behind, program, workload) as server:
            began, busy, others, cpu = time.monotonic(), machine_busy(), spent(behind), server.cpu()
            rate, answered = load(server, workload)
            cpu = server.cpu().since(cpu)
            busy, others = machine_busy() - busy, spent(behind) - others
            return Sample(
                requests_a_second=rate,
                cpu_us=cpu.total / answered * 1e6,
                ticks=cpu,
                p99_ms=None,
                peak_kib=server.memory("VmHWM"),
                failures=count_of(workload) - answered,
                foreign=max(busy - others - cpu.total, 0) / (time.monotonic() - began),
            )


def spent(behind):
    """CPU seconds of the load and of what is behind the proxy."""
    return children_seconds() + behind.server.cpu().total


def start(behind, program, workload, wrapper=()):
    is_http2 = workload is STREAMS
    return (http2.Http2Server if is_http2 else Server)(behind.seen_by(program, is_http2), wrapper=wrapper)


def count_of(workload):
    return workload.requests if workload is STREAMS else workload.messages


def load(server, workload):
    """Requests, or messages, a second, and how many were answered."""
    if workload is STREAMS:
        return http2.load(server, workload, workload.requests)
    return float(websockets(server, workload.connections, workload.messages)), workload.messages


def websockets(server, connections, messages):
    command = ["taskset", "-c", str(OTHER_CORE), WEBSOCKETS, str(server.port), str(connections), str(messages)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


@dataclass(frozen=True)
class Held:
    """Tunnels that were held: KiB of resident memory for each, and how many answered once more behind it."""

    kib: float
    answered: int


def count_of_tunnels(name):
    """As many as there may be of them, where a process may not open two files for each."""
    return IDLE_TUNNELS if name == TUNNELS else min(SHOWN_TUNNELS, (open_files() - 500) // 2)


def measure_tunnels(program, count):
    """None where the program did not open them all, or lost one."""
    with Behind() as behind, start(behind, program, MESSAGES) as server:
        before = settled_memory(server)
        command = ["taskset", "-c", str(OTHER_CORE), WEBSOCKETS, str(server.port), str(count), "0"]
        with subprocess.Popen(
            command, env=os.environ | {"HOLD": "1"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            if holder.stdout.readline() != "open\n":
                return None
            after = settled_memory(server)
            answered = holder.communicate(timeout=120)[0].strip()
        return Held((after - before) / count, int(answered)) if answered else None


def allow_tunnels():
    """Each takes two descriptors of the proxy. Root may have more than it was given."""
    wanted = 2 * SHOWN_TUNNELS + 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), max(hard, wanted)))
    except ValueError:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run(built, options, command):
    """All proxies, round after round, and the report."""
    allow_tunnels()
    asked = [workload for workload in WORKLOADS if workload.name in options.only]
    samples = {(workload.name, program.name): [] for workload in asked for program in built}
    held = {name: {program.name: [] for program in built} for name in (TUNNELS, SHOWN) if name in options.only}
    for _ in range(options.rounds):
        for workload in asked:
            for program in built:
                samples[workload.name, program.name].append(measure(program, workload, options.seconds))
        for name, taken in held.items():
            for program in built:
                taken[program.name].append(measure_tunnels(program, count_of_tunnels(name)))
    tell(described(built, asked, samples, held, options, command), options.dry)


def tell(text, dry):
    print(text)
    if not dry:
        report.keep(text, RESULTS, TITLES)


def described(built, asked, samples, held, options, command):
    all_samples = [sample for taken in samples.values() for sample in taken]
    foreign = report.median(sample.foreign for sample in all_samples) if all_samples else 0
    known = "\n".join(f"- {what}: {which}" for what, which in programs.versions(built).items())
    names = {program.name for program in built}
    missing = [program.name for program in PROXIES if program.name not in names]
    parts = [
        f"""\
{TITLE}

Written by `bench/run.py`; do not edit. {datetime.date.today()}, rounds: {options.rounds}, of {options.seconds} s
where wrk is the load; figures are medians over them. `{command}`

The proxy is on core 0 with one worker; on core 1 are the load and what is behind the proxy. CPU is microseconds a
request, user and system time of the proxy alone. Columns are those of RESULTS.md.
Other programs and the host took {foreign:.0%} of a core (median).""",
        f"**Not measured: {', '.join(missing)}.**" if missing else "",
        goals(asked, samples, held),
        *(workload_table(workload, built, samples) for workload in asked),
        *(tunnel_table(name, taken) for name, taken in held.items()),
        known,
    ]
    return "\n\n".join(part for part in parts if part)


def goals(asked, samples, held):
    """Ours against what it is meant to be."""
    rows = []
    for workload in asked:
        ours, nginx, go = (samples.get((workload.name, name)) for name in ("ours", "nginx", "go"))
        if ours:
            cpu = report.middle(ours, "cpu_us")
            rows.append([
                workload.name,
                report.ratio(cpu, nginx and report.middle(nginx, "cpu_us")), report.goal(workload.of_nginx_total),
                report.ratio(cpu, go and report.middle(go, "cpu_us")), report.goal(OF_GO),
            ])  # fmt: skip
    if kib := kib_of(held.get(TUNNELS, {}).get("ours")):
        rows.append([f"{TUNNELS}: {kib:.1f} KiB, at most {TUNNEL_KIB}", "-", "-", "-", "-"])
    names = ["workload", "cpu, of nginx's", "at most", "cpu, of Go's", "at most"]
    return "## Ours, and what it is meant to be\n\n" + report.table(names, rows) if rows else ""


def workload_table(workload, built, samples):
    nginx = samples.get((workload.name, "nginx"))
    of_nginx = nginx and report.middle(nginx, "cpu_us")
    rows = []
    for program in built:
        taken = samples[workload.name, program.name]
        cpu, failures = report.middle(taken, "cpu_us"), sum(sample.failures for sample in taken)
        rows.append([
            program.name + (f" ({failures} failures)" if failures else ""),
            f"{report.middle(taken, 'requests_a_second'):,.0f}", report.digits(cpu),
            f"{report.digits(report.user(taken))} ± {report.chance(taken):.0%}", report.ratio(cpu, of_nginx),
            f"{report.middle(taken, 'peak_kib') / 1024:.1f}", f"{report.spread(taken):.0%}",
        ])  # fmt: skip
    names = ["proxy", "requests/s", "cpu µs", "user µs", "cpu, of nginx's", "peak MiB", "spread"]
    return f"## {workload.name}\n\n{workload.title}\n\n{report.table(names, rows)}"


def kib_of(taken):
    known = [held.kib for held in taken or () if held]
    return report.median(known) if known else None


def tunnel_table(name, taken):
    count = count_of_tunnels(name)
    rows = []
    for program, held in taken.items():
        whole = sum(it is not None and it.answered == count for it in held)
        kib = kib_of(held)
        rows.append([
            program, f"{kib:.1f}" if kib else "did not open them all", f"{kib * count / 1024:.0f}" if kib else "-",
            f"{whole} of {len(held)}",
        ])  # fmt: skip
    about = f"""\
{count:,} WebSockets through the proxy, idle after a message each: resident memory for each and for all, and in how
many of the rounds each of them had its message back once more behind that."""
    if name == SHOWN and count < SHOWN_TUNNELS:
        about += f" **{SHOWN_TUNNELS:,} take more open files than this system lets a process have: {open_files():,}.**"
    names = ["proxy", "KiB a tunnel", "MiB", "whole"]
    return f"## {name}\n\n{about}\n\n{report.table(names, rows)}"


def count(built, only, command, dry):
    """Instructions a request under callgrind, of the proxy alone."""
    counted = {}
    for workload in [*HTTP1_WORKLOADS, STREAMS]:
        if workload.name not in only:
            continue
        counted[workload.name] = instructions.Counted()
        for program in built:
            if program.under_valgrind:
                with Behind() as behind:
                    count_one(behind, program, workload, counted[workload.name])
    tell(described_counts(built, counted, command), dry)


def count_one(behind, program, workload, counted):
    if workload is not STREAMS:
        return instructions.a_request(behind.seen_by(program), workload, counted)

    def run(requests, out):
        with start(behind, program, workload, instructions.callgrind(out)) as server:
            http2.load(server, workload, requests)
        return instructions.collected(server.errors)

    instructions.note(program, workload, counted, run, workload.few, workload.many, 1)


def described_counts(built, counted, command):
    names = list(counted)
    told = list(dict.fromkeys(name for it in counted.values() for name in it.programs))
    of_each = [[name, *(instructions.of_program(counted[it].programs.get(name)) for it in names)] for name in told]
    known = "\n".join(f"- {what}: {which}" for what, which in programs.versions(built).items())
    about = f"""\
{INSTRUCTIONS_TITLE}

Instructions that a request takes in user space of the proxy, counted by callgrind. {datetime.date.today()}. `{command}`
nginx, HAProxy and Go are left out."""
    return "\n\n".join([about, report.table(["proxy", *names], of_each), *instructions.where_ours_go(counted), known])
