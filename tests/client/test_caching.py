"""Shared caches in front of the gateway: what one person's session opened is shown to nobody else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.engines import engine
from tests.support.forward_auth import proxy
from tests.support.fronts import AROUND_NGINX
from tests.support.portal import Browser, signed_in
from tests.support.ports import free_port
from tests.support.running import Running, running
from tests.support.wire import Received, Upstream, get, once

ROUTES = """routes:
  - {path: /open/**, auth: none}
  - {path: /maybe/**, auth: optional}
"""
# Upstreams answer so with no thought of who asked; the second is kept by guessing (RFC 9111 section 4.2.2).
KEPT = {
    "/maybe/max-age": b"Cache-Control: max-age=60\r\n",
    "/maybe/modified": b"Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n",
    "/maybe/expires": b"Expires: Fri, 01 Jan 2100 00:00:00 GMT\r\n",
    "/api/max-age": b"Cache-Control: max-age=60\r\n",
}


async def who_asks(received: Received, _: object, writer: asyncio.StreamWriter) -> None:
    body = received.get("X-Auth-Request-User") or b"nobody"
    lines = KEPT.get(received.target.decode(), b"")
    length = b"Content-Length: %d\r\n" % len(body)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" + lines + length + b"\r\n" + body)


NGINX = """    proxy_cache_path {folder}/cache keys_zone=shared:1m;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{gateway};
            proxy_set_header Host $http_host;
            proxy_buffer_size 16k;
            proxy_buffers 4 16k;
            proxy_cache shared;
            add_header X-Cache $upstream_cache_status always;
        }}
    }}"""
APACHE = """ServerName localhost
ServerRoot {folder}
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
Listen 127.0.0.1:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
LoadModule cache_module {modules}/mod_cache.so
LoadModule cache_disk_module {modules}/mod_cache_disk.so
CacheRoot {folder}/cache
CacheEnable disk /
CacheQuickHandler on
CacheHeader on
CacheMinFileSize 0
ProxyPass / http://127.0.0.1:{gateway}/
"""


@contextlib.asynccontextmanager
async def cache(folder: Path, name: str, gateway: Running) -> AsyncIterator[int]:
    """A shared one in front of the gateway; its port."""
    port = free_port()
    (folder / "cache").mkdir()
    config = folder / f"{name}.conf"
    text = AROUND_NGINX.replace("{servers}", NGINX) if name == "nginx" else APACHE
    modules = "/usr/lib/apache2/modules"
    config.write_text(text.format(folder=folder, port=port, gateway=gateway.port, modules=modules))
    if name == "nginx":
        command: list[str | Path] = [engine("nginx"), "-p", folder, "-e", folder / "error.log", "-c", config]
    else:
        command = [engine("apache2"), "-f", config, "-DFOREGROUND"]
    async with proxy(folder, command, port):
        yield port


@pytest.mark.engine
@pytest.mark.parametrize("name", ["nginx", "apache2"])
async def test_a_shared_cache_leaks_no_users_data(tmp_path: Path, name: str) -> None:
    async with (
        running(tmp_path, ROUTES, upstream=Upstream(script=who_asks)) as gateway,
        cache(tmp_path, name, gateway) as port,
    ):
        alice = await signed_in(gateway)
        alice.port = port
        bearer = gateway.bearer(sub="robot")
        for target in KEPT:
            seen = [
                await alice.get(target),
                await once(port, get(target)),
                await once(port, get(target, bearer)),
                await once(port, get(target)),
                await alice.get(target),
            ]
            nobody = b"nobody" if target.startswith("/maybe") else None
            bodies = [reply.body if reply.status == 200 else None for reply in seen]
            user = bodies[0]
            assert user is not None
            assert user != b"nobody"
            assert bodies == [user, nobody, b"robot", nobody, user]
        # It does keep what it may.
        before = len(gateway.upstream.requests)
        for _ in range(3):
            assert (await once(port, get("/maybe/max-age"))).body == b"nobody"
        assert len(gateway.upstream.requests) == before


@pytest.mark.parametrize(
    ("said", "private"),
    [
        (b"", True),
        (b"Cache-Control: max-age=60\r\n", True),
        (b"Cache-Control: no-cache, max-age=0\r\n", True),
        (b'Cache-Control: private="x-theme", max-age=60\r\n', True),
        (b"Cache-Control: x-public, max-age=60\r\n", True),
        (b"Cache-Control: Public, max-age=60\r\n", False),
        (b"cache-control: max-age=60\r\nCACHE-CONTROL: s-maxage=5\r\n", False),
        (b"Cache-Control: no-store\r\n", False),
        (b"Cache-Control: max-age=60, private\r\n", False),
    ],
)
async def test_a_response_opened_by_a_cookie_is_private_unless_the_upstream_decides(
    tmp_path: Path, said: bytes, private: bool
) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + said + b"\r\nok"
    async with running(tmp_path, ROUTES, upstream=Upstream(answer=answer)) as gateway:
        browser = await signed_in(gateway)
        for method in ("GET", "HEAD"):
            added = (await browser.get("/maybe/a", method=method)).all("cache-control")
            assert ("private" in added and len(added) > said.lower().count(b"cache-control")) == private
        # A bearer's response is nobody else's by the cache's own rules, and open routes are everybody's.
        for target, credential in (("/maybe/a", gateway.bearer()), ("/open/a", browser.cookie)):
            reply = await once(gateway.port, get(target, credential))
            assert len(reply.all("cache-control")) == said.lower().count(b"cache-control")


async def test_responses_vary_where_credentials_are_checked(tmp_path: Path) -> None:
    async with running(tmp_path, ROUTES) as gateway:
        browser = Browser(gateway.port)
        assert (await browser.get("/maybe/a")).all("vary") == ["Authorization, Cookie"]
        assert (await browser.get("/api", gateway.bearer())).all("vary") == ["Authorization, Cookie"]
        assert (await browser.get("/open/a", gateway.bearer())).all("vary") == []
    async with running(tmp_path, ROUTES + "sign_in: {enabled: false}\n") as gateway:
        assert (await once(gateway.port, get("/maybe/a"))).all("vary") == ["Authorization"]
