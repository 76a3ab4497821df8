"""nginx as docs/forward-auth.md has it, for real."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from tests.forward_auth.behind import Front
from tests.forward_auth.support import asked_gateway, documented, keyless, moved, proxy, require
from tests.support.key_server import KeyServer
from tests.support.ports import free_port
from tests.support.wire import Upstream, get, once

_AROUND = """daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{servers}
}}
"""


@contextlib.asynccontextmanager
async def nginx(folder: Path, gateway_port: int, upstream: Upstream) -> AsyncIterator[int]:
    """Its port."""
    port = free_port()
    servers = moved(
        documented("nginx"),
        **{
            "127.0.0.1:8000": f"127.0.0.1:{gateway_port}",
            "127.0.0.1:8080": f"127.0.0.1:{upstream.port}",
            "listen 127.0.0.1:80;": f"listen 127.0.0.1:{port};",
        },
    )
    config = folder / "nginx.conf"
    config.write_text(_AROUND.format(folder=folder, servers=servers))
    command: list[str | Path] = [require("nginx"), "-p", folder, "-e", folder / "error.log", "-c", config]
    async with proxy(folder, command, port):
        yield port


async def test_nginx_asks_and_serves(tmp_path: Path) -> None:
    upstream = Upstream()
    async with asked_gateway(tmp_path) as gateway, upstream.running():
        async with nginx(tmp_path, gateway.port, upstream) as port:
            await Front(port, gateway, upstream).check_all()


async def test_nginx_shows_503_when_the_gateway_cannot_decide_or_is_gone(tmp_path: Path) -> None:
    upstream, endpoint, folder = Upstream(), KeyServer(b"{}"), tmp_path / "second"
    folder.mkdir()
    async with asked_gateway(tmp_path) as donor, upstream.running(), endpoint.running():
        async with keyless(folder, endpoint) as worker, nginx(folder, worker.port, upstream) as port:
            head = get("/api", donor.bearer(), "Connection: close")
            reply = await once(port, head)
            assert (reply.status, reply.get("Retry-After")) == (503, "10")
            assert (await once(port, get("/public/x", "Connection: close"))).status == 200
            await worker.stop()
            assert (await once(port, get("/public/x", "Connection: close"))).status == 503
        assert len(upstream.requests) == 1
