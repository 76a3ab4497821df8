"""An https upstream: always verified, by the right name, with files that may change; and how it is found."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.errors import GatewayError, UpstreamUnreachable
from gateway.upstream.connection_pool import UpstreamPool
from tests.support.certificates import Authority, accepting, calling
from tests.support.loops import on_both_loops
from tests.support.ports import free_port
from tests.support.requests import a_request
from tests.support.running import Running, logged, running
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, access_claims, key_set_document, sign
from tests.support.waiting import until
from tests.support.wire import Client, Received, Reply, Upstream, get, once

MEBI = bytes(range(256)) * 4096


def upstream_for(authority: Authority, *names: str, clients: Authority | None = None) -> Upstream:
    return Upstream(tls=accepting(authority.sign("upstream", *names), clients))


async def ask(gateway: Running) -> Reply:
    return await once(gateway.port, get("/", gateway.bearer()))


async def said(gateway: Running) -> str:
    """What the log says of the first request that failed."""
    return str((await logged(gateway, "request_failed", 1))[0]["exact"])


@on_both_loops
async def test_an_address_is_verified_as_an_address(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    upstream = upstream_for(authority, "127.0.0.1")
    tls = f"tls: {{ca_file: {authority.file}}}"
    async with running(tmp_path, upstream=upstream, upstream_lines=tls) as gateway:
        for _ in range(3):
            assert (await ask(gateway)).body == b"ok"
        assert upstream.connections == 1
        assert upstream.last.get("X-Forwarded-Proto") == b"http"
        assert upstream.last.get("Host") == b"api.test"


@on_both_loops
async def test_a_name_is_verified_as_a_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with upstream_for(authority, "localhost").running() as upstream:
        url = upstream.url.replace("127.0.0.1", "localhost")
        tls = f"tls: {{ca_file: {authority.file}}}"
        async with running(tmp_path, upstream_url=url, upstream_lines=tls) as gateway:
            assert (await ask(gateway)).body == b"ok"


@on_both_loops
async def test_a_configured_server_name_is_verified(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    upstream = upstream_for(authority, "api.internal")
    asked: list[str | None] = []
    assert upstream.tls is not None
    upstream.tls.sni_callback = lambda _, name, __: asked.append(name)
    tls = f"tls: {{ca_file: {authority.file}, server_name: api.internal}}"
    async with running(tmp_path, upstream=upstream, upstream_lines=tls) as gateway:
        assert (await ask(gateway)).body == b"ok"
    assert asked == ["api.internal"]


@pytest.mark.parametrize(
    ("names", "lines", "told"),
    [
        (["127.0.0.1"], "", "certificate verify failed"),
        (["127.0.0.1"], "tls: {ca_file: OTHER}", "certificate verify failed"),
        (["localhost"], "tls: {ca_file: OURS}", "IP address mismatch"),
        (["127.0.0.1"], "tls: {ca_file: OURS, server_name: api.internal}", "Hostname mismatch"),
    ],
)
async def test_an_upstream_that_is_not_proven_gets_nothing(
    tmp_path: Path, names: list[str], lines: str, told: str
) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    upstream = upstream_for(authority, *names)
    lines = lines.replace("OURS", str(authority.file)).replace("OTHER", str(other.file))
    async with running(tmp_path, upstream=upstream, upstream_lines=lines) as gateway:
        assert (await ask(gateway)).status == 502
        assert upstream.requests == []
        await until(lambda: gateway.worker.app.pool.open == 0)
        assert told in await said(gateway)
        assert [line for line in gateway.log() if line["event"] == "log"] == []


async def test_an_upstream_that_speaks_plain_http(tmp_path: Path) -> None:
    async with Upstream().running() as upstream:
        url = upstream.url.replace("http:", "https:")
        async with running(tmp_path, upstream_url=url, upstream_lines="connect_timeout: 500ms") as gateway:
            assert (await ask(gateway)).status == 502
            assert upstream.requests == []


async def test_an_upstream_that_never_shakes_hands(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        lines = "connect_timeout: 200ms"
        async with running(tmp_path, upstream_url=url, upstream_lines=lines) as gateway:
            assert (await ask(gateway)).status == 502
            assert "connect_timeout" in await said(gateway)
            await until(lambda: gateway.worker.app.pool.open == 0)


@on_both_loops
async def test_our_certificate_is_shown_and_followed(tmp_path: Path) -> None:
    """The upstream takes certificates of one authority only; the file is replaced while we run."""
    authority, clients = Authority(tmp_path), Authority(tmp_path, "clients")
    upstream = upstream_for(authority, "127.0.0.1", clients=clients)
    wrong, right = Authority(tmp_path, "wrong").sign("foe"), clients.sign("gateway")
    live = tmp_path / "live.crt", tmp_path / "live.key"

    def install(pair: tuple[Path, Path]) -> None:
        for source, target in zip(pair, live, strict=True):
            shutil.copy(source, target)

    install((wrong.certificate, wrong.key))
    tls = f"tls: {{ca_file: {authority.file}, certificate_file: {live[0]}, key_file: {live[1]}}}"
    async with running(tmp_path, upstream=upstream, upstream_lines=tls) as gateway:
        assert (await ask(gateway)).status == 502
        assert upstream.requests == []
        watched = gateway.worker.app.pool.tls
        assert watched is not None
        live[0].write_bytes(b"half")
        await watched.refresh()
        assert (await ask(gateway)).status == 502
        install((right.certificate, right.key))
        await watched.refresh()
        assert (await ask(gateway)).body == b"ok"
        events = await logged(gateway, "tls_reload", 2)
        assert [(line["section"], line["result"]) for line in events] == [
            ("upstream.tls", "failure"),
            ("upstream.tls", "success"),
        ]


@on_both_loops
async def test_an_alert_is_named_in_the_log(tmp_path: Path) -> None:
    """TLS 1.3 refuses a client's certificate after the client has finished its handshake."""
    authority = Authority(tmp_path)
    tls = f"tls: {{ca_file: {authority.file}}}"
    wants = accepting(authority.sign("upstream", "127.0.0.1"), authority)

    def refuse(server: socket.socket) -> None:
        # With sockets: a server of asyncio's keeps its alerts to itself.
        plain, _ = server.accept()
        with plain, plain.dup() as wire:
            with contextlib.suppress(ssl.SSLError):
                wants.wrap_socket(plain, server_side=True)
            wire.settimeout(30)
            while wire.recv(65536):
                pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"https://127.0.0.1:{server.getsockname()[1]}"
        async with running(tmp_path, upstream_url=url, upstream_lines=tls) as gateway:
            refusing = asyncio.create_task(asyncio.to_thread(refuse, server))
            assert (await ask(gateway)).status == 502
            assert "certificate required" in await said(gateway)
            await refusing


