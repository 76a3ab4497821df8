"""What all connections hold together stays within what the container grants."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.client.states import State
from gateway.serve.capacity import Capacity
from gateway.serve.pressure import MOST, Pressure, resident, weight
from tests.support.loops import on_both_loops
from tests.support.running import logged, running
from tests.support.waiting import until
from tests.support.wire import Client, get, once

MIB = 1024 * 1024
KIB = 1024
OPEN = "routes: [{path: /open, auth: none}]\n"


@dataclass(eq=False)
class Connection:
    state: State = State.IDLE
    secure: bool = False
    held: int = 0
    unsent: int = 0


def little() -> int:
    return 0


def many(count: int, **kind: Any) -> set[Any]:
    return {Connection(**kind) for _ in range(count)}


def test_few_are_never_looked_at() -> None:
    heavy = many(8, unsent=10 * MIB)
    assert Pressure(8 * MOST, 100 * MIB, little).victims(heavy, 0) == []


def test_within_the_grant_nobody_is_ended() -> None:
    assert Pressure(10 * MIB, 100 * MIB, little).victims(many(1000), 0) == []


def test_idle_ones_go_first_and_then_the_heaviest() -> None:
    idle = many(100)
    light = many(100, state=State.SERVING, unsent=8 * KIB)
    heavy = many(100, state=State.SERVING, unsent=64 * KIB)
    everybody = idle | light | heavy
    total = sum(map(weight, everybody))
    chosen = Pressure(total - KIB, 100 * MIB, little).victims(everybody, 0)
    assert set(chosen[:100]) == idle
    assert set(chosen[100:]) < heavy
    assert sum(map(weight, everybody - set(chosen))) <= 0.75 * total


def test_handshakes_count() -> None:
    idle = many(200)
    grant = sum(map(weight, idle)) + MIB
    assert Pressure(grant, 100 * MIB, little).victims(idle, 10) == []
    assert Pressure(grant, 100 * MIB, little).victims(idle, 100)


def test_resident_memory_tells_what_was_not_reckoned() -> None:
    idle = many(800)
    total = sum(map(weight, idle))
    assert Pressure(2 * total, 100 * MIB, lambda: 89 * MIB).victims(idle, 0) == []
    chosen = Pressure(2 * total, 100 * MIB, lambda: 91 * MIB).victims(idle, 0)
    assert 0.2 < len(chosen) / len(idle) < 0.3


def test_memory_that_is_not_given_back_ends_nobody_for_ever() -> None:
    left = many(1000)
    pressure = Pressure(2 * sum(map(weight, left)), 100 * MIB, lambda: 99 * MIB)
    while chosen := pressure.victims(left, 0):
        left -= set(chosen)
    assert len(left) > 400


def test_this_process_has_a_size() -> None:
    assert 10 * MIB < resident() < 10_000 * MIB


@on_both_loops
async def test_half_heads_beyond_the_grant_are_ended_and_the_rest_served(tmp_path: Path) -> None:
    capacity = Capacity(connections=5000, bytes=16 * MIB, tokens=16 * MIB, share=10_000 * MIB)
    async with running(tmp_path, OPEN, listen_lines="header_timeout: 60s", capacity=capacity) as gateway:
        crowd = []
        try:
            for _ in range(700):
                sock = socket.create_connection(("127.0.0.1", gateway.port))
                sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"b" * 24_000)
                crowd.append(sock)
                if len(crowd) % 16 == 0:
                    await asyncio.sleep(0)
            await until(lambda: gateway.worker.metrics.limits_reached["memory"] > 0)
            await until(lambda: sum(map(weight, gateway.worker.connections)) <= 16 * MIB)
            assert (await once(gateway.port, get("/open"))).status == 200
            (event, *_) = await logged(gateway, "memory_pressure", 1)
            assert isinstance(event["ended"], int)
            assert event["ended"] > 0
        finally:
            for sock in crowd:
                sock.close()


@pytest.mark.parametrize("granted", [None, 512 * MIB])
async def test_without_pressure_idle_connections_stay(tmp_path: Path, granted: int | None) -> None:
    capacity = Capacity(connections=500, bytes=granted, tokens=16 * MIB, share=granted and 10_000 * MIB)
    async with running(tmp_path, OPEN, capacity=capacity) as gateway:
        async with await Client.connect(gateway.port) as client:
            assert (await client.ask(get("/open"))).status == 200
            await asyncio.sleep(1.2)  # the sweep has passed
            assert (await client.ask(get("/open"))).status == 200
