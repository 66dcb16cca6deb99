#!/usr/bin/env python3
"""Replays raw HTTP/1 requests against a server and judges what comes back.

    server.py [--vectors FILE] [--only IDs] [--group NAME] [--json OUT] -- COMMAND...

COMMAND is the server program of README.md: it is started with PORT set to a free port
and has to print `ready`. Each vector is one fresh connection: its bytes are written, the
answers are read until the connection closes or falls quiet, and, when it stayed open, one
more request is sent to see that both ends still agree where a message starts.
"""

import json
import re
import select
import socket
import time
from dataclasses import dataclass, field

import kit

JOBS = 12  # connections at a time; nearly all of their time is waiting


@dataclass
class Pace:
    """How long to wait: `quiet` without a byte ends a reading, `total` ends it anyway,
    `answer` is how long a step waits for the first bytes of an answer."""

    quiet: float
    total: float
    answer: float


USUAL_PACE = Pace(quiet=0.35, total=3.0, answer=1.0)
PATIENT_PACE = Pace(quiet=0.8, total=6.0, answer=2.0)

PROBE = b"GET /probe HTTP/1.1\r\nHost: probe.test\r\nConnection: close\r\n\r\n"

# Statuses that, in this contract, only the parser answers: it no longer knows where the
# next message starts (or must not trust it), so the connection has to close.
PARSER_STATUSES = {"400", "414", "431", "505"}
REDIRECT_STATUSES = {"301", "302", "307", "308"}


# ---------------------------------------------------------------- a connection of raw bytes


class Connection:
    """A client connection that keeps all it has read, also while it is still writing."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.received = b""
        self.closed = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data, limit=5.0):
        """Writes all of `data`, reading meanwhile; gives up when the peer has closed."""
        rest = memoryview(data)
        end = time.monotonic() + limit
        while rest and not self.closed and time.monotonic() < end:
            readable, writable, _ = select.select([self.socket], [self.socket], [], 0.2)
            if readable:
                self._take()
            if writable and not self.closed:
                try:
                    rest = rest[self.socket.send(rest) :]
                except BlockingIOError:
                    pass
                except OSError:
                    return  # the peer takes no more; what it said is still to be read

    def end_sending(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def read_until_quiet(self, quiet, total):
        """Reads until the end, `quiet` seconds without a byte, or `total` seconds."""
        end = time.monotonic() + total
        while not self.closed:
            wait = min(quiet, end - time.monotonic())
            if wait <= 0 or not self._wait_readable(wait):
                return
            self._take()

    def read_until_answer(self, limit):
        """Reads until the head of any response is there, the end, or `limit` seconds."""
        end = time.monotonic() + limit
        before = len(self.received)
        while not self.closed and b"\r\n\r\n" not in self.received[before:]:
            wait = end - time.monotonic()
            if wait <= 0 or not self._wait_readable(wait):
                return
            self._take()

    def _wait_readable(self, seconds):
        return bool(select.select([self.socket], [], [], seconds)[0])

    def _take(self):
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:  # a reset ends the connection too
            data = b""
        self.received += data
        self.closed = not data


# ---------------------------------------------------------------- reading responses


@dataclass
class Response:
    status: int
    fields: dict  # name in lower case -> list of values
    body: bytes = b""

    def is_final(self):
        return self.status >= 200 or self.status == 101

    def echo(self):
        return parse_echo(self.body)


STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n")


def parse_responses(data, head_responses=()):
    """Cuts `data` into responses. `head_responses` are the places, counted among the final
    responses, of those that answer a HEAD request. Returns (responses, leftover), where
    leftover says what is no (whole) response."""
    responses = []
    finals = 0
    at = 0
    while at < len(data):
        head_end = data.find(b"\r\n\r\n", at)
        if head_end < 0 or not STATUS_LINE.match(data, at):
            return responses, printable(data[at:])
        response = parse_head(data[at : head_end + 2])
        responses.append(response)
        at = head_end + 4
        if not response.is_final():
            continue
        bodiless = finals in head_responses or response.status in (204, 304)
        finals += 1
        if not bodiless:
            response.body, at, fault = parse_body(response, data, at)
            if fault:
                return responses, fault
    return responses, ""


def parse_head(head):
    lines = head.split(b"\r\n")
    fields = {}
    for line in lines[1:-1]:
        name, _, value = line.partition(b":")
        name = name.strip().lower().decode("latin-1")
        fields.setdefault(name, []).append(value.strip().decode("latin-1"))
    return Response(int(STATUS_LINE.match(head).group(1)), fields)


def parse_body(response, data, at):
    """The body that starts at `at`: (body, where it ends, fault)."""
    codings = response.fields.get("transfer-encoding")
    if codings and "chunked" in codings[-1].lower():
        return parse_chunks(data, at)
    lengths = response.fields.get("content-length")
    if not lengths:
        return data[at:], len(data), ""  # until the connection closes
    if not lengths[0].isdecimal():
        return b"", at, f"bad Content-Length {lengths[0]!r}"
    end = at + int(lengths[0])
    fault = "a body shorter than its Content-Length" if end > len(data) else ""
    return data[at:end], end, fault


def parse_chunks(data, at):
    body = b""
    while True:
        line_end = data.find(b"\r\n", at)
        if line_end < 0:
            return body, at, "a chunked body that does not end"
        try:
            size = int(data[at:line_end].split(b";")[0], 16)
        except ValueError:
            return body, at, f"a bad chunk size {printable(data[at:line_end])}"
        at = line_end + 2
        if size == 0:
            break
        body += data[at : at + size]
        at += size + 2
    while True:  # the trailer section, up to an empty line
        line_end = data.find(b"\r\n", at)
        if line_end < 0:
            return body, at, "a trailer section that does not end"
        empty, at = line_end == at, line_end + 2
        if empty:
            return body, at, ""


ECHO_VALUE = re.compile(r' ?(m|t|h|b|tr|x)=(?=")')


def parse_echo(body):
    """What the `/` handler saw, as {"m": method, "t": target, ...}; None when the body is
    no echo. Each value is a JSON string whose characters stand for bytes."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        text = body.decode("latin-1")
    if not text.startswith("m="):
        return None
    values = {}
    at = 0
    while match := ECHO_VALUE.match(text, at):
        try:
            values[match.group(1)], at = json.JSONDecoder().raw_decode(text, match.end())
        except ValueError:
            return None
    return values