async def test_a_key_without_a_certificate_is_a_mistake(tmp_path: Path) -> None:
    pair = Authority(tmp_path).sign("gateway")
    upstream = upstream_for(Authority(tmp_path), "127.0.0.1")
    with pytest.raises(GatewayError, match=r"upstream\.tls\.key_file"):
        async with running(tmp_path, upstream=upstream, upstream_lines=f"tls: {{key_file: {pair.key}}}"):
            pass


@on_both_loops
async def test_a_mebibyte_both_ways(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    upstream = upstream_for(authority, "127.0.0.1")
    upstream.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(MEBI) + MEBI
    tls = f"tls: {{ca_file: {authority.file}}}"
    async with running(tmp_path, upstream=upstream, upstream_lines=tls) as gateway:
        head = get("/", gateway.bearer(), f"Content-Length: {len(MEBI)}", method="POST")
        reply = await once(gateway.port, head + MEBI)
        assert (reply.status, reply.body == MEBI) == (200, True)
        assert upstream.last.body == MEBI


@on_both_loops
async def test_a_body_without_a_length_ends_with_tls_or_it_is_cut(tmp_path: Path) -> None:
    """RFC 9112 section 9.8: an attacker who cuts the connection must not cut the response unnoticed."""
    authority = Authority(tmp_path)
    upstream = upstream_for(authority, "127.0.0.1")

    async def until_close(received: Received, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await writer.drain()
        if received.target == b"/cut":
            # Not a closure alert, but the end of the connection, in good order.
            sock = socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno()))
            with sock:
                sock.shutdown(socket.SHUT_WR)
            await asyncio.sleep(0.5)
        writer.close()

    upstream.script = until_close
    tls = f"tls: {{ca_file: {authority.file}}}"
    async with running(tmp_path, upstream=upstream, upstream_lines=tls) as gateway:
        whole = await once(gateway.port, get("/whole", gateway.bearer()))
        assert (whole.whole, whole.body) == (True, b"half")
        cut = await once(gateway.port, get("/cut", gateway.bearer()))
        assert not cut.whole


@on_both_loops
async def test_client_gone_closes_an_https_upstream(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    upstream = upstream_for(authority, "127.0.0.1")

    async def hang(_: Received, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await reader.read()

    upstream.script = hang
    tls = f"tls: {{ca_file: {authority.file}}}"
    async with running(tmp_path, upstream=upstream, upstream_lines=tls) as gateway:
        client = await Client.connect(gateway.port)
        await client.send(get("/", gateway.bearer()))
        await until(lambda: upstream.requests)
        client.writer.transport.abort()
        await until(lambda: not upstream.open and not gateway.worker.app.pool.open)


@on_both_loops
async def test_a_unix_upstream(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    async with (
        Upstream().running(unix=path) as upstream,
        running(tmp_path, upstream_url=f"unix:{path}") as gateway,
    ):
        assert (await ask(gateway)).body == b"ok"
        assert len(upstream.requests) == 1


def pool_for(tmp_path: Path, addresses: list[tuple[str, int]], asked: list[tuple[str, int]]) -> UpstreamPool:
    """A pool whose upstream's name stands for these addresses."""
    path = tmp_path / "gateway.yaml"
    path.write_text("upstream: {url: 'http://api.test:80', connect_timeout: 20s}\n")

    async def resolve(host: str, port: int) -> list[object]:
        asked.append((host, port))
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, number, 0, 0) if ":" in address else (address, number),
            )
            for address, number in addresses
        ]

    return UpstreamPool(load(path, {}).config.upstream, resolve=resolve)


