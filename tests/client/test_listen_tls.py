"""Serving TLS: whom we shake hands with, files that change under us, and what TLS must not change."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import socket
import ssl
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from gateway.config.model import ServerTls
from gateway.errors import GatewayError
from gateway.tls.contexts import server_context
from tests.support.certificates import Authority, calling
from tests.support.loops import on_both_loops
from tests.support.running import Running, logged, running
from tests.support.tls_serving import greeting, install, served, serving
from tests.support.waiting import Lag, until
from tests.support.wire import Client, Received, Upstream, get, once

MEBI = bytes(range(256)) * 4096


def complaints(gateway: Running) -> list[str]:
    return [str(line) for line in gateway.log() if line["event"] == "log"]


@on_both_loops
async def test_a_request_over_tls(tmp_path: Path) -> None:
    async with serving(tmp_path) as (gateway, authority):
        tls = calling(authority)
        tls.set_alpn_protocols(["h2", "http/1.1"])
        async with await Client.connect(gateway.port, tls) as client:
            spoken: ssl.SSLObject = client.writer.get_extra_info("ssl_object")
            assert spoken.selected_alpn_protocol() == "http/1.1"
            assert spoken.compression() is None
            for _ in range(3):
                reply = await client.ask(get("/", gateway.bearer()))
                assert (reply.status, reply.body) == (200, b"ok")
        assert gateway.upstream.last.get("X-Forwarded-Proto") == b"https"
        assert gateway.upstream.connections == 1
        refused = await once(gateway.port, get("/"), tls=calling(authority))
        challenge = refused.get("WWW-Authenticate")
        assert challenge is not None
        assert 'resource_metadata="https://api.test/' in challenge


async def test_tls_1_2_is_the_oldest_and_cannot_be_renegotiated(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.sign("gateway", "127.0.0.1")
    ours = server_context(ServerTls(pair.certificate, pair.key))
    assert ours.minimum_version == ssl.TLSVersion.TLSv1_2
    assert ssl.OP_NO_RENEGOTIATION in ours.options
    async with serving(tmp_path) as (gateway, authority):
        oldest = calling(authority)
        oldest.maximum_version = ssl.TLSVersion.TLSv1_2
        assert (await once(gateway.port, get("/"), tls=oldest)).status == 401


async def test_tls_1_2_offers_forward_secrecy_and_aead_only(tmp_path: Path) -> None:
    """Whatever this Python was built with: Debian's offers CBC, and static RSA for an RSA key."""
    async with serving(tmp_path) as (gateway, authority):
        for suites in ("ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA", "ECDHE-ECDSA-AES128-CCM"):
            tls = calling(authority)
            tls.maximum_version = ssl.TLSVersion.TLSv1_2
            tls.set_ciphers(f"{suites}:@SECLEVEL=0")
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                await once(gateway.port, get("/"), tls=tls)
        for suite in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"):
            tls = calling(authority)
            tls.maximum_version = ssl.TLSVersion.TLSv1_2
            tls.set_ciphers(suite)
            assert (await once(gateway.port, get("/"), tls=tls)).status == 401