def printable(data):
    return ascii(data[:60].decode("latin-1"))


# ---------------------------------------------------------------- one case


@dataclass
class Observation:
    status: str  # the first final status, or h2, close-no-response, wait
    statuses: list  # all of them, informational ones included
    closed: bool
    leftover: str
    echoes: list = field(default_factory=list)  # of the final responses; None where none
    location: str = ""
    probe: str = ""  # what became of a request sent afterwards

    def record(self):
        return {key: value for key, value in vars(self).items() if value not in ("", [], None)}


def replay(vector, port, pace):
    """Sends one vector over a fresh connection and says what was seen."""
    with Connection(port) as connection:
        send_vector(connection, vector, pace)
        connection.read_until_quiet(pace.quiet, pace.total)
        seen = observe(connection, vector)
        unfinished = vector.get("message_incomplete") or vector.get("half_close_after_send")
        if seen.status != "h2" and not connection.closed and not unfinished:
            seen.probe = send_probe(connection, pace)
        return seen


def send_vector(connection, vector, pace):
    if "steps" not in vector:
        connection.send(kit.vector_bytes(vector))
    for step in vector.get("steps", []):
        connection.send(step["raw"].encode("latin-1"))
        if step.get("wait") == "response":
            connection.read_until_answer(pace.answer)
        elif step.get("wait") == "quiet":
            time.sleep(0.1)
    if vector.get("half_close_after_send"):
        connection.end_sending()


def observe(connection, vector):
    if is_http2_settings(connection.received):
        return Observation("h2", [], connection.closed, "")
    responses, leftover = parse_responses(connection.received, vector.get("head_responses", ()))
    finals = [response for response in responses if response.is_final()]
    if finals:
        status = str(finals[0].status)
    else:
        status = "close-no-response" if connection.closed else "wait"
    return Observation(
        status=status,
        statuses=[str(response.status) for response in responses],
        closed=connection.closed,
        leftover=leftover,
        echoes=[response.echo() for response in finals],
        location=finals[0].fields.get("location", [""])[0] if finals else "",
    )


