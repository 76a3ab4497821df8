"""A sign-out ends the session's open WebSockets and event streams, and nobody else's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.played_cognito import served
from tests.support.portal import Browser, a_session, form_token, signed_in
from tests.support.running import Running, logged
from tests.support.streams import FAREWELL, upstream
from tests.support.tunnels import UPGRADE
from tests.support.waiting import until
from tests.support.wire import Client, Received, get


@contextlib.asynccontextmanager
async def opened(gateway: Running, target: str, *lines: str) -> AsyncIterator[Client]:
    more = [*UPGRADE, "Origin: http://api.test"] if target == "/ws" else []
    async with await Client.connect(gateway.port) as client:
        await client.send(get(target, *lines, *more))
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert head.split(b" ")[1] == (b"101" if target == "/ws" else b"200")
        yield client


async def sign_out(gateway: Running, browser: Browser, more: str = "") -> None:
    token = await form_token(gateway, browser)
    assert (await browser.post("/oauth2/sign_out", f"csrf={token}{more}")).status == 303


async def still_open(client: Client) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(client.reader.read(1), 0.2)
        return False
    return True


@pytest.mark.parametrize("store", ["cookie", "memory"])
@pytest.mark.parametrize(("target", "end"), [("/ws", FAREWELL), ("/events", b"0\r\n\r\n")])
async def test_they_end_with_their_session_and_no_other(
    tmp_path: Path, store: str, target: str, end: bytes
) -> None:
    async with served(tmp_path, store) as (gateway, _):
        gateway.upstream.script = upstream
        leaving = await signed_in(gateway)
        same_user = await signed_in(gateway)
        async with (
            opened(gateway, target, leaving.cookie) as ends,
            opened(gateway, target, same_user.cookie) as stays,
            opened(gateway, target, gateway.bearer()) as program,
        ):
            await sign_out(gateway, leaving)
            assert await asyncio.wait_for(ends.reader.readexactly(len(end)), 9) == end
            await until(lambda: gateway.upstream.open == 2)
            assert await still_open(stays)
            assert await still_open(program)
            assert len(gateway.worker.app.streams) == 2
            # Everywhere: all that are the user's.
            await sign_out(gateway, same_user, "&everywhere=yes")
            assert await asyncio.wait_for(stays.reader.readexactly(len(end)), 9) == end
        await until(lambda: gateway.upstream.open == 0)
        assert len(gateway.worker.app.streams) == 0


async def test_everywhere_ends_those_of_the_users_tokens_and_no_other_user(tmp_path: Path) -> None:
    async with served(tmp_path) as (gateway, _):
        gateway.upstream.script = upstream
        browser = await signed_in(gateway, a_session(gateway.key, subject="sub-of-somebody-else"))
        other = await signed_in(gateway)
        async with (
            opened(gateway, "/ws", gateway.bearer()) as program,
            opened(gateway, "/events", other.cookie) as events,
        ):
            await sign_out(gateway, browser, "&everywhere=yes")
            assert await still_open(program)
            await sign_out(gateway, other, "&everywhere=yes")
            assert await asyncio.wait_for(program.reader.read(), 9) == FAREWELL
            assert await asyncio.wait_for(events.reader.readexactly(5), 9) == b"0\r\n\r\n"
        lines = await logged(gateway, "request", 4)
        assert "signed_out" in {line["reason"] for line in lines}


async def test_one_that_begins_after_the_sign_out_is_ended_at_once(tmp_path: Path) -> None:
    """The request was let in before; the upstream takes its time with the 101."""
    go = asyncio.Event()

    async def late(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if received.target == b"/ws":
            await go.wait()
        await upstream(received, reader, writer)

    async with served(tmp_path) as (gateway, _):
        gateway.upstream.script = late
        browser = await signed_in(gateway)
        async with await Client.connect(gateway.port) as client:
            await client.send(get("/ws", browser.cookie, *UPGRADE, "Origin: http://api.test"))
            await until(lambda: gateway.upstream.open == 1)
            await sign_out(gateway, browser)
            go.set()
            assert (await client.reply()).status == 101
            assert await asyncio.wait_for(client.reader.read(), 9) == FAREWELL
        await until(lambda: gateway.upstream.open == 0)


async def test_a_new_sign_in_keeps_its_streams(tmp_path: Path) -> None:
    async with served(tmp_path) as (gateway, _):
        gateway.upstream.script = upstream
        await sign_out(gateway, await signed_in(gateway), "&everywhere=yes")
        async with opened(gateway, "/ws", (await signed_in(gateway)).cookie) as client:
            assert await still_open(client)
