"""Tries what WebSockets can do and prints a line for each. Arguments: URL, Origin, Cookie."""

import sys
import time

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

url, origin, cookie = sys.argv[1:]


def opened(**options):
    # On a busy machine the proxy library now and then closes a socket as it opens (cloudflare/pingora#946). Pages
    # ask again, too.
    for _ in range(5):
        connection = connect(url, origin=origin, additional_headers={"Cookie": cookie}, max_size=None, **options)
        try:
            connection.send("hello")
            connection.recv()
            return connection
        except ConnectionClosed:
            pass
    raise SystemExit("it opens and closes again")


with opened() as connection:
    for kind, message in [
        ("text", "ä" * 500_000),
        ("binary", bytes(range(256)) * 16_384),
        ("empty", ""),
    ]:
        connection.send(message)
        print(kind, connection.recv() == message, flush=True)
    connection.send(["in ", "several ", "frames"])
    print("fragments", connection.recv() == "in several frames", flush=True)
    print("pong", connection.ping().wait(10), flush=True)
    print("extensions", connection.response.headers.get("Sec-WebSocket-Extensions", "none").split(";")[0], flush=True)
    connection.close(4321, "enough")

with opened(compression=None) as connection:
    # The other side may still be at it.
    for _ in range(100):
        connection.send("last")
        told = connection.recv()
        if told.startswith("4321"):
            break
        time.sleep(0.05)
    print("closed here", told, flush=True)
    connection.send("close 4001 go away")
    try:
        connection.recv()
    except ConnectionClosed:
        print("closed there", connection.close_code, connection.close_reason, flush=True)
