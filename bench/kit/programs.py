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
    """One server. All of them read PORT and run on one worker thread."""

    name: str
    file: str
    environment: dict = field(default_factory=dict)
    # Workloads that it cannot do, and those after which it closes connections that should be kept; and why.
    lacks: dict = field(default_factory=dict)
    closes: dict = field(default_factory=dict)
    under_valgrind: bool = True

    @property
    def path(self):
        return TARGET / "release" / self.file


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


def build(programs):
    """Builds what is asked for, optimised, into one target directory. Returns what there is."""
    environment = os.environ | {"CARGO_TARGET_DIR": str(TARGET)}
    cargo = ["cargo", "build", "--release", "--locked"]
    names = {program.name for program in programs}
    if "ours" in names:
        subprocess.run([*cargo, "--example", "bench_server"], cwd=ROOT, env=environment, check=True)
    if names - {"ours", "go"}:
        subprocess.run(cargo, cwd=BENCH, env=environment, check=True)
    if "go" in names:
        programs = [program for program in programs if program.name != "go" or build_go(program)]
    return programs


def build_go(program):
    if not shutil.which("go"):
        print("left out: go, because there is no `go` on the PATH")
        return False
    subprocess.run(["go", "build", "-o", program.path, "."], cwd=BENCH / "go" / "server", check=True)
    return True


def versions(programs):
    """A dictionary from a program's name to what it is: its library and the version of that."""
    crates = {"floor": "tokio", "may_minihttp": "may_minihttp", "hyper": "hyper", "axum": "axum", "actix": "actix-web"}
    locked = locked_versions()
    found = {}
    for program in programs:
        match program.name:
            case "ours":
                found["ours"] = f"nethttp {said(['git', 'describe', '--always', '--dirty'])}"
            case "go":
                found["go"] = said(["go", "version"]).removeprefix("go version ")
            case name:
                found[name] = f"{crates[name]} {locked[crates[name]]}"
    return found


def locked_versions():
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    packages = json.loads(said(command, BENCH))["packages"]
    return {package["name"]: package["version"] for package in packages}


def said(command, directory=ROOT):
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout.strip()
