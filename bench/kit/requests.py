"""The bytes that are sent, in one place for wrk and for the counting of instructions."""

from . import programs

HELLO = b"Hello, World!"
BIG_BYTES = 1 << 20
ECHO_BYTES = 16 << 10
PIPELINE_DEPTH = 16

# What a browser sends when it follows a link: 13 fields with the host, 600 bytes and more.
BROWSER_FIELDS = """\
Connection: keep-alive
sec-ch-ua: "Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99"
sec-ch-ua-mobile: ?0
sec-ch-ua-platform: "Linux"
Upgrade-Insecure-Requests: 1
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8
Sec-Fetch-Site: same-origin
Sec-Fetch-Mode: navigate
Sec-Fetch-Dest: document
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: en-GB,en;q=0.9,de;q=0.8
"""


def request(method, path, fields="", content=b""):
    head = f"{method} {path} HTTP/1.1\nHost: 127.0.0.1\n{fields}\n"
    return head.replace("\n", "\r\n").encode() + content


PLAIN = request("GET", "/")
BROWSER = request("GET", "/", BROWSER_FIELDS)
PIPELINE = PLAIN * PIPELINE_DEPTH
ECHO = request("POST", "/echo", f"Content-Length: {ECHO_BYTES}\n", b"x" * ECHO_BYTES)
BIG = request("GET", "/big")
CHAIN = request("GET", "/chain/")
ALONE = request("GET", "/alone/")
SMALL_FILE = request("GET", f"/files/{programs.SMALL_FILE}")
LARGE_FILE = request("GET", f"/files/{programs.LARGE_FILE}")
CHURN = request("GET", "/", "Connection: close\n")


def read_answers(stream, count=1):
    """Reads so many answers from a socket's file and returns the contents and the bytes of all."""
    contents, size = [], 0
    for _ in range(count):
        length = None
        while (line := stream.readline()) != b"\r\n":
            if not line:
                raise ConnectionError("the server closed before its answer was whole")
            size += len(line)
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        contents.append(stream.read(length))
        size += 2 + length
    return contents, size
