"""A WebSocket server on a free port of loopback. Prints the port. Sends back what it gets, closes when told
`close CODE REASON`, and answers `last` with how the connection before this one was closed."""

import asyncio

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

last = "none"


async def talk(connection):
    global last
    try:
        while True:
            message = await connection.recv()
            if message == "last":
                await connection.send(last)
            elif isinstance(message, str) and message.startswith("close "):
                _, code, reason = message.split(" ", 2)
                await connection.close(int(code), reason)
            else:
                await connection.send(message)
    except ConnectionClosed:
        last = f"{connection.close_code} {connection.close_reason}"


async def main():
    async with serve(talk, "127.0.0.1", 0, max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


asyncio.run(main())
