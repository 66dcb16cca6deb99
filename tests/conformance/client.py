#!/usr/bin/env python3
"""Plays a server of raw HTTP/1 bytes to a client and judges what the client makes of it.

    client.py [--vectors FILE] [--only IDs] [--group NAME] [--json OUT] -- COMMAND...

COMMAND is the client program of README.md, started once. Each vector gets a client and a
fake server of its own. The client sends the vector's request, the fake server answers
with the vector's bytes, and then the same client sends a second request: it shows whether
the connection was used again, and whether stray bytes were taken for its answer.
"""

import json
import queue
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

import kit

JOBS = 8  # vectors at a time
CLIENT_CONFIG = {"timeout_ms": 2500, "expect_continue_timeout_ms": 1000}
HOST_NAMES = ("localhost", "sub.localhost")  # resolved here, so that no name lookup leaves the machine
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
SECRET_FIELDS = ("authorization", "cookie", "proxy-authorization", "cookie2", "www-authenticate")


@dataclass
class Pace:
    """`answer`: how long the program may take for an answer; `pause`: between the two
    requests; `late_pause`: the same when the server still does something after 100 ms."""

    answer: float
    pause: float
    late_pause: float


USUAL_PACE = Pace(answer=8.0, pause=0.02, late_pause=0.25)
PATIENT_PACE = Pace(answer=15.0, pause=0.2, late_pause=0.7)


# ---------------------------------------------------------------- the client program


class ClientProgram:
    """Speaks JSON lines with the program under test, from many threads at once."""

    def __init__(self, program):
        self._program = program
        self._lock = threading.Lock()
        self._waiting = {}  # key -> queue of one answer
        self._ended = False
        threading.Thread(target=self._read_answers, daemon=True).start()

    def make_client(self, name, config, seconds):
        self._ask({"op": "client", "name": name, "config": config}, ("client", name), seconds)

    def do(self, request, seconds):
        """Sends one `do`; returns the answer, in which `outcome` is sure to be there."""
        answer = self._ask({"op": "do", **request}, ("do", request["id"]), seconds)
        if "outcome" not in answer:
            raise kit.ProgramError(f"an answer without outcome: {json.dumps(answer)[:200]}")
        return answer

    def _ask(self, request, key, seconds):
        answer = queue.Queue(1)
        with self._lock:
            if self._ended:
                raise kit.ProgramError("the client program has ended")
            self._waiting[key] = answer
            try:
                self._program.process.stdin.write(json.dumps(request).encode() + b"\n")
                self._program.process.stdin.flush()
            except OSError as error:
                raise kit.ProgramError(f"the client program takes no input: {error}") from None
        try:
            reply = answer.get(timeout=seconds)
        except queue.Empty:
            raise kit.ProgramError(f"no answer from the client program within {seconds:g} s") from None
        if reply is None:
            raise kit.ProgramError("the client program ended")
        return reply

    def _read_answers(self):
        while (line := self._program.next_line()) is not None:
            try:
                answer = json.loads(line)
                key = ("do", answer["id"]) if "id" in answer else (answer["op"], answer["name"])
            except (ValueError, KeyError, TypeError):
                continue  # a line that is no answer
            with self._lock:
                waiting = self._waiting.pop(key, None)
            if waiting:
                waiting.put(answer)
        with self._lock:
            self._ended = True
            for waiting in self._waiting.values():
                waiting.put(None)

    def end_input(self):
        try:
            self._program.process.stdin.close()
        except OSError:
            pass


# ---------------------------------------------------------------- the fake server

REQUEST_LINE = re.compile(r"(GET|HEAD|POST) (\S+) HTTP/1\.1")


@dataclass
class Request:
    line: str
    fields: list  # of (name in lower case, value)
    target: str = ""  # empty when the request line is malformed

    def value(self, name):
        return next((value for other, value in self.fields if other == name), None)

    def secrets(self):
        return sorted({name for name, _ in self.fields} & set(SECRET_FIELDS))

    def is_second(self):
        """The requests that are answered with a report instead of the vector's bytes."""
        return self.target.split("?")[0] == "/ok" or self.target.endswith("?2")