@on_both_loops
async def test_client_certificates_are_required_and_verified(tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    clients = Authority(tmp_path, "clients")
    async with serving(tmp_path, f", client_ca_file: {clients.file}") as (gateway, authority):
        good = calling(authority, clients.sign("friend"))
        assert (await once(gateway.port, get("/", gateway.bearer()), tls=good)).status == 200
        for bad in (calling(authority), calling(authority, stranger.sign("foe"))):
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                await once(gateway.port, get("/", gateway.bearer()), tls=bad)
        assert len(gateway.upstream.requests) == 1
        assert complaints(gateway) == []


@on_both_loops
async def test_a_new_certificate_is_served_and_open_connections_stay(tmp_path: Path) -> None:
    async with serving(tmp_path) as (gateway, authority):
        async with await Client.connect(gateway.port, calling(authority)) as before:
            assert (await before.ask(get("/", gateway.bearer()))).status == 200
            install(tmp_path, authority.sign("second", "127.0.0.1"))
            deadline = time.monotonic() + 30
            while await greeting(gateway, authority) != "second":
                assert time.monotonic() < deadline, "the new certificate was never served"
                await asyncio.sleep(0.1)
            assert (await before.ask(get("/", gateway.bearer()))).status == 200
            assert served(before) == "first"
        (event,) = await logged(gateway, "tls_reload", 1)
        assert (event["section"], event["result"]) == ("listen.tls", "success")


@on_both_loops
async def test_a_broken_pair_keeps_the_old_one(tmp_path: Path) -> None:
    async with serving(tmp_path) as (gateway, authority):
        tls = gateway.worker.tls
        assert tls is not None
        second = authority.sign("second", "127.0.0.1")
        shutil.copy(second.certificate, tmp_path / "live.crt")
        await tls.refresh()
        await tls.refresh()
        assert await greeting(gateway, authority) == "first"
        (tmp_path / "live.key").write_bytes(second.key.read_bytes()[:100])
        await tls.refresh()
        assert await greeting(gateway, authority) == "first"
        (tmp_path / "live.key").unlink()
        await tls.refresh()
        assert await greeting(gateway, authority) == "first"
        install(tmp_path, second)
        await tls.refresh()
        assert await greeting(gateway, authority) == "second"
        events = await logged(gateway, "tls_reload", 4)
        assert [line["result"] for line in events] == ["failure"] * 3 + ["success"]
        assert "does not match the certificate" in events[0]["exact"]
        assert "no such file" in events[2]["exact"]


@on_both_loops
async def test_a_removed_authority_is_no_longer_trusted(tmp_path: Path) -> None:
    """Neither with a certificate of it, nor by resuming a session that began with one."""
    old, new = Authority(tmp_path, "old"), Authority(tmp_path, "new")
    shutil.copy(old.file, tmp_path / "clients.pem")
    async with serving(tmp_path, f", client_ca_file: {tmp_path}/clients.pem") as (gateway, authority):
        sessions = {}
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            tls = calling(authority, old.sign("friend"))
            tls.maximum_version = tls.minimum_version = version
            sessions[tls] = await asyncio.to_thread(resume, gateway.port, tls, None)
            assert sessions[tls] is not None
        shutil.copy(new.file, tmp_path / "clients.pem")
        assert gateway.worker.tls is not None
        await gateway.worker.tls.refresh()
        for tls, session in sessions.items():
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.to_thread(resume, gateway.port, tls, session)
        fresh = calling(authority, new.sign("new friend"))
        assert (await once(gateway.port, get("/"), tls=fresh)).status == 401


def resume(port: int, tls: ssl.SSLContext, session: ssl.SSLSession | None) -> ssl.SSLSession | None:
    """One answered request; the session it ended with."""
    import socket

    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
        tls.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as sock,
    ):
        sock.sendall(get("/"))
        if not sock.recv(65536).startswith(b"HTTP/1.1 401"):
            raise ConnectionError("no answer")
        return sock.session


