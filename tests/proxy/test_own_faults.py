"""A bug of ours, wherever on a request's way: 500 at once, a traceback in the log, nothing held."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from gateway.proxy.exchange import Exchange
from gateway.run.app import Gateway
from tests.proxy.test_limits import OPEN, settled
from tests.support.running import logged, running
from tests.support.wire import Client, get


def broken(*_: object, **__: object) -> None:
    raise LookupError("a bug")


@pytest.mark.parametrize(
    ("owner", "name", "early"),
    [(Gateway, "judge", True), (Exchange, "prepare", True), (Exchange, "_framed", False)],
    ids=["decision", "head", "body on its way"],
)
async def test_a_bug_is_a_500_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, early: bool
) -> None:
    async with running(tmp_path, OPEN) as gateway:
        monkeypatch.setattr(owner, name, broken)
        async with await Client.connect(gateway.port) as client:
            began = time.monotonic()
            await client.send(get("/secret-path", "Content-Length: 10", method="POST"))
            await asyncio.sleep(0.03)
            await client.send(b"12345")
            reply = await client.reply()
            assert (reply.status, reply.get("connection")) == (500, "close")
            assert b"bug" not in reply.body
            assert time.monotonic() - began < 1
            assert await client.closed()
        await settled(gateway)
        # It never saw a whole request.
        assert len(gateway.upstream.requests) == (0 if early else 1)
        assert [each.body for each in gateway.upstream.requests] == ([] if early else [b""])
        assert gateway.upstream.open == 0
        lines = await logged(gateway, "log", 1)
        assert "LookupError" in lines[0]["exception"]
        monkeypatch.undo()
        async with await Client.connect(gateway.port) as client:
            assert (await client.ask(get("/"))).status == 200
