"""A client by grpcio, which shares no code with what it speaks to: grpc_client.py TARGET [CERTIFICATE]"""

import sys
import threading
import time

import grpc


def encode(text):
    data = text.encode()
    length = len(data)
    head = b"\n"
    while length >= 0x80:
        head += bytes([length & 0x7F | 0x80])
        length >>= 7
    return head + bytes([length]) + data if data else b""


def decode(message):
    if not message:
        return ""
    assert message[0] == 10, message
    at = 1
    while message[at] >= 0x80:
        at += 1
    return message[at + 1 :].decode()


def main(target, certificate=None):
    if certificate:
        with open(certificate, "rb") as file:
            credentials = grpc.ssl_channel_credentials(root_certificates=file.read())
        channel = grpc.secure_channel(target, credentials)
    else:
        channel = grpc.insecure_channel(target)
    coding = {"request_serializer": encode, "response_deserializer": decode}
    say_hello = channel.unary_unary("/greet.Greeter/SayHello", **coding)
    list_texts = channel.unary_stream("/greet.Greeter/List", **coding)
    join = channel.stream_unary("/greet.Greeter/Join", **coding)
    chat = channel.stream_stream("/greet.Greeter/Chat", **coding)
    nothing = channel.unary_unary("/greet.Greeter/Nothing", **coding)

    # Unary, with metadata, and content that takes many frames.
    response, call = say_hello.with_call("you", timeout=30)
    assert response == "hello, you", response
    assert ("x-greeted", "yes") in call.initial_metadata(), call.initial_metadata()
    assert call.code() == grpc.StatusCode.OK
    long = "x" * 1_000_000
    assert say_hello(long, timeout=30) == "hello, " + long

    # Trailers alone: an error without a message.
    for method, text, code in [
        (say_hello, "", grpc.StatusCode.INVALID_ARGUMENT),
        (nothing, "x", grpc.StatusCode.UNIMPLEMENTED),
    ]:
        try:
            method(text, timeout=30)
            raise AssertionError("no error")
        except grpc.RpcError as error:
            assert error.code() == code, error
            assert error.details(), error

    # From the server, to its end and with an error in the trailer behind content.
    assert list(list_texts("500", timeout=30)) == [f"text {n}" for n in range(500)]
    received = []
    try:
        for text in list_texts("2000", timeout=30):
            received.append(text)
        raise AssertionError("no error")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
    assert len(received) == 1000, len(received)

    # To the server.
    assert join((f"{n} " for n in range(500)), timeout=30) == "".join(f"{n} " for n in range(500))
    assert join(iter(()), timeout=30) == ""

    # Both at the same time: each question is asked after the answer to the one before.
    answered = threading.Semaphore(1)

    def questions():
        for n in range(50):
            answered.acquire()
            yield f"question {n}"

    answers = []
    for answer in chat(questions(), timeout=30):
        answers.append(answer)
        answered.release()
    assert answers == [f"question {n}?" for n in range(50)], answers

    # A deadline, and a call that is given up.
    began = time.monotonic()
    try:
        say_hello("sleeper", timeout=0.5)
        raise AssertionError("no error")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
    assert time.monotonic() - began < 20
    pending = say_hello.future("sleeper")
    time.sleep(0.1)
    pending.cancel()
    assert say_hello("you again", timeout=30) == "hello, you again"
    channel.close()
    print("all went well")


main(*sys.argv[1:])