@on_both_loops
async def test_every_address_is_tried_and_the_name_is_looked_up_each_time(tmp_path: Path) -> None:
    asked: list[tuple[str, int]] = []
    async with Upstream().running() as first, Upstream().running() as second:
        addresses = [("::1", free_port()), ("127.0.0.1", first.port)]
        pool = pool_for(tmp_path, addresses, asked)
        one = await pool.connect(a_request())
        assert one.transport is not None
        assert one.transport.get_extra_info("peername")[1] == first.port
        addresses[:] = [("127.0.0.1", second.port)]
        two = await pool.connect(a_request())
        assert two.transport is not None
        assert two.transport.get_extra_info("peername")[1] == second.port
        one.abort()
        two.abort()
        await until(lambda: pool.open == 0)
        assert (pool.open, asked) == (0, [("api.test", 80)] * 2)


@on_both_loops
async def test_the_address_that_worked_is_tried_first(tmp_path: Path) -> None:
    """One that answers nothing would cost 250 ms for each connection (RFC 8305), not for the first alone."""
    port = free_port()
    async with Upstream().running() as worked:
        addresses = [("127.0.0.1", port), ("127.0.0.1", worked.port)]
        pool = pool_for(tmp_path, addresses, [])
        first = await pool.connect(a_request())
        async with Upstream(port=port).running() as later:
            second = await pool.connect(a_request())
            assert (worked.connections, later.connections) == (2, 0)
            # It moved on: the name means somebody else.
            addresses.pop()
            third = await pool.connect(a_request())
            await until(lambda: later.connections)
        for connection in (first, second, third):
            connection.abort()
        await until(lambda: pool.open == 0)


@on_both_loops
async def test_no_address_answers(tmp_path: Path) -> None:
    pool = pool_for(tmp_path, [("127.0.0.1", free_port()), ("127.0.0.1", free_port())], [])
    with pytest.raises(UpstreamUnreachable, match=r"http://api\.test: connection refused"):
        await pool.connect(a_request())
    assert pool.open == 0


async def test_an_https_pool_cannot_be_made_without_tls(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("upstream: {url: 'https://api.test'}\n")
    upstream = load(path, {}).config.upstream
    with pytest.raises(ValueError, match="tls is required"):
        UpstreamPool(upstream)
    UpstreamPool(dataclasses.replace(upstream, scheme="http")).close()


async def test_proxy_variables_are_ignored_and_the_whole_command_serves_tls(tmp_path: Path) -> None:
    """The real command, TLS on both sides, every proxy variable pointing at a dead port."""
    key, port, authority = KeyPair.generate("key-1"), free_port(), Authority(tmp_path)
    (tmp_path / "jwks.json").write_bytes(key_set_document(key))
    pair = authority.sign("gateway", "127.0.0.1")
    dead = f"http://127.0.0.1:{free_port()}"
    names = ("http_proxy", "https_proxy", "all_proxy")
    environ = dict(os.environ) | {each: dead for name in names for each in (name, name.upper())}
    environ.pop("no_proxy", None)
    environ.pop("NO_PROXY", None)
    async with upstream_for(authority, "127.0.0.1").running() as upstream:
        (tmp_path / "gateway.yaml").write_text(
            f"listen: {{address: '127.0.0.1:{port}', tls: {{certificate_file: {pair.certificate},"
            f" key_file: {pair.key}}}}}\n"
            f"metrics: {{address: '127.0.0.1:{free_port()}'}}\n"
            f"upstream: {{url: '{upstream.url}', tls: {{ca_file: {authority.file}}}}}\n"
            f"cognito: {{user_pools: [{{id: {POOL_ID}, client_ids: [{CLIENT_ID}],"
            f" jwks_file: {tmp_path}/jwks.json}}]}}\n"
        )
        command = [sys.executable, "-m", "gateway", "serve", "--config", str(tmp_path / "gateway.yaml")]
        with subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            try:
                token = sign(key, access_claims()).decode("ascii")
                reply = await eventually(port, get("/", f"Authorization: Bearer {token}"), calling(authority))
                assert (reply.status, reply.body) == (200, b"ok")
                assert upstream.last.get("X-Forwarded-Proto") == b"https"
            finally:
                process.send_signal(signal.SIGTERM)
            _, errors = await asyncio.to_thread(process.communicate, timeout=60)
            assert (process.returncode, errors) == (0, b"")


async def eventually(port: int, data: bytes, tls: ssl.SSLContext) -> Reply:
    async with asyncio.timeout(60):
        while True:
            try:
                reply = await once(port, data, tls=tls)
            except ConnectionError:
                await asyncio.sleep(0.1)
                continue
            if reply.status != 503:  # its keys are not there yet
                return reply
            await asyncio.sleep(0.1)
