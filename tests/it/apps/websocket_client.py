"""Opens a WebSocket and says what happens: `refused STATUS`, or each answer, then `open`, then `closed`
when the other side ends it. Arguments: URL, Origin, Cookie (may be empty), messages."""

import sys

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

url, origin, cookie, *messages = sys.argv[1:]
try:
    with connect(url, origin=origin, additional_headers={"Cookie": cookie} if cookie else {}) as connection:
        for message in messages:
            connection.send(message)
            print(connection.recv(), flush=True)
        print("open", flush=True)
        try:
            connection.recv()
        except ConnectionClosed:
            print("closed", flush=True)
except InvalidStatus as refusal:
    print("refused", refusal.response.status_code, flush=True)
