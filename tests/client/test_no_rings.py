"""What a connection leaves behind: nothing that only the collector could find.

The serving process has it look at old objects hardly ever (serve/loops.py), so a ring of references, from a
connection to its parser and back, would keep all that hangs on it: requests, configurations, verified tokens.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.client.connection import ClientConnection
from gateway.client.exchange import Exchange
from gateway.client.tunnel import Tunnel
from gateway.config.load import load
from gateway.gate.authenticate import Verification
from gateway.http.request import Request
from gateway.upstream.connection import UpstreamConnection
from tests.support.ports import free_port
from tests.support.running import Running, running
from tests.support.settling import OPEN, chunked, settled
from tests.support.tunnels import SWITCH, UPGRADE
from tests.support.waiting import until
from tests.support.wire import OK, Client, Received, Upstream, get, once, read_body

KINDS = (ClientConnection, UpstreamConnection, Exchange, Request, Tunnel, Verification)


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def living(*kinds: type) -> Counter[str]:
    return Counter(type(each).__name__ for each in gc.get_objects() if isinstance(each, kinds))


async def odd(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    match received.target:
        case b"/silent":
            await reader.read()
        case b"/cut":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            writer.close()
        case b"/garbage":
            writer.write(b"\0\r\n\r\n")
        case b"/ws":
            writer.write(SWITCH)
            await reader.read()
            writer.close()
        case _:
            received.body = await read_body(received.head, reader)
            writer.write(OK)


# Sent, and whether an answer comes that is waited for.
LIVES: dict[str, tuple[bytes, bool]] = {
    "never a word": (b"", False),
    "half a head": (get("/")[:-3], False),
    "answered": (get("/"), True),
    "pipelined": (get("/") * 3, True),
    "counted body": (get("/", "Content-Length: 3", method="POST") + b"abc", True),
    "chunked body": (get("/", "Transfer-Encoding: chunked", method="POST") + chunked(b"abc"), True),
    "gone in its body": (get("/", "Content-Length: 10", method="POST") + b"abc", False),
    "gone while waiting": (get("/silent"), False),
    "gone with more in the queue": (get("/silent") + get("/") * 3, False),
    "refused": (b"nonsense\r\n\r\n", True),
    "refused in its body": (
        get("/", "Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\nzz\r\n",
        True,
    ),
    "cut": (get("/cut"), True),
    "broken": (get("/garbage"), True),
    "tunnel": (get("/ws", *UPGRADE), True),
}


async def gone(gateway: Running) -> None:
    def expected() -> dict[str, int]:
        idle = gateway.worker.app.pool.idle
        return {"UpstreamConnection": idle} if idle else {}

    await settled(gateway)
    # The loop has to let go, too, which takes it some turns; a ring would outlive them all.
    with contextlib.suppress(TimeoutError):
        await until(lambda: living(*KINDS) == expected())
    assert living(*KINDS) == expected()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES.keys())
async def test_a_connection_that_ended_is_gone(tmp_path: Path, life: tuple[bytes, bool]) -> None:
    sent, answered = life
    async with running(tmp_path, OPEN, upstream=Upstream(script=odd)) as gateway:
        for _ in range(5):
            async with await Client.connect(gateway.port) as client:
                await client.send(sent[:-1])
                await asyncio.sleep(0.01)
                await client.send(sent[-1:])
                if answered:
                    await client.reply()
                else:
                    await asyncio.sleep(0.01)
        await gone(gateway)


@pytest.mark.usefixtures("uncollected")
async def test_a_failed_connection_is_freed(tmp_path: Path) -> None:
    async with running(tmp_path, OPEN, upstream_url=f"http://127.0.0.1:{free_port()}") as gateway:
        for _ in range(5):
            assert (await once(gateway.port, get("/"))).status == 502
        await gone(gateway)


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("leave", [False, True], ids=["answered", "gone at once"])
async def test_tokens_that_were_verified_together_are_gone(tmp_path: Path, leave: bool) -> None:
    async with running(tmp_path) as gateway:
        shared = gateway.bearer()
        lines = [
            gateway.bearer(sub="one"),
            shared,
            shared,
            gateway.bearer(lifetime=-60),
            f"{shared}A",
            f"{shared}.a",
        ]
        clients = [await Client.connect(gateway.port) for _ in lines]
        await asyncio.sleep(0.05)
        for client, line in zip(clients, lines, strict=True):
            client.writer.write(get("/", line))
        for client in clients:
            if leave:
                client.writer.transport.abort()
            else:
                await client.reply()
                client.writer.close()
        await gone(gateway)


@pytest.mark.usefixtures("uncollected")
async def test_a_configuration_that_was_replaced_is_gone(tmp_path: Path) -> None:
    """Its parts may well make rings: they are collected when it is stopped."""
    async with running(tmp_path, OPEN) as gateway, await Client.connect(gateway.port) as client:
        path = tmp_path / "gateway.yaml"
        text = path.read_text()
        replaced = []
        for number in range(5):
            app = gateway.worker.app
            replaced += [weakref.ref(each) for each in (app, app.authenticator, app.gate)]
            del app
            path.write_text(text + f"identity_headers: {{user: X-User-{number}}}\n")
            await gateway.worker.reload(load(path, {}).config)
            assert (await client.ask(get("/", gateway.bearer()))).status == 200
        await until(lambda: all(each() is None for each in replaced))
