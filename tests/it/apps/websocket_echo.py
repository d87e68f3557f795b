"""A WebSocket echo on a free port of loopback. Prints the port; answers the first message with the person
that the gateway says is there, every other one with itself."""

import asyncio

from websockets.asyncio.server import serve


async def echo(connection):
    first = True
    async for message in connection:
        person = connection.request.headers.get("Remote-User", "nobody")
        await connection.send(person if first else message)
        first = False


async def main():
    async with serve(echo, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


asyncio.run(main())
