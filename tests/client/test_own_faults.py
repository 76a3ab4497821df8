"""A bug of ours, wherever on a request's way: 500 at once, a traceback in the log, nothing held."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.client import exchange, upload
from gateway.client.connection import ClientConnection
from gateway.client.exchange import Exchange
from gateway.gate import judge
from gateway.gate.authenticate import Authenticator, Verification
from gateway.gate.judge import Gate
from gateway.gate.limits import Limits
from gateway.gate.record import Record
from gateway.http import request
from gateway.policy.routes import RouteTable
from gateway.serve.app import Gateway
from gateway.sessions.from_cookie import ByCookie
from tests.support.running import logged, running
from tests.support.settling import OPEN, settled
from tests.support.waiting import Lag, until
from tests.support.wire import Client, Received, Upstream, get, once


def broken(*_: object, **__: object) -> None:
    raise LookupError("a bug")


@pytest.mark.parametrize(
    ("owner", "name", "early"),
    [(Gate, "judge", True), (Exchange, "prepare", True), (upload, "framed", False)],
    ids=["decision", "head", "body on its way"],
)
async def test_a_bug_is_a_500_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, early: bool
) -> None:
    async with running(tmp_path, OPEN) as gateway:
        monkeypatch.setattr(owner, name, broken)
        async with Lag() as lag, await Client.connect(gateway.port) as client:
            began = time.monotonic()
            await client.send(get("/secret-path", "Content-Length: 10", method="POST"))
            await asyncio.sleep(0.03)
            await client.send(b"12345")
            reply = await client.reply()
            assert (reply.status, reply.get("connection")) == (500, "close")
            assert b"bug" not in reply.body
            # header_timeout is 10 s, and idle_timeout longer.
            assert time.monotonic() - began - lag.seconds < 8
            assert await client.closed()
        await settled(gateway)
        # It never saw a whole request.
        assert len(gateway.upstream.requests) == (0 if early else 1)
        assert [each.body for each in gateway.upstream.requests] == ([] if early else [b""])
        await until(lambda: gateway.upstream.open == 0)
        lines = await logged(gateway, "log", 1)
        assert "LookupError" in lines[0]["exception"]
        monkeypatch.undo()
        async with await Client.connect(gateway.port) as client:
            assert (await client.ask(get("/"))).status == 200


# With a limit a new token is verified at once, without one together with others.
LIMITED = "rate_limit: {requests_per_second: 100}"
STAGES = [
    (judge, "readings"),
    (judge, "decide"),
    (RouteTable, "need"),
    (Authenticator, "recognise"),
    (Authenticator, "begin"),
    (Verification, "decode"),
    (Verification, "verify"),
    (Verification, "principal"),
    (Record, "proven"),
    (ByCookie, "recognise"),
    (request, "scan"),
    (exchange, "upstream_head"),
]


@pytest.mark.parametrize(
    ("yaml", "owner", "name"),
    [(LIMITED, Limits, "count"), *((yaml, *stage) for yaml in ("", LIMITED) for stage in STAGES)],
)
async def test_a_stage_that_raises_fails_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, yaml: str, owner: object, name: str
) -> None:
    async with running(tmp_path, yaml) as gateway:
        monkeypatch.setattr(owner, name, broken)
        cookie = owner is ByCookie
        sent = get("/x", "Cookie: cognito_gateway_session=1.x" if cookie else gateway.bearer())
        reply = await once(gateway.port, sent)
        assert reply.status == 500
        assert gateway.upstream.requests == []
        monkeypatch.undo()
        assert (await once(gateway.port, get("/x", gateway.bearer()))).status == 200


async def test_a_bug_with_one_connection_keeps_no_other_from_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, OPEN, drain_timeout="60s") as gateway:
        async with await Client.connect(gateway.port) as one, await Client.connect(gateway.port) as other:
            for client in (one, other):
                assert (await client.ask(get("/"))).status == 200
            done, drain = [], ClientConnection.drain

            def broken_once(connection: ClientConnection) -> None:
                done.append(connection)
                broken() if len(done) == 1 else drain(connection)

            monkeypatch.setattr(ClientConnection, "drain", broken_once)
            await asyncio.wait_for(gateway.worker.stop(), 30)
            assert len(done) == 2
            assert await one.closed()
            assert await other.closed()


async def test_a_configuration_that_cannot_be_stopped_ends_no_deadlines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, OPEN, listen_lines="header_timeout: 300ms") as gateway:
        monkeypatch.setattr(Gateway, "stop", broken)
        await gateway.worker.reload(dataclasses.replace(gateway.worker.config, routes=()))
        await logged(gateway, "log", 1)
        monkeypatch.undo()
        async with await Client.connect(gateway.port) as client:
            assert await client.closed()


async def test_a_request_that_cannot_even_be_ended_ends_no_deadlines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: dict[str, Any] = {
        "listen_lines": "header_timeout: 300ms",
        "upstream_lines": "response_timeout: 300ms",
    }
    async with running(tmp_path, OPEN, upstream=Upstream(script=silent), **lines) as gateway:
        for name in ("refuse", "ended"):
            monkeypatch.setattr(Record, name, broken)
        async with await Client.connect(gateway.port) as client:
            await client.send(get("/"))
            assert await client.closed()
        async with await Client.connect(gateway.port) as client:
            assert await client.closed()


async def test_requests_that_cannot_be_ended_do_not_keep_the_worker_from_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, OPEN, upstream=Upstream(script=silent), drain_timeout="100ms") as gateway:
        async with await Client.connect(gateway.port) as one, await Client.connect(gateway.port) as other:
            for client in (one, other):
                await client.send(get("/"))
            await until(lambda: len(gateway.upstream.requests) >= 2)
            monkeypatch.setattr(Record, "ended", broken)
            await asyncio.wait_for(gateway.worker.stop(), 30)
            assert await one.closed()
            assert await other.closed()


async def silent(_: Received, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await reader.read()