class Peer:
    """The server's end of one connection; keeps every byte that the client sent."""

    def __init__(self, connection):
        self.socket = connection
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(8)
        self.received = b""
        self.at = 0  # how much of `received` has been taken
        self.requests = 0
        self.unread_body = None  # the request whose body is still to come

    def next_request(self):
        """The next request head, after the rest of the request before it; None at the end."""
        if self.unread_body:
            self.read_body(self.unread_body)
        try:
            head = self._take_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        except EOFError:
            return None
        fields = []
        for line in head[1:]:
            name, _, value = line.partition(":")
            fields.append((name.lower(), value.strip()))
        request = Request(head[0], fields)
        if match := REQUEST_LINE.fullmatch(head[0]):
            request.target = match.group(2)
        self.requests += 1
        self.unread_body = request
        return request

    def read_body(self, request):
        self.unread_body = None
        if request.value("content-length") is not None:
            return self._take(int(request.value("content-length")))
        if (request.value("transfer-encoding") or "").lower() == "chunked":
            return self._take_chunks()
        return b""

    def _take_chunks(self):
        body = b""
        while size := int(self._take_until(b"\r\n").split(b";")[0], 16):
            body += self._take(size)
            self._take_until(b"\r\n")
        while self._take_until(b"\r\n"):
            pass  # a trailer field
        return body

    def _take_until(self, mark):
        """What comes before the next `mark`, which is taken too."""
        while (end := self.received.find(mark, self.at)) < 0:
            self._receive()
        piece = self.received[self.at : end]
        self.at = end + len(mark)
        return piece

    def _take(self, count):
        while len(self.received) < self.at + count:
            self._receive()
        self.at += count
        return self.received[self.at - count : self.at]

    def _receive(self):
        data = self.socket.recv(262144)
        if not data:
            raise EOFError
        self.received += data

    def drain(self, seconds):
        """Reads what still comes, for so long at most."""
        end = time.monotonic() + seconds
        try:
            while (left := end - time.monotonic()) > 0:
                self.socket.settimeout(left)
                self._receive()
        except (OSError, EOFError):
            pass

    def reset(self):
        """Makes the coming close a reset instead of an orderly end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class FakeServer:
    """Plays one vector on two ports, for redirects from one to the other."""

    def __init__(self, vector):
        self.vector = vector
        self.peers = []
        self.garbled = []  # request lines that no client may send
        self.second_requests = 0
        self._listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.port, self.other_port = (each.getsockname()[1] for each in self._listeners)
        for listener in self._listeners:
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for end in self._listeners + [peer.socket for peer in self.peers]:
            try:
                end.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits on it
            except OSError:
                pass
            end.close()

    def wire(self):
        """All that the client sent, connection after connection."""
        return b"\n".join(peer.received for peer in self.peers)

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # closed: the vector is done
            peer = Peer(connection)
            self.peers.append(peer)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        try:
            with peer.socket:
                while (request := peer.next_request()) and self._answer(peer, request):
                    pass
        except (OSError, EOFError, ValueError):
            pass  # the client went away, or sent a body that cannot be read

    def _answer(self, peer, request):
        """Answers one request; whether the connection goes on."""
        if not request.target:
            self.garbled.append(request.line[:100])
            return False
        if request.is_second():
            return self._answer_second(peer, request)
        if request.target == "/hop2":
            peer.socket.sendall(b"HTTP/1.1 302 F\r\nLocation: /ok?2\r\nContent-Length: 0\r\n\r\n")
            return True
        return self._play(peer, request)

    def _answer_second(self, peer, request):
        """Answers with a report of what arrived, as JSON."""
        self.second_requests += 1
        body = peer.read_body(request)
        reused = peer.requests > 1
        if self.vector.get("second_request_gets") == "close" and reused:
            return False
        report = {"reused": reused, "line": request.line, "body_len": len(body), "secrets": request.secrets()}
        content = json.dumps(report).encode()
        peer.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
        return True

    def _play(self, peer, request):
        """Sends the vector's bytes and does what it says next."""
        vector = self.vector
        early = vector.get("before_request_body", False)
        if not early:
            peer.read_body(request)
        peer.socket.sendall(self._script())
        if fill := vector.get("then_fill"):
            send_fill(peer.socket, fill)
        if "after_request_body_write" in vector:
            peer.read_body(request)
            peer.socket.sendall(vector["after_request_body_write"].encode("latin-1"))
        if "after_100ms_write" in vector:
            time.sleep(0.1)
            peer.socket.sendall(vector["after_100ms_write"].encode("latin-1"))
            if vector.get("after_100ms_close"):
                return False
        return self._finish(peer, request, early)

    def _script(self):
        script = kit.vector_bytes(self.vector) + self.vector.get("extra_same_write", "").encode("latin-1")
        script = script.replace(b"@PORT2@", str(self.other_port).encode())
        return script.replace(b"@PORT@", str(self.port).encode())

    def _finish(self, peer, request, early):
        then = self.vector["server_then"]
        if then == "read-rest-of-request-keep-open":
            peer.read_body(request)
        elif then == "close-fin":
            if early:
                time.sleep(0.2)
            peer.socket.shutdown(socket.SHUT_WR)
            peer.drain(1.0)
        elif then == "reset":
            time.sleep(0.05)
            peer.reset()
        return then.endswith("keep-open")