@on_both_loops
async def test_a_mebibyte_both_ways(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(MEBI) + MEBI
    async with serving(tmp_path, upstream=Upstream(answer=answer)) as (gateway, authority):
        head = get("/", gateway.bearer(), f"Content-Length: {len(MEBI)}", method="POST")
        reply = await once(gateway.port, head + MEBI, tls=calling(authority))
        assert (reply.status, reply.body == MEBI) == (200, True)
        assert gateway.upstream.last.body == MEBI


@on_both_loops
async def test_a_refusal_arrives_though_the_body_was_not_read(tmp_path: Path) -> None:
    async with serving(tmp_path) as (gateway, authority):
        head = get("/", f"Content-Length: {32 * len(MEBI)}", method="POST")
        answer = await asyncio.to_thread(send_then_read, gateway.port, calling(authority), head)
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"\r\nConnection: close\r\n" in answer
        assert answer.endswith(b"}\n")


def send_then_read(port: int, tls: ssl.SSLContext, head: bytes) -> bytes:
    """What a client gets that first sends, piece by piece, and only then listens."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
        tls.wrap_socket(plain, server_hostname="127.0.0.1") as sock,
    ):
        sock.sendall(head)
        for _ in range(4):
            sock.sendall(MEBI[:65536])
            time.sleep(0.05)
        return sock.recv(65536)


@on_both_loops
async def test_client_gone_closes_the_upstream(tmp_path: Path) -> None:
    async def hang(_: Received, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(tmp_path, upstream=Upstream(script=hang)) as (gateway, authority):
        for leave in ("close", "abort"):
            client = await Client.connect(gateway.port, calling(authority))
            await client.send(get("/", gateway.bearer()))
            await until_open(gateway.upstream, 1)
            getattr(client.writer.transport, leave)()
            await until_open(gateway.upstream, 0)
            await until(lambda: gateway.worker.app.pool.open == 0)


async def until_open(upstream: Upstream, count: int) -> None:
    await until(lambda: upstream.open == count)


@on_both_loops
async def test_plain_http_at_the_tls_port_and_tls_at_the_plain_port(tmp_path: Path) -> None:
    async with serving(tmp_path) as (gateway, authority):
        async with await Client.connect(gateway.port) as client:
            await client.send(get("/"))
            with contextlib.suppress(ConnectionError):
                await asyncio.wait_for(client.reader.read(), 20)
        assert (await once(gateway.port, get("/"), tls=calling(authority))).status == 401
        assert complaints(gateway) == []
    async with running(tmp_path) as gateway:
        hello, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        with contextlib.suppress(ssl.SSLWantReadError):
            calling(authority).wrap_bio(hello, out, server_hostname="a.test").do_handshake()
        assert (await once(gateway.port, out.read())).status == 400
        assert complaints(gateway) == []


@on_both_loops
async def test_a_handshake_has_header_timeout(tmp_path: Path) -> None:
    async with serving(tmp_path, listen="header_timeout: 200ms") as (gateway, _):
        for opening in (b"", b"\x16\x03\x01\x02\x00\x01"):
            began = time.monotonic()
            async with Lag() as lag, await Client.connect(gateway.port) as client:
                await client.send(opening)
                assert await client.closed()
                took = time.monotonic() - began
            assert took > 0.1
            assert took - lag.seconds < 8  # by default it is 10 s
        assert complaints(gateway) == []


@on_both_loops
async def test_connections_that_shake_hands_are_counted(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, listen="max_connections: 2, header_timeout: 1s") as (gateway, authority),
        await Client.connect(gateway.port) as first,
        await Client.connect(gateway.port) as second,
    ):
        for client in (first, second):
            await client.send(b"\x16\x03\x01\x02\x00\x01")
        reply = await once(gateway.port, get("/", gateway.bearer()), tls=calling(authority))
        assert (reply.status, reply.get("Retry-After")) == (503, "1")
        for client in (first, second):
            assert await client.closed()
        assert gateway.worker.metrics.limits_reached["listen.header_timeout"] == 2
        reply = await once(gateway.port, get("/", gateway.bearer()), tls=calling(authority))
        assert reply.status == 200
        assert complaints(gateway) == []


@on_both_loops
async def test_far_more_handshakes_than_places_are_closed(tmp_path: Path) -> None:
    async with serving(tmp_path, listen="max_connections: 2") as (gateway, authority):
        silent = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(100)]
        for client in silent:
            client.setblocking(False)
        closed = 0
        loop = asyncio.get_running_loop()
        for client in silent[66:]:
            closed += await asyncio.wait_for(loop.sock_recv(client, 10), 60) == b""
        assert closed == 34
        for client in silent:
            client.close()
        assert gateway.worker.metrics.limits_reached["listen.max_connections"] >= 34

        async def served_again() -> bool:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                return (await once(gateway.port, get("/"), tls=calling(authority))).status == 401
            return False

        async with asyncio.timeout(60):
            while not await served_again():
                await asyncio.sleep(0.01)


@on_both_loops
async def test_a_handshake_that_never_ends_is_held_within_bounds(tmp_path: Path) -> None:
    """A ClientHello that says it is 16 MiB long, record after record."""
    async with serving(tmp_path) as (gateway, authority):
        async with await Client.connect(gateway.port) as client:
            record = b"\x16\x03\x01\x40\x00" + b"\x01\xff\xff\xff" + b"\x03\x03" + bytes(16378)
            with contextlib.suppress(ConnectionError):
                await client.send(record * 8)
                await client.reader.read()
            assert await client.closed()
        assert (await once(gateway.port, get("/"), tls=calling(authority))).status == 401
        assert complaints(gateway) == []


@on_both_loops
async def test_half_a_handshake_and_idle_connections_hold_no_more_than_they_may(tmp_path: Path) -> None:
    """Python's own share of it; what OpenSSL allocates is measured by `make bench ARGS="--work attacks"`."""
    import tracemalloc

    async with serving(tmp_path) as (gateway, authority):
        assert (await once(gateway.port, get("/"), tls=calling(authority))).status == 401
        clients = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(200)]
        tracemalloc.start()
        try:
            for client in clients:
                client.sendall(b"\x16\x03\x01\x02\x00\x01")
            await until(lambda: len(gateway.worker.handshakes) >= 200)
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            for client in clients:
                client.close()
        assert held / 200 < 12 * 1024


