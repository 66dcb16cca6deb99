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
# What a program may be made of besides a crate of this workspace's.
NO_CRATES = ("nethttp", "go", "nginx", "nghttpd", "haproxy")


@dataclass(frozen=True)
class Program:
    """A server or a client. All of them run on one worker thread, but ureq's client.

    Servers read PORT. Clients are told URL, CONCURRENCY and REQUESTS, and print requests a second, and
    the microseconds of CPU, and of user time, that a request took.
    """

    name: str
    file: str
    # What it is made of: a crate, "nethttp", or one of the others of NO_CRATES.
    library: str
    environment: dict = field(default_factory=dict)
    # Workloads that it cannot do, and those after which it closes connections that should be kept; and why.
    lacks: dict = field(default_factory=dict)
    closes: dict = field(default_factory=dict)
    under_valgrind: bool = True
    # Of this workspace, if it is made of a crate.
    package: str = "peers"
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
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "nginx.conf"
    file.write_text(NGINX.format(directory=directory, port=port, files=FILES))
    return ["-c", file, "-e", "stderr"]


def configure_nghttpd(port):
    """It knows only files for what is asked for, and sends what it is sent back under any path."""
    directory = TARGET / "nghttpd"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "index.html").write_bytes(b"Hello, World!")
    return ["--no-tls", "--workers=1", "--echo-upload", f"--htdocs={directory}", str(port)]


SERVERS = [
    Program("floor", "server-floor", "tokio"),
    Program(
        "may_minihttp",
        "server-may",
        "may_minihttp",
        lacks={"echo16k": "knows no streams", "churn": "does not heed `Connection: close`"},
        under_valgrind=False,
    ),
    Program("ours", "bench_server", "nethttp", {"THREADS": "1"}),
    Program("hyper", "server-hyper", "hyper"),
    Program("axum", "server-axum", "axum"),
    Program(
        "actix",
        "server-actix",
        "actix-web",
        closes={"echo16k": "closes the connection after a request with content, so this is a connection for each"},
    ),
    Program("go", "server-go", "go", {"GOMAXPROCS": "1"}, under_valgrind=False),
]

CLIENTS = [
    Program("floor", "client-floor", "tokio"),
    Program("ours", "bench_client", "nethttp"),
    Program("hyper", "client-hyper", "hyper-util"),
    Program("reqwest", "client-reqwest", "reqwest"),
    Program("ureq", "client-ureq", "ureq"),
    Program("go", "client-go", "go", {"GOMAXPROCS": "1"}, under_valgrind=False),
]

# Those that serve files; all but nginx are told where by FILES.
FILE_SERVERS = [
    Program("nginx", "nginx", "nginx", under_valgrind=False, configure=configure_nginx),
    Program("ours", "bench_server", "nethttp", {"THREADS": "1", "FILES": str(FILES)}),
    Program("tower-http", "server-tower-http", "tower-http", {"FILES": str(FILES)}),
    Program("go", "server-go", "go", {"GOMAXPROCS": "1", "FILES": str(FILES)}, under_valgrind=False),
]

# Those that speak HTTP/2 to clients that know it beforehand. hyper's is a package of its own: the
# others turn on features of what it depends on, and it would pay for them.
HTTP2_SERVERS = [
    Program("ours", "bench_server", "nethttp", {"THREADS": "1"}),
    Program("hyper", "server-hyper-http2", "hyper", package="peers-http2"),
    Program(
        "nghttpd",
        "nghttpd",
        "nghttpd",
        lacks=dict.fromkeys(("echo16k", "echo1m"), "keeps what it is sent in a file"),
        configure=configure_nghttpd,
    ),
    Program(
        "ours-http1",
        "bench_server",
        "nethttp",
        {"THREADS": "1"},
        lacks=dict.fromkeys(("streams32", "echo16k", "echo1m", "idle"), "is measured where requests come one by one"),
        under_valgrind=False,
    ),
    Program("go", "server-go", "go", {"GOMAXPROCS": "1"}, under_valgrind=False),
]


def make_files():
    """What is served: the same bytes in each run."""
    FILES.mkdir(parents=True, exist_ok=True)
    for name, size in ((SMALL_FILE, SMALL_BYTES), (LARGE_FILE, LARGE_BYTES)):
        (FILES / name).write_bytes(random.Random(size).randbytes(size))


def build(programs):
    """Builds what is asked for, optimised, into one target directory. Returns what there is."""
    environment = os.environ | {"CARGO_TARGET_DIR": str(TARGET)}
    cargo = ["cargo", "build", "--release", "--locked"]
    if ours := dict.fromkeys(program.file for program in programs if program.library == "nethttp"):
        files = [word for file in ours for word in ("--bin", file)]
        subprocess.run([*cargo, "--package", "tools", *files], cwd=ROOT, env=environment, check=True)
    crates = (program for program in programs if program.library not in NO_CRATES)
    for package in dict.fromkeys(program.package for program in crates):
        subprocess.run([*cargo, "--package", package], cwd=BENCH, env=environment, check=True)
    return [program for program in programs if is_there(program)]


def is_there(program):
    """Builds it if it is Go's; the others are built, but for the system's own."""
    if program.library not in ("go", "nginx", "nghttpd", "haproxy"):
        return True
    if not shutil.which(program.library):
        print(f"left out: {program.file}, because there is no `{program.library}` on the PATH")
        return False
    if program.library == "go":
        build_go(program)
    return True


def build_go(program):
    # As a module that is made here: it says that Go is to behave as the version that is there does.
    name = program.file.removesuffix("-go")
    directory = TARGET / "go" / name
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(BENCH / "go" / name, directory)
    subprocess.run(["go", "mod", "init", f"nethttp/bench/{name}"], cwd=directory, check=True, capture_output=True)
    subprocess.run(["go", "build", "-o", program.path, "."], cwd=directory, check=True)


def versions(programs):
    """A dictionary from what the programs are made of to the version of that."""
    locked = locked_versions()
    found = {}
    for library in dict.fromkeys(program.library for program in programs):
        match library:
            case "nethttp":
                found[library] = said(["git", "describe", "--always", "--dirty"])
            case "go":
                found[library] = said(["go", "version"]).removeprefix("go version ")
            case "nginx":
                found[library] = said(["nginx", "-v"], stream="stderr").removeprefix("nginx version: ")
            case "nghttpd":
                found[library] = said(["nghttpd", "--version"]).removeprefix("nghttpd ")
            case "haproxy":
                found[library] = said(["haproxy", "-v"]).partition("\n")[0].removeprefix("HAProxy version ")
            case _:
                found[library] = locked[library]
    return found


def locked_versions():
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    packages = json.loads(said(command, BENCH))["packages"]
    return {package["name"]: package["version"] for package in packages}


def said(command, directory=ROOT, stream="stdout"):
    ended = subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True)
    return getattr(ended, stream).strip()
