"""What the request path remembers of clients is bounded in number and in size."""

from __future__ import annotations

from pathlib import Path

from gateway.http import request
from gateway.http.headers import HeaderTable
from tests.support.running import running
from tests.support.wire import Client, get


async def test_long_targets_names_and_hosts_are_not_kept(tmp_path: Path) -> None:
    async with running(tmp_path, "routes: [{path: /**, auth: none}]\n") as gateway:
        async with await Client.connect(gateway.port) as client:
            assert (await client.ask(get("/short"))).status == 200
            assert (await client.ask(get("/" + "l" * 20_000))).status == 200
            host = "h" * 300
            assert (await client.ask(get("/short", f"X-{'n' * 100}: 1", host=host))).status == 200
        asked = gateway.worker.app.gate.needs
        assert ("GET", "/short") in asked
        assert all(len(path) <= 256 for _, path in asked)
        assert host.encode() not in request.valid_hosts


def test_long_header_names_are_judged_and_forgotten() -> None:
    table = HeaderTable(["X-Auth-Request-User"], trusted=False)
    table.kind(b"x-short")
    table.kind(b"x-" + b"n" * 1000)
    assert set(table.remembered) == {b"x-short"}