@on_both_loops
async def test_an_idle_connection_does_not_delay_the_exit(tmp_path: Path) -> None:
    async with serving(tmp_path, drain_timeout="200s") as (gateway, authority):
        # Reads nothing more, so it does not answer the closure alert either.
        client = await Client.connect(gateway.port, calling(authority))
        assert (await client.ask(get("/"))).status == 401
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # reads and writes
        began = time.monotonic()
        await gateway.worker.stop()
        assert time.monotonic() - began < 100
        client.writer.transport.abort()


@pytest.mark.parametrize(
    ("certificate", "key", "told"),
    [
        ("a.crt", "b.key", "the key does not match the certificate"),
        ("a.key", "a.key", "contains no certificate"),
        ("a.crt", "a.crt", "contains no private key"),
        ("a.crt", "locked.key", "the key is encrypted"),
    ],
)
async def test_files_that_do_not_fit_are_one_sentence(
    tmp_path: Path, certificate: str, key: str, told: str
) -> None:
    authority = Authority(tmp_path)
    for name in ("a", "b"):
        authority.sign(name, "127.0.0.1")
    (tmp_path / "locked.key").write_text(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMA==\n-----END ENCRYPTED PRIVATE KEY-----\n"
    )
    lines = f"tls: {{certificate_file: {tmp_path}/{certificate}, key_file: {tmp_path}/{key}}}"
    with pytest.raises(GatewayError, match=told) as caught:
        async with running(tmp_path, listen_lines=lines):
            pass
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("listen.tls.")


async def test_an_authority_file_without_certificates_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing\n")
    with pytest.raises(GatewayError, match=r"listen.tls.client_ca_file .*empty.pem: contains no readable"):
        async with serving(tmp_path, f", client_ca_file: {tmp_path}/empty.pem"):
            pass


def test_an_encrypted_key_does_not_prompt(tmp_path: Path) -> None:
    """OpenSSL would stop and ask at the terminal; a service started from one would hang there."""
    pair = Authority(tmp_path).sign("gateway", "127.0.0.1")
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"open sesame")
    pair.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    )
    (tmp_path / "gateway.yaml").write_text(
        f"listen: {{address: '127.0.0.1:0', tls: {{certificate_file: {pair.certificate},"
        f" key_file: {pair.key}}}}}\nmetrics: {{address: '127.0.0.1:0'}}\n"
    )
    terminal, ours = os.openpty()
    with os.fdopen(terminal, "wb"), os.fdopen(ours, "rb") as tty:
        process = subprocess.run(
            [sys.executable, "-m", "gateway", "serve", "--config", str(tmp_path / "gateway.yaml")],
            stdin=tty,
            capture_output=True,
            text=True,
            timeout=100,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            check=False,
        )
    assert process.returncode == 1
    (line,) = process.stderr.splitlines()
    assert "the key is encrypted: store it without a password" in line
