"""What the gate remembers for speed is bounded, and forgetting it changes no answer."""

from __future__ import annotations

import asyncio
import tracemalloc
from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway.http.forwarded import TrustedProxies
from tests.support.running import logged, running
from tests.support.wire import Client, get, once

OPEN = "routes: [{path: /open/**, auth: none}, {path: /**}]\n"


async def test_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.gate.judge._REMEMBERED_TARGETS", 3)
    async with running(tmp_path, OPEN) as gateway:
        for _ in range(2):
            for number in range(8):
                assert (await once(gateway.port, get(f"/open/{number}"))).status == 200
                assert (await once(gateway.port, get(f"/closed/{number}"))).status == 401


async def test_clients_that_the_log_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.gate.limits._REMEMBERED", 2)
    yaml = OPEN + "rate_limit: {requests_per_second: 0.001, burst: 1}\n"
    trusting = "trusted_proxies: [127.0.0.1/32]"
    async with running(tmp_path, yaml, listen_lines=trusting) as gateway:
        for number in (1, 2, 3, 1):
            for _ in range(2):
                await once(gateway.port, get("/open/", f"X-Forwarded-For: 203.0.113.{number}"))
        # The first one is named again, because the third took the place of what was remembered.
        told = await logged(gateway, "rate_limited", 4)
    assert [line["client"] for line in told] == [f"203.0.113.{number}" for number in (1, 2, 3, 1)]


async def test_addresses_of_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.gate.trust._REMEMBERED", 2)
    async with running(tmp_path, OPEN) as gateway:
        for number in (1, 2, 3, 1):
            host = f"127.0.0.{number}"
            streams = await asyncio.open_connection("127.0.0.1", gateway.port, local_addr=(host, 0))
            async with Client(*streams) as client:
                assert (await client.ask(get("/open/"))).status == 200
            assert gateway.upstream.last.get("X-Forwarded-For") == host.encode()


def test_chains_of_proxies() -> None:
    proxies = TrustedProxies([ip_network("10.0.0.0/8")])

    def ask(numbers: range) -> None:
        for number in numbers:
            chain = proxies.chain(f"203.0.{number >> 8}.{number & 255}, 10.0.0.1".encode())
            assert chain.client == f"203.0.{number >> 8}.{number & 255}"

    ask(range(2_000))
    tracemalloc.start()
    try:
        ask(range(2_000, 20_000))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2_000_000, "a thousand chains are kept, not twenty thousand"
