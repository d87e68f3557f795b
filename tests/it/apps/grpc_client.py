"""Calls apps/grpc_server.py and prints one line per observation. Arguments: host:port, the file of the authority
to trust (empty for no TLS), cookie (may be empty), calls."""

import queue
import sys

import grpc

target, authority, cookie, *calls = sys.argv[1:]
metadata = (("cookie", cookie),) if cookie else ()
# A proxy in the environment is none of the test's business.
options = (("grpc.enable_http_proxy", 0),)
if authority:
    with open(authority, "rb") as file:
        channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(file.read()), options=options)
else:
    channel = grpc.insecure_channel(target, options=options)
PATIENCE = 15


def trailer(call):
    return dict(call.trailing_metadata() or ()).get("x-trailer", "no trailer")


def unary():
    reply, call = channel.unary_unary("/test.Echo/Unary").with_call(
        b"hello" * 20000, timeout=PATIENCE, metadata=metadata
    )
    print("unary", len(reply), trailer(call))


def count():
    replies = channel.unary_stream("/test.Echo/Count")(b"1000", timeout=PATIENCE, metadata=metadata)
    print("count", sum(int(reply) for reply in replies))


def join():
    reply = channel.stream_unary("/test.Echo/Join")(
        (str(number).encode() for number in range(10)), timeout=PATIENCE, metadata=metadata
    )
    print("join", reply.decode())


def chat():
    """Each message is sent only when the answer to the one before is here."""
    words = queue.Queue()
    replies = channel.stream_stream("/test.Echo/Chat")(
        iter(words.get, None), timeout=PATIENCE, metadata=metadata
    )
    for word in (b"one", b"two", b"three"):
        words.put(word)
        print("chat", next(replies).decode())
    words.put(None)
    print("chat", "over" if next(replies, None) is None else "goes on")


def fail():
    channel.unary_unary("/test.Echo/Fail")(b"", timeout=PATIENCE, metadata=metadata)


def sleep():
    channel.unary_unary("/test.Echo/Sleep")(b"", timeout=1, metadata=metadata)


for name in calls:
    try:
        {"unary": unary, "count": count, "join": join, "chat": chat, "fail": fail, "sleep": sleep}[name]()
    except grpc.RpcError as error:
        print(name, error.code().name, trailer(error), error.details() if name == "fail" else "")
    sys.stdout.flush()
