"""The programs that are measured, and how they are built."""

import json
import os
import pathlib
import shutil
import subprocess
from dataclasses import dataclass, field

BENCH = pathlib.Path(__file__).resolve().parent.parent
ROOT = BENCH.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", BENCH / "target")).resolve()


@dataclass(frozen=True)
class Program:
    """A server or a client. All of them run on one worker thread, but ureq's client.

    Servers read PORT. Clients are told URL, CONCURRENCY and REQUESTS, and print requests a second, and
    the microseconds of CPU, and of user time, that a request took.
    """

    name: str
    file: str
    # What it is made of: a crate, "nethttp" or "go".
    library: str
    environment: dict = field(default_factory=dict)
    # Workloads that it cannot do, and those after which it closes connections that should be kept; and why.
    lacks: dict = field(default_factory=dict)
    closes: dict = field(default_factory=dict)
    under_valgrind: bool = True

    @property
    def path(self):
        return TARGET / "release" / self.file


SERVERS = [
    Program("floor", "server-floor", "tokio"),
    Program(
        "may_minihttp",
        "server-may",
        "may_minihttp",
        lacks={"echo16k": "knows no streams", "churn": "does not heed `Connection: close`"},
        under_valgrind=False,
    ),
    Program("ours", "examples/bench_server", "nethttp", {"THREADS": "1"}),
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
    Program("ours", "examples/bench_client", "nethttp"),
    Program("hyper", "client-hyper", "hyper-util"),
    Program("reqwest", "client-reqwest", "reqwest"),
    Program("ureq", "client-ureq", "ureq"),
    Program("go", "client-go", "go", {"GOMAXPROCS": "1"}, under_valgrind=False),
]


def build(programs):
    """Builds what is asked for, optimised, into one target directory. Returns what there is."""
    environment = os.environ | {"CARGO_TARGET_DIR": str(TARGET)}
    cargo = ["cargo", "build", "--release", "--locked"]
    libraries = {program.library for program in programs}
    if "nethttp" in libraries:
        examples = ["--example", "bench_server", "--example", "bench_client"]
        subprocess.run([*cargo, *examples], cwd=ROOT, env=environment, check=True)
    if libraries - {"nethttp", "go"}:
        subprocess.run(cargo, cwd=BENCH, env=environment, check=True)
    return [program for program in programs if program.library != "go" or build_go(program)]


def build_go(program):
    if not shutil.which("go"):
        print(f"left out: {program.file}, because there is no `go` on the PATH")
        return False
    source = BENCH / "go" / program.file.removesuffix("-go")
    subprocess.run(["go", "build", "-o", program.path, "."], cwd=source, check=True)
    return True


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
            case _:
                found[library] = locked[library]
    return found


def locked_versions():
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    packages = json.loads(said(command, BENCH))["packages"]
    return {package["name"]: package["version"] for package in packages}


def said(command, directory=ROOT):
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout.strip()
