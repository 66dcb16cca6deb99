"""A peer of the tests in ../python_peers.rs that speaks HTTP/1.1 by the package h11.

    h11_peer.py client PORT   asks a server in one way after the other, and says what went wrong
    h11_peer.py server        serves on a port that it prints, until its input ends
"""

import socket
import sys
import threading

import h11

CONTENT = b"0123456789" * 100_000


class Line:
    """A connection: h11 decides, this carries the bytes."""

    def __init__(self, sock, role):
        self.sock = sock
        self.sock.settimeout(20)
        self.state = h11.Connection(role)

    def send(self, *events):
        for event in events:
            data = self.state.send(event)
            if data is not None:
                self.sock.sendall(data)

    def next(self):
        while True:
            event = self.state.next_event()
            if event is not h11.NEED_DATA:
                return event
            self.state.receive_data(self.sock.recv(65536))


# ------------------------------------------------------------ the client


class Client(Line):
    def __init__(self, port):
        super().__init__(socket.create_connection(("127.0.0.1", port)), h11.CLIENT)

    def head(self, method, target, *fields):
        self.send(h11.Request(method=method, target=target, headers=[("Host", "a.test"), *fields]))

    def answer(self):
        """The answer, its content, its trailer, and the informational ones before it."""
        early, content = [], b""
        while True:
            event = self.next()
            if isinstance(event, h11.InformationalResponse):
                early.append((event.status_code, dict(event.headers)))
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                content += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return response, content, dict(event.headers), early
            else:
                raise AssertionError(f"{event} within an answer")

    def ask(self, method, target, content=b"", fields=(), trailer=None):
        self.head(method, target, *fields)
        if content:
            for at in range(0, len(content), 30_000):
                self.send(h11.Data(data=content[at : at + 30_000]))
        self.send(h11.EndOfMessage(headers=trailer or []))
        return self.answer()

    def again(self):
        assert self.state.our_state is h11.DONE and self.state.their_state is h11.DONE, self.state.states
        self.state.start_next_cycle()
        return self


CHUNKED = ("Transfer-Encoding", "chunked")


def kept(port):
    client = Client(port)
    for _ in range(3):
        response, content, _, _ = client.ask("GET", "/proto")
        assert (response.status_code, content) == (200, b"HTTP/1.1"), (response, content)
        client.again()
    response, content, _, _ = client.ask("HEAD", "/proto")
    assert dict(response.headers)[b"content-length"] == b"8" and content == b"", response
    client.again()
    response, _, _, _ = client.ask("GET", "/none")
    assert response.status_code == 404, response
    client.again()
    response, _, _, _ = client.ask("GET", "/proto", fields=[("Connection", "close")])
    assert dict(response.headers)[b"connection"] == b"close", response
    assert isinstance(client.next(), h11.ConnectionClosed)


def content(port):
    client = Client(port)
    length = ("Content-Length", str(len(CONTENT)))
    for fields in ([length], [CHUNKED]):
        for path in ("/count", "/echo"):
            response, got, _, _ = client.ask("POST", path, CONTENT, fields)
            assert got == (CONTENT if path == "/echo" else b"%d" % len(CONTENT)), len(got)
            # An answer that begins when much is still to come cannot promise another.
            closes = dict(response.headers).get(b"connection") == b"close"
            assert not closes or path == "/echo" and fields == [length], response
            client = Client(port) if closes else client.again()
    _, got, _, _ = client.ask("POST", "/ignore", b"a little", [("Content-Length", "8")])
    assert got == b"ignored", got
    client.again()
    _, got, trailer, _ = client.ask("POST", "/trailer", b"content", [CHUNKED], [("X-Check", "sent")])
    assert (got, trailer) == (b"sent", {b"x-sum": b"7"}), (got, trailer)


def informational(port):
    client = Client(port)
    _, got, _, early = client.ask("GET", "/hints")
    assert got == b"done" and early[0][0] == 103 and early[0][1][b"link"] == b"</a>", early
    client.again()
    client.head("PUT", "/echo", ("Content-Length", "7"), ("Expect", "100-continue"))
    event = client.next()
    assert isinstance(event, h11.InformationalResponse) and event.status_code == 100, event
    client.send(h11.Data(data=b"content"), h11.EndOfMessage())
    _, got, _, _ = client.answer()
    assert got == b"content", got
    client.again()
    client.head("PUT", "/refuse", ("Content-Length", "7"), ("Expect", "100-continue"))
    event = client.next()
    assert isinstance(event, h11.Response) and event.status_code == 413, event


def broken(port):
    try:
        Client(port).ask("GET", "/abort")
    except h11.RemoteProtocolError:
        return
    raise AssertionError("an answer that was cut looks whole")


# ------------------------------------------------------------ the server


def serve(sock):
    line = Line(sock, h11.SERVER)
    try:
        while one(line):
            line.state.start_next_cycle()
    except (OSError, h11.RemoteProtocolError):
        # The client left, or its test ended.
        pass
    finally:
        sock.close()


def one(line):
    """Answers one request. Whether another may follow."""
    request = line.next()
    if not isinstance(request, h11.Request):
        return False
    path = request.target.decode()
    if path == "/refuse":
        line.send(h11.Response(status_code=413, headers=[("Content-Length", "0")]), h11.EndOfMessage())
        return False
    if line.state.they_are_waiting_for_100_continue:
        line.send(h11.InformationalResponse(status_code=100, headers=[]))
    got, trailer = b"", {}
    while True:
        event = line.next()
        if isinstance(event, h11.EndOfMessage):
            trailer = dict(event.headers)
            break
        got += bytes(event.data)
    answer(line, path, request, got, trailer)
    return line.state.our_state is h11.DONE


def answer(line, path, request, got, trailer):
    def head(*fields):
        return h11.Response(status_code=200, headers=list(fields))

    if path == "/echo":
        line.send(head(), *(h11.Data(data=got[at : at + 9999]) for at in range(0, len(got), 9999)), h11.EndOfMessage())
    elif path == "/trailer":
        line.send(head(CHUNKED), h11.Data(data=trailer[b"x-check"]), h11.EndOfMessage(headers=[("X-Sum", str(len(got)))]))
    elif path == "/hints":
        line.send(h11.InformationalResponse(status_code=103, headers=[("Link", "</a>")]))
        line.send(head(("Content-Length", "4")), h11.Data(data=b"done"), h11.EndOfMessage())
    elif path == "/close":
        line.send(head(("Connection", "close")), h11.Data(data=b"bye"), h11.EndOfMessage())
    elif path == "/abort":
        line.send(head(("Content-Length", "100")), h11.Data(data=b"partial"))
        raise OSError
    else:
        proto = b"HTTP/" + request.http_version
        data = [] if request.method == b"HEAD" else [h11.Data(data=proto)]
        line.send(head(("Content-Length", str(len(proto)))), *data, h11.EndOfMessage())


def main():
    if sys.argv[1] == "client":
        for ask in (kept, content, informational, broken):
            ask(int(sys.argv[2]))
        print("all went well")
        return
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=accept, args=(listener, serve), daemon=True).start()
    sys.stdin.read()


def accept(listener, serve):
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=serve, args=(sock,), daemon=True).start()


if __name__ == "__main__":
    main()
