"""The programs that are measured, and how they are built."""

import json
import os
import pathlib
import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field

BENCH = pathlib.Path(__file__).resolve().parent.parent
ROOT = BENCH.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", BENCH / "target")).resolve()


@dataclass(frozen=True)
class Program:
    """One server. All of them read PORT and run on one worker thread."""

    name: str
    file: str
    environment: dict = field(default_factory=dict)
    # Workloads that it cannot do, and those after which it closes connections that should be kept; and why.
    lacks: dict = field(default_factory=dict)
    closes: dict = field(default_factory=dict)
    under_valgrind: bool = True
    # Of the system's own programs: what it is told, made from the port.
    configure: Callable[[int], list] | None = None

    @property
    def path(self):
        return TARGET / "release" / self.file if self.configure is None else shutil.which(self.file)

    def command(self, port):
        return [self.path, *(self.configure(port) if self.configure else [])]


FILES = TARGET / "files"
SMALL_FILE, SMALL_BYTES = "small.html", 4 << 10
LARGE_FILE, LARGE_BYTES = "large.bin", 1 << 20

# As Debian ships it, but for one worker, connections that are kept for good, and no log.
NGINX = """\
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr;
events {{ worker_connections 8192; }}
http {{
    include /etc/nginx/mime.types;
    sendfile on;
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {directory}/body;
    server {{
        listen 127.0.0.1:{port};
        location = / {{ default_type text/plain; return 200 "Hello, World!"; }}
        location /files/ {{ alias {files}/; }}
    }}
}}
"""


def configure_nginx(port):
    directory = TARGET / "nginx"
    directory.mkdir(exist_ok=True)
    file = directory / "nginx.conf"
    file.write_text(NGINX.format(directory=directory, port=port, files=FILES))
    return ["-c", file, "-e", "stderr"]


SERVERS = [
    Program("floor", "server-floor"),
    Program(
        "may_minihttp",
        "server-may",
        lacks={"echo16k": "knows no streams", "churn": "does not heed `Connection: close`"},
        under_valgrind=False,
    ),
    Program("ours", "examples/bench_server", {"THREADS": "1"}),
    Program("hyper", "server-hyper"),
    Program("axum", "server-axum"),
    Program(
        "actix",
        "server-actix",
        closes={"echo16k": "closes the connection after a request with content, so this is a connection for each"},
    ),
    Program("go", "server-go", {"GOMAXPROCS": "1"}, under_valgrind=False),
]


# Those that speak HTTP/2 to clients that know it beforehand. hyper's is a package of its own: the
# others turn on features of what it depends on, and it would pay for them.
HYPER_HTTP2 = "server-hyper-http2"
HTTP2_SERVERS = [
    Program("ours", "examples/bench_server", {"THREADS": "1"}),
    Program("hyper", HYPER_HTTP2),
    Program("go", "server-go", {"GOMAXPROCS": "1"}),
]

# Those that serve files; all read FILES.
FILE_SERVERS = [
    Program("nginx", "nginx", configure=configure_nginx),
    Program("ours", "examples/bench_server", {"THREADS": "1", "FILES": str(FILES)}),
    Program("tower-http", "server-tower-http", {"FILES": str(FILES)}),
    Program("go", "server-go", {"GOMAXPROCS": "1", "FILES": str(FILES)}),
]


def make_files():
    """What is served: the same bytes in each run."""
    FILES.mkdir(exist_ok=True)
    for name, size in ((SMALL_FILE, SMALL_BYTES), (LARGE_FILE, LARGE_BYTES)):
        (FILES / name).write_bytes(random.Random(size).randbytes(size))


def build(programs):
    """Builds what is asked for, optimised, into one target directory. Returns what there is."""
    environment = os.environ | {"CARGO_TARGET_DIR": str(TARGET)}
    cargo = ["cargo", "build", "--release", "--locked"]
    names = {program.name for program in programs}
    if "ours" in names:
        subprocess.run([*cargo, "--example", "bench_server"], cwd=ROOT, env=environment, check=True)
    if names - {"ours", "go", "nginx"} - {program.name for program in programs if program.file == HYPER_HTTP2}:
        subprocess.run(cargo, cwd=BENCH, env=environment, check=True)
    if any(program.file == HYPER_HTTP2 for program in programs):
        subprocess.run([*cargo, "--package", "peers-http2"], cwd=BENCH, env=environment, check=True)
    if "go" in names:
        programs = [program for program in programs if program.name != "go" or build_go(program)]
    if "nginx" in names and not shutil.which("nginx"):
        print("left out: nginx, because there is no `nginx` on the PATH")
        programs = [program for program in programs if program.name != "nginx"]
    return programs


def build_go(program):
    if not shutil.which("go"):
        print("left out: go, because there is no `go` on the PATH")
        return False
    subprocess.run(["go", "build", "-o", program.path, "."], cwd=BENCH / "go" / "server", check=True)
    return True


def versions(programs):
    """A dictionary from a program's name to what it is: its library and the version of that."""
    crates = {"floor": "tokio", "may_minihttp": "may_minihttp", "hyper": "hyper", "axum": "axum", "actix": "actix-web",
              "tower-http": "tower-http"}  # fmt: skip
    locked = locked_versions()
    found = {}
    for program in programs:
        match program.name:
            case "ours":
                found["ours"] = f"nethttp {said(['git', 'describe', '--always', '--dirty'])}"
            case "nginx":
                found["nginx"] = said(["nginx", "-v"], stream="stderr").removeprefix("nginx version: ")
            case "go":
                found["go"] = said(["go", "version"]).removeprefix("go version ")
            case name:
                found[name] = f"{crates[name]} {locked[crates[name]]}"
    return found


def locked_versions():
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    packages = json.loads(said(command, BENCH))["packages"]
    return {package["name"]: package["version"] for package in packages}


def said(command, directory=ROOT, stream="stdout"):
    ended = subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True)
    return getattr(ended, stream).strip()
