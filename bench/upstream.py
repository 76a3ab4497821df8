"""The upstream behind every contestant: far cheaper than any of them, on the load's CPU.

nginx answers a constant from memory; without nginx, a bare asyncio protocol does (`python -m bench.upstream
PORT`), which costs more, but the same for all.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import cast

from bench.processes import Process, answers, free_port, which

PATH = "/api/v1/config"
BODY_BYTES = 700


def body() -> bytes:
    """Return JSON of exactly BODY_BYTES."""
    frame = len(json.dumps({"name": "bench", "settings": ""}))
    return json.dumps({"name": "bench", "settings": "x" * (BODY_BYTES - frame)}).encode()


def render_nginx(directory: Path, port: int) -> str:
    return f"""daemon off;
master_process off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log crit;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    large_client_header_buffers 8 64k;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        default_type application/json;
        return 200 '{body().decode()}';
    }}
}}
"""


def start(stack: ExitStack, directory: Path, cpus: frozenset[int]) -> int:
    """Start it, to be ended with the stack; return its port once it answers."""
    directory.mkdir(parents=True)
    port = free_port()
    command = _command(which("nginx"), directory, port)
    process = stack.enter_context(Process("the upstream", command, cpus=cpus, log=directory / "log"))
    process.wait_until(lambda: answers(port, PATH))
    return port


def _command(nginx: str | None, directory: Path, port: int) -> list[str]:
    if nginx is None:
        return [sys.executable, "-m", "bench.upstream", str(port)]
    config = directory / "nginx.conf"
    config.write_text(render_nginx(directory, port))
    return [nginx, "-p", str(directory), "-e", str(directory / "error.log"), "-c", str(config)]


class _Answer(asyncio.Protocol):
    """Answers each request head with the constant; requests to it have no body."""

    def __init__(self) -> None:
        self._rest = b""
        content = body()
        self._answer = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content)
        ) + content

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        *heads, self._rest = (self._rest + data).split(b"\r\n\r\n")
        if heads:
            self._transport.write(self._answer * len(heads))


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Answer, "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
