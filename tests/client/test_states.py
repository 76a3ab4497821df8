"""The states of a client's connection: the table is whole, and nothing else happens."""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet
from pathlib import Path

import pytest

from gateway.client.states import TRANSITIONS, State
from tests.support.certificates import calling
from tests.support.loops import on_both_loops
from tests.support.running import logged, running
from tests.support.settling import OPEN, settled
from tests.support.tls_serving import serving
from tests.support.tunnels import UPGRADE
from tests.support.waiting import until
from tests.support.wire import Client, get, once


def reachable(start: State) -> AbstractSet[State]:
    found: set[State] = set()
    to_see = [start]
    while to_see:
        for state in TRANSITIONS[to_see.pop()] - found:
            found.add(state)
            to_see.append(state)
    return found


def test_every_state_is_declared_and_reaches_closed() -> None:
    assert TRANSITIONS.keys() == set(State)
    assert reachable(State.NEW) == set(State) - {State.NEW}
    for state in set(State) - {State.CLOSED}:
        # Whatever it is doing, the client may go.
        assert State.CLOSED in TRANSITIONS[state]
        assert state not in TRANSITIONS[state]


def test_nothing_is_served_once_the_end_has_begun() -> None:
    for last in (State.LINGERING, State.CLOSING, State.CLOSED):
        assert reachable(last) <= {State.CLOSING, State.CLOSED}
    # Behind a 101 nothing is HTTP any more.
    assert reachable(State.TUNNEL) == {State.CLOSING, State.CLOSED}


async def test_a_connections_repr_shows_its_state(tmp_path: Path) -> None:
    async with running(tmp_path, OPEN) as gateway, await Client.connect(gateway.port) as client:
        await until(lambda: gateway.worker.connections)
        (connection,) = gateway.worker.connections
        assert (connection.state, repr(connection)) == (State.NEW, "<ClientConnection new>")
        await client.send(get("/")[:10])
        await until(lambda: connection.state is State.HEAD)
        await client.send(get("/")[10:])
        assert (await client.reply()).status == 200
        assert connection.state is State.IDLE
        await client.send(get("/")[:10])
        await until(lambda: connection.state is State.HEAD)
        client.writer.close()
        await until(lambda: connection.state is State.CLOSED)


@pytest.mark.parametrize("state", [State.TUNNEL, State.NEW])
async def test_a_state_that_cannot_follow_is_logged_and_ends_the_connection(
    tmp_path: Path, state: State
) -> None:
    async with running(tmp_path, OPEN) as gateway:
        async with await Client.connect(gateway.port) as client:
            assert (await client.ask(get("/"))).status == 200
            (connection,) = gateway.worker.connections
            connection.enter(state)
            assert connection.state is State.IDLE
            assert await client.closed()
        (line,) = await logged(gateway, "log", 1)
        assert f"{state.name} after IDLE" in line["message"]
        await settled(gateway)


@on_both_loops
async def test_on_the_way_out_every_answer_is_the_connection_s_last(tmp_path: Path) -> None:
    """During drain_delay as well, over TLS too; so are refusals, those of handshakes among them."""
    async with serving(tmp_path, listen="drain_delay: 1m") as (gateway, authority):
        tls, now = calling(authority), asyncio.Event()
        bearer = gateway.bearer()
        async with await Client.connect(gateway.port, tls) as idle:
            assert (await idle.ask(get("/", bearer))).get("connection") is None
            stopping = asyncio.create_task(gateway.worker.stop(now))
            await asyncio.sleep(0)
            reply = await idle.ask(get("/", bearer))
            assert (reply.status, reply.get("connection")) == (200, "close")
            assert await idle.closed()
        for lines, status in (((bearer,), 200), ((), 401), (UPGRADE, 401)):
            reply = await once(gateway.port, get("/", *lines), tls=tls)
            assert (reply.status, reply.get("connection")) == (status, "close")
        now.set()
        await stopping