def is_http2_settings(data):
    """Whether the answer begins with an HTTP/2 SETTINGS frame on stream 0."""
    return len(data) >= 9 and data[3] == 4 and data[5:9] == b"\0\0\0\0"


def send_probe(connection, pace):
    """Sends one more request: `in-sync` when it is answered as the request that it is."""
    before = len(connection.received)
    connection.send(PROBE)
    connection.read_until_quiet(pace.quiet, pace.total)
    responses, _ = parse_responses(connection.received[before:])
    finals = [response for response in responses if response.is_final()]
    if not finals:
        return "closed" if connection.closed else "not answered"
    echo = finals[0].echo() or {}
    if (echo.get("m"), echo.get("t")) == ("GET", "/probe"):
        return "in-sync"
    return f"out of sync ({finals[0].status})"


# ---------------------------------------------------------------- judging

HANDLER_VALUES = {  # the names in the vectors -> the names in the echo
    "method": "m",
    "target": "t",
    "host": "h",
    "body": "b",
    "x_header_values_joined_by_bar": "x",
}


def judge(vector, seen):
    """The list of what is wrong; empty when the case passes."""
    expected = kit.as_list(vector["expect"])
    if seen.status == "h2":  # an HTTP/1 rule says nothing about the rest
        return [] if "h2" in expected else ["answered in HTTP/2"]

    problems = []
    redirected = is_allowed_redirect(vector, seen)
    if seen.status not in expected and not redirected:
        problems.append(f"status {seen.status}, expected {' or '.join(expected)}")
    problems += judge_connection(vector, seen, expected[0])
    sequences = vector.get("status_sequences")
    if sequences and seen.statuses not in sequences:
        wanted = " or ".join(",".join(sequence) for sequence in sequences)
        problems.append(f"statuses {','.join(seen.statuses) or 'none'}, expected {wanted}")
    if seen.leftover:
        problems.append(f"bytes that are no response: {seen.leftover}")
    if seen.status == "200":
        problems += judge_handler_view(vector, seen)
    forbidden = vector.get("must_never_serve")
    if forbidden and any(echo and echo.get("t") == forbidden for echo in seen.echoes):
        problems.append(f"{forbidden} was served")
    return problems


def is_allowed_redirect(vector, seen):
    """Whether a mux sent the client to the cleaned path, where the vector allows it."""
    cleaned = vector.get("or_redirect_to")
    return cleaned is not None and seen.status in REDIRECT_STATUSES and seen.location == cleaned


def judge_connection(vector, seen, recommended):
    problems = []
    if vector["close"] is True and not seen.closed:
        problems.append("the connection was not closed")
    elif seen.status in PARSER_STATUSES and not seen.closed:
        problems.append(f"the connection was not closed after {seen.status}")
    elif vector["close"] is False and seen.closed and seen.status == recommended:
        problems.append("the connection was closed")
    if seen.probe.startswith("out of sync"):
        problems.append(f"the next request on the connection was misread: {seen.probe}")
    elif vector["close"] is False and seen.probe not in ("", "in-sync"):
        problems.append(f"the next request on the connection: {seen.probe}")
    return problems


def judge_handler_view(vector, seen):
    problems = []
    echo = seen.echoes[0] if seen.echoes else None
    for name, wanted in vector.get("handler_must_see", {}).items():
        if echo is None:
            return ["no echo of what the handler saw"]
        got = echo.get(HANDLER_VALUES[name])
        if got != wanted:
            problems.append(f"the handler saw {name} {got!a}, expected {wanted!a}")
    return problems


# ---------------------------------------------------------------- the run


def run():
    arguments = kit.parse_arguments("Replays raw requests against a server.", "../vectors/server.json")
    vectors = kit.load_vectors(arguments.vectors, arguments.only, arguments.group)
    port = kit.free_port()

    def attempt(vector, patient):
        seen = replay(vector, port, PATIENT_PACE if patient else USUAL_PACE)
        return judge(vector, seen), seen.record()

    program = kit.Program(arguments.command, {"PORT": str(port)})
    try:
        program.wait_for_line("ready", kit.READY_SECONDS)
        results = kit.run_cases(vectors, attempt, JOBS, program)
        return kit.report(vectors, results, program, arguments.json)
    finally:
        program.stop()


if __name__ == "__main__":
    kit.main(run)
