"""What the kit's programs share: arguments, vectors, the program under test,
running the cases, and the report."""

import argparse
import base64
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

READY_SECONDS = 20  # how long a program may take to say that it is ready
STOP_SECONDS = 3  # how long it may take to end after SIGTERM
RETRY_SECONDS = 30  # how long all second tries together may take


class ProgramError(Exception):
    """The program under test could not be started, or ended too early."""


# ---------------------------------------------------------------- arguments and vectors


def parse_arguments(description, default_vectors):
    """Reads `[--vectors FILE] [--only IDs] [--group NAME] [--json OUT] -- COMMAND...`."""
    parser = argparse.ArgumentParser(
        description=description,
        usage="%(prog)s [--vectors FILE] [--only IDs] [--group NAME] [--json OUT] -- COMMAND...",
    )
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--vectors", metavar="FILE", default=os.path.join(here, default_vectors))
    parser.add_argument("--only", metavar="IDs", help="only these cases, ids separated by commas")
    parser.add_argument("--group", metavar="NAME", help="only the cases of this group")
    parser.add_argument("--json", metavar="OUT", help="write every result to this file")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the program under test")
    arguments = parser.parse_args()
    if arguments.command[:1] == ["--"]:
        arguments.command = arguments.command[1:]
    if not arguments.command:
        parser.error("name the program under test after --")
    return arguments


def load_vectors(path, only=None, group=None):
    """The vectors of a file, narrowed to some ids and one group, risky ones first."""
    with open(path, encoding="utf-8") as file:
        vectors = json.load(file)
    if only:
        wanted = [name.strip() for name in only.split(",") if name.strip()]
        unknown = set(wanted) - {vector["id"] for vector in vectors}
        if unknown:
            raise SystemExit(f"{path} has no case {', '.join(sorted(unknown))}")
        vectors = [vector for vector in vectors if vector["id"] in wanted]
    if group:
        vectors = [vector for vector in vectors if vector["group"] == group]
    if not vectors:
        raise SystemExit("no case is left to run")
    return sorted(vectors, key=lambda vector: not vector.get("risky", False))


def vector_bytes(vector):
    """The bytes of a vector: `raw`, `raw_b64`, or the joined `raw_parts`."""
    if "raw" in vector:
        return vector["raw"].encode("latin-1")
    if "raw_b64" in vector:
        return base64.b64decode(vector["raw_b64"])
    return b"".join(part_bytes(part) for part in vector["raw_parts"])


def part_bytes(part):
    """One part, `s` (latin-1) or `b64`, repeated `n` times."""
    piece = part["s"].encode("latin-1") if "s" in part else base64.b64decode(part["b64"])
    return piece * part.get("n", 1)


def as_list(value):
    return value if isinstance(value, list) else [value]


# ---------------------------------------------------------------- the program under test


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Program:
    """A program under test in a process group of its own, so that stopping it ends it and
    what it started, and nothing else."""

    def __init__(self, command, environment, take_input=False):
        """`environment` is added to that of this process; a None takes a variable away."""
        merged = {**os.environ, **environment}
        self._errors = tempfile.TemporaryFile()
        self._lines = queue.Queue()
        try:
            self.process = subprocess.Popen(
                command,
                env={name: value for name, value in merged.items() if value is not None},
                stdin=subprocess.PIPE if take_input else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
            )
        except OSError as error:
            raise ProgramError(f"{command[0]} could not be started: {error}") from None
        threading.Thread(target=self._collect_lines, daemon=True).start()

    def _collect_lines(self):
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def next_line(self, timeout=None):
        """The next line of standard output; None at its end. Raises queue.Empty in time."""
        return self._lines.get(timeout=timeout)

    def wait_for_line(self, wanted, seconds):
        end = time.monotonic() + seconds
        while True:
            try:
                line = self.next_line(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise ProgramError(f"no line {wanted!r} within {seconds} s{self.last_words()}") from None
            if line is None:
                raise ProgramError(f"the program ended before {wanted!r}{self.last_words()}")
            if line.decode("utf-8", "replace").strip() == wanted:
                return

    def running(self):
        return self.process.poll() is None

    def last_words(self, lines=8):
        """The end of its standard error, for messages."""
        self._errors.seek(0)
        text = self._errors.read().decode("utf-8", "replace").strip().splitlines()[-lines:]
        return "".join("\n    " + line for line in text)

    def stop(self):
        """SIGTERM, then SIGKILL, to the process group that was started, and to no other."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                break
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue
        self.process.wait()


# ---------------------------------------------------------------- running and reporting


def run_cases(vectors, attempt, jobs, program):
    """Runs `attempt(vector, patient)` -> (problems, observed) for each vector, `jobs` at a
    time. A case that fails is tried once more, alone and patiently: on a busy machine the
    first failure may be one of time only. Returns {id: (problems, observed)}."""

    def guarded(vector, patient):
        try:
            return attempt(vector, patient)
        except (OSError, ProgramError) as error:
            return [f"{type(error).__name__}: {error}"], {}

    with ThreadPoolExecutor(jobs) as pool:
        first_tries = pool.map(lambda vector: guarded(vector, False), vectors)
        results = {vector["id"]: result for vector, result in zip(vectors, first_tries)}

    retry_until = time.monotonic() + RETRY_SECONDS
    for vector in vectors:
        problems, _ = results[vector["id"]]
        if problems and program.running() and time.monotonic() < retry_until:
            results[vector["id"]] = guarded(vector, True)
    return results


def report(vectors, results, program, json_path=None):
    """Prints the failures and the closing line; returns the exit status."""
    failed = 0
    for vector in sorted(vectors, key=lambda vector: vector["id"]):
        problems, _ = results[vector["id"]]
        if problems:
            failed += 1
            mark = " (risky)" if vector.get("risky") else ""
            print(f"FAIL {vector['id']}{mark}: {'; '.join(problems)} | {vector['why']}")
    if not program.running():
        failed = max(failed, 1)
        print(f"the program ended during the run{program.last_words()}")
    if json_path:
        write_json(vectors, results, json_path)
    print(f"{len(vectors) - failed} passed, {failed} failed")
    return 1 if failed else 0


def write_json(vectors, results, path):
    """One object a line: id, passed, problems, and what was observed."""
    lines = []
    for vector in vectors:
        problems, observed = results[vector["id"]]
        entry = {"id": vector["id"], "passed": not problems, "problems": problems, "observed": observed}
        lines.append(json.dumps(entry, ensure_ascii=True))
    with open(path, "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(lines) + "\n]\n")


def main(run):
    """Runs a kit's `run()` and turns a program that cannot be used into one clear line."""
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        sys.exit(run())
    except ProgramError as error:
        sys.exit(f"{error}")
