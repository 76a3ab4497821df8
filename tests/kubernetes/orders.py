"""The API in the cluster: answers with what it was asked for, and stops at once when told.

So requests that still arrive then are refused, and a test sees it.
`python orders.py [unix:PATH | HOST:PORT]`, in the gateway's own image; of the standard library alone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b" ", 2)
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
            body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
            said = body or (target + b";") * 20
            if target.endswith(b"/user"):
                said = fields.get(b"x-auth-request-user", b"-")
            elif target.endswith(b"/large"):
                said = b"x" * 1_000_000
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(said))
            if method != b"HEAD":
                writer.write(said)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(where: str) -> None:
    if where.startswith("unix:"):
        server = await asyncio.start_unix_server(answer, where[5:])
        os.chmod(where[5:], 0o666)  # noqa: PTH101 - the gateway runs as another user
    else:
        host, _, port = where.rpartition(":")
        server = await asyncio.start_server(answer, host, int(port), backlog=512)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, os._exit, 0)
    print("serving at", where, flush=True)
    await server.serve_forever()


asyncio.run(main(sys.argv[1]))