def send_fill(connection, fill):
    """Sends `s` `n` times, in large blocks, then `tail`."""
    unit = fill["s"].encode("latin-1")
    in_block = max(1, 65536 // len(unit))
    left = fill["n"]
    while left > 0:
        connection.sendall(unit * min(in_block, left))
        left -= in_block
    connection.sendall(fill["tail"].encode("latin-1"))


# ---------------------------------------------------------------- one case


@dataclass
class Observation:
    first: dict  # the program's answers
    second: dict
    report: dict  # what the server says of the second request; None when another answer came
    connections: int = 0
    second_requests: int = 0
    garbled: list = field(default_factory=list)
    wire: bytes = b""

    def record(self):
        return {**vars(self), "wire": self.wire[:300].decode("latin-1")}


def exchange(vector, client, name, pace):
    """Lets the client meet the vector's server, twice, and says what was seen."""
    with FakeServer(vector) as server:
        client.make_client(name, client_config(server), pace.answer)
        first = client.do({"id": f"{name}/1", "client": name, **first_request(vector, server)}, pace.answer)
        time.sleep(pace.late_pause if "after_100ms_write" in vector else pace.pause)
        second = client.do({"id": f"{name}/2", "client": name, **second_request(vector, server)}, pace.answer)
        return Observation(
            first,
            second,
            read_report(second),
            connections=len(server.peers),
            second_requests=server.second_requests,
            garbled=server.garbled,
            wire=server.wire(),
        )


def client_config(server):
    places = [(name, port) for name in HOST_NAMES for port in (server.port, server.other_port)]
    resolve = {f"{name}:{port}": [f"127.0.0.1:{port}"] for name, port in places}
    return {**CLIENT_CONFIG, "resolve": resolve}


def first_request(vector, server):
    """The `do` of the vector's own request."""
    wanted = vector.get("request", {})
    url = f"http://127.0.0.1:{server.port}{wanted.get('path', '/' + vector['id'])}"
    if "query" in wanted:
        url += "?" + wanted["query"]
    request = {"method": wanted.get("method", "GET"), "url": url}
    if "host" in wanted:
        request["host"] = wanted["host"]
    if "headers" in wanted:
        request["headers"] = list(wanted["headers"].items())
    if "body_bytes" in wanted:
        request["body_len"] = wanted["body_bytes"]
    if "declared_content_length" in wanted:
        request["declare_len"] = wanted["declared_content_length"]
    if "trailer" in wanted:  # a trailer needs a body that is sent in chunks
        request.update(trailer=list(wanted["trailer"].items()), stream=True)
    if "client_reads_only" in vector:
        request["read_limit"] = vector["client_reads_only"]
    return request


def second_request(vector, server):
    request = {
        "method": vector.get("second_request_method", "GET"),
        "url": f"http://127.0.0.1:{server.port}/{vector['id']}?2",
    }
    if request["method"] == "POST":
        request["body"] = "x"
    return request


def read_report(answer):
    """The server's report in the body of an answer; None when the body is something else."""
    try:
        report = json.loads(answer.get("body", ""))
    except (ValueError, TypeError):
        return None
    return report if isinstance(report, dict) and "reused" in report else None


# ---------------------------------------------------------------- judging


def judge(vector, seen):
    """The list of what is wrong; empty when the case passes."""
    problems = judge_first(vector, seen.first) + judge_second(vector, seen)
    for line in seen.garbled:
        problems.append(f"the server read the malformed request line {line!a}")
    for text in kit.as_list(vector.get("wire_must_not_contain", [])):
        if text.encode("latin-1") in seen.wire:
            problems.append(f"{text!a} was sent")
    return problems


def judge_first(vector, first):
    expected = kit.as_list(vector["expect"])
    if first["outcome"] not in expected:
        said = f" ({first['error']})" if first.get("error") else ""
        return [f"outcome {first['outcome']}{said}, expected {' or '.join(expected)}"]
    if first["outcome"] != "ok":
        return []

    problems = []
    for name in ("status", "body"):
        wanted = vector.get(f"want_{name}")
        if wanted is not None and first.get(name) != wanted:
            problems.append(f"{name} {first.get(name)!a}, expected {wanted!a}")
    for name, wanted in vector.get("want_trailer", {}).items():
        if values_of(first.get("trailer"), name) != [wanted]:
            problems.append(f"trailer {first.get('trailer')}, expected {name}: {wanted}")
    for name, wanted in vector.get("want_headers", {}).items():
        got = values_of(first.get("headers"), name)
        if got != wanted:
            problems.append(f"{name} fields {got}, expected {wanted}")
    if wanted := vector.get("want_redirected"):
        report = read_report(first) or {}
        for name, value in wanted.items():
            if report.get(name) != value:
                problems.append(f"after the redirect: {name} {report.get(name)!a}, expected {value!a}")
    return problems


def values_of(fields, name):
    """The values of one field in a list of [name, value] pairs."""
    return [value for other, value in fields or [] if other.lower() == name.lower()]


def judge_second(vector, seen):
    outcome = seen.second["outcome"]
    if vector.get("second_request_expect"):  # it reached the server and may have had its effect
        if seen.second_requests > 1:
            return ["the second request was sent again although it is not idempotent"]
        return [] if outcome in ("error", "ok") else [f"the second request: outcome {outcome}"]
    if outcome != "ok":
        return [f"the second request: outcome {outcome} ({seen.second.get('error')})"]
    if seen.report is None:
        return [f"POISONED: the second request was answered with {str(seen.second.get('body'))[:60]!a}"]
    if vector["reuse"] is False and seen.report["reused"]:
        return ["the connection was used again although it must not be"]
    if vector["reuse"] is True and not seen.report["reused"] and seen.first["outcome"] == "ok":
        return ["the connection was not used again"]
    return []


# ---------------------------------------------------------------- the run


def run():
    arguments = kit.parse_arguments("Plays raw responses to a client.", "../vectors/client.json")
    vectors = kit.load_vectors(arguments.vectors, arguments.only, arguments.group)
    no_proxy = {name: None for variable in PROXY_VARIABLES for name in (variable, variable.upper())}
    program = kit.Program(arguments.command, no_proxy, take_input=True)
    client = ClientProgram(program)

    def attempt(vector, patient):
        name = vector["id"] + (" again" if patient else "")
        seen = exchange(vector, client, name, PATIENT_PACE if patient else USUAL_PACE)
        return judge(vector, seen), seen.record()

    try:
        results = kit.run_cases(vectors, attempt, JOBS, program)
        return kit.report(vectors, results, program, arguments.json)
    finally:
        client.end_input()
        program.stop()


if __name__ == "__main__":
    kit.main(run)
