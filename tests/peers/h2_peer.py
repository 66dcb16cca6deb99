"""A peer of the tests in ../python_peers.rs that speaks HTTP/2 by the package h2, by prior knowledge.

    h2_peer.py client PORT   asks a server in one way after the other, and says what went wrong
    h2_peer.py server        serves on a port that it prints, until its input ends
"""

import socket
import sys
import threading

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    InformationalResponseReceived,
    PingAckReceived,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

CONTENT = b"0123456789" * 100_000


class Line:
    """A connection: h2 decides, this carries the bytes."""

    def __init__(self, sock, is_client):
        self.sock = sock
        self.sock.settimeout(20)
        self.state = H2Connection(H2Configuration(client_side=is_client, header_encoding="utf-8"))
        self.state.initiate_connection()
        self.flush()
        self.outgoing = {}

    def flush(self):
        self.sock.sendall(self.state.data_to_send())

    def events(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError("the peer closed")
        events = self.state.receive_data(data)
        for event in events:
            if isinstance(event, DataReceived) and event.flow_controlled_length:
                self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self.go_on()
        return events

    def send(self, stream, content, trailer=None):
        """Sends content as there is room for it, now and behind each event."""
        self.outgoing[stream] = (content, trailer)
        self.go_on()

    def go_on(self):
        for stream, (content, trailer) in list(self.outgoing.items()):
            while content:
                room = min(self.state.local_flow_control_window(stream), self.state.max_outbound_frame_size)
                if room <= 0:
                    break
                self.state.send_data(stream, content[:room])
                content = content[room:]
            self.outgoing[stream] = (content, trailer)
            if not content:
                del self.outgoing[stream]
                if trailer is None:
                    self.state.end_stream(stream)
                else:
                    self.state.send_headers(stream, trailer, end_stream=True)
        self.flush()


# ------------------------------------------------------------ the client


class Answer:
    def __init__(self):
        self.head, self.content, self.trailer, self.early, self.is_reset = {}, b"", {}, [], False


class Client(Line):
    def __init__(self, port):
        super().__init__(socket.create_connection(("127.0.0.1", port)), True)
        self.answers = {}

    def begin(self, method, path, content=None, trailer=None):
        stream = self.state.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "http"), (":authority", "a.test"), (":path", path)]
        self.state.send_headers(stream, head, end_stream=content is None)
        self.answers[stream] = Answer()
        if content is not None:
            self.send(stream, content, trailer)
        self.flush()
        return stream

    def wait(self, *streams):
        """Until all of these have ended."""
        open_streams = set(streams)
        while open_streams:
            for event in self.events():
                answer = self.answers.get(getattr(event, "stream_id", None))
                if isinstance(event, InformationalResponseReceived):
                    answer.early.append(dict(event.headers))
                elif isinstance(event, ResponseReceived):
                    answer.head = dict(event.headers)
                elif isinstance(event, DataReceived):
                    answer.content += event.data
                elif isinstance(event, TrailersReceived):
                    answer.trailer = dict(event.headers)
                elif isinstance(event, StreamReset):
                    answer.is_reset = True
                    open_streams.discard(event.stream_id)
                elif isinstance(event, StreamEnded):
                    open_streams.discard(event.stream_id)
                elif isinstance(event, ConnectionTerminated):
                    raise AssertionError(f"the server ended the connection: {event}")
        return [self.answers.pop(stream) for stream in streams]

    def ask(self, *what):
        return self.wait(self.begin(*what))[0]


def many(client):
    for answer in client.wait(*(client.begin("GET", "/proto") for _ in range(50))):
        assert (answer.head[":status"], answer.content) == ("200", b"HTTP/2.0"), answer.head
    answer = client.ask("HEAD", "/proto")
    assert (answer.head["content-length"], answer.content) == ("8", b""), answer.head
    assert client.ask("GET", "/none").head[":status"] == "404"


def content(client):
    assert client.ask("POST", "/count", CONTENT).content == b"%d" % len(CONTENT)
    assert client.ask("POST", "/echo", CONTENT).content == CONTENT
    assert client.ask("POST", "/ignore", CONTENT).content == b"ignored"
    answer = client.ask("POST", "/trailer", b"content", [("x-check", "sent")])
    assert (answer.content, answer.trailer) == (b"sent", {"x-sum": "7"}), answer.trailer
    several = [client.begin("POST", "/echo", CONTENT[:300_000]) for _ in range(5)]
    assert all(answer.content == CONTENT[:300_000] for answer in client.wait(*several))


def informational(client):
    answer = client.ask("GET", "/hints")
    assert answer.content == b"done" and answer.early[0][":status"] == "103", answer.early
    assert answer.early[0]["link"] == "</a>"


def broken(client):
    answer = client.ask("GET", "/abort")
    assert answer.is_reset, "an answer that was cut looks whole"
    stream = client.begin("GET", "/wait")
    client.state.reset_stream(stream, 8)
    client.state.ping(b"01234567")
    client.flush()
    while not any(isinstance(event, PingAckReceived) for event in client.events()):
        pass
    assert client.ask("GET", "/proto").content == b"HTTP/2.0", "one stream's end is its own"


# ------------------------------------------------------------ the server


def serve(sock):
    line = Line(sock, False)
    requests = {}
    try:
        while True:
            for event in line.events():
                if isinstance(event, RequestReceived):
                    requests[event.stream_id] = [dict(event.headers), b"", {}]
                elif isinstance(event, DataReceived):
                    requests[event.stream_id][1] += event.data
                elif isinstance(event, TrailersReceived):
                    requests[event.stream_id][2] = dict(event.headers)
                elif isinstance(event, StreamReset):
                    line.outgoing.pop(event.stream_id, None)
                    requests.pop(event.stream_id, None)
                elif isinstance(event, StreamEnded) and event.stream_id in requests:
                    answer(line, event.stream_id, *requests.pop(event.stream_id))
                elif isinstance(event, ConnectionTerminated):
                    return
    except (OSError, EOFError):
        # The client left, or its test ended.
        pass
    finally:
        sock.close()


def answer(line, stream, head, got, trailer):
    path, ok = head[":path"], [(":status", "200")]
    if path == "/hints":
        line.state.send_headers(stream, [(":status", "103"), ("link", "</a>")])
    line.state.send_headers(stream, ok, end_stream=head[":method"] == "HEAD")
    if path == "/echo":
        line.send(stream, got)
    elif path == "/trailer":
        line.send(stream, trailer["x-check"].encode(), [("x-sum", str(len(got)))])
    elif path == "/abort":
        line.state.send_data(stream, b"partial")
        line.state.reset_stream(stream, 2)
        line.flush()
    elif path == "/close":
        line.send(stream, b"bye")
        line.state.close_connection(last_stream_id=stream)
        line.flush()
        raise EOFError
    elif head[":method"] != "HEAD":
        line.send(stream, b"done" if path == "/hints" else b"HTTP/2.0")
    line.flush()


def main():
    if sys.argv[1] == "client":
        client = Client(int(sys.argv[2]))
        for ask in (many, content, informational, broken):
            ask(client)
        print("all went well")
        return
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=accept, args=(listener,), daemon=True).start()
    sys.stdin.read()


def accept(listener):
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=serve, args=(sock,), daemon=True).start()


if __name__ == "__main__":
    main()
