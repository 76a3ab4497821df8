"""How many clients there may be, and what is kept of one."""

from __future__ import annotations

from pathlib import Path

from tests.support.running import running
from tests.support.waiting import until
from tests.support.wire import Client, get, once


async def test_one_connection_too_many(tmp_path: Path) -> None:
    async with running(tmp_path, listen_lines="max_connections: 2") as gateway:
        bearer = gateway.bearer()
        async with await Client.connect(gateway.port) as first, await Client.connect(gateway.port) as second:
            assert (await first.ask(get("/", bearer))).status == 200
            assert (await second.ask(get("/", bearer))).status == 200
            async with await Client.connect(gateway.port) as third:
                reply = await third.reply()
                assert (reply.status, reply.get("Retry-After")) == (503, "1")
                assert await third.closed()
            # Those that were there first feel nothing.
            assert (await first.ask(get("/", bearer))).status == 200
        assert len(gateway.upstream.requests) == 3
        assert gateway.worker.metrics.auth_decisions["error", "too_many_connections"] == 1
        await until(lambda: not gateway.worker.connections)
        assert (await once(gateway.port, get("/", bearer))).status == 200
