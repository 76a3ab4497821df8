"""One client with much to do keeps nobody else waiting: its work is done in pieces, between that of others.

Nothing here says how long anything takes: what is counted is how much the greedy client got meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.client.turn_queue import Turns
from tests.support.loops import on_both_loops
from tests.support.running import Running, running
from tests.support.waiting import until
from tests.support.wire import OK, Client, Received, Upstream, get

PUBLIC = "routes: [{path: '/public/**', auth: none}]\n"
# Requests of the greedy client, and how many of them may be served while another one waits for its answer:
# those of some turns of the event loop. A whole read of them used to be served in one turn, 9,000 requests.
MANY, FEW = 20_000, 4_000


@contextlib.asynccontextmanager
async def flooding(gateway: Running, data: bytes, times: int = 1) -> AsyncIterator[None]:
    """Clients that send this without pause, and read and drop what comes back."""
    async with contextlib.AsyncExitStack() as stack:
        tasks: list[asyncio.Task[Any]] = []
        for _ in range(times):
            client = await stack.enter_async_context(await Client.connect(gateway.port))

            async def drop(reader: asyncio.StreamReader = client.reader) -> None:
                while await reader.read(2**20):
                    pass

            tasks += [asyncio.create_task(drop()), asyncio.create_task(client.send(data))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def served(gateway: Running) -> int:
    return sum(gateway.worker.metrics.requests.values())


async def meanwhile(gateway: Running) -> int:
    """How many requests are served until another client, which connects now, has its answer."""
    before = served(gateway)
    async with await Client.connect(gateway.port) as client:
        assert (await client.ask(get("/public/other"))).status == 200
    return served(gateway) - before


@on_both_loops
async def test_requests_without_pause(tmp_path: Path) -> None:
    async with running(tmp_path, PUBLIC + "log: {access: false, level: error}\n") as gateway:
        async with flooding(gateway, get("/x", host="a") * MANY):
            await until(lambda: served(gateway) > 100)
            for _ in range(3):
                assert await meanwhile(gateway) < FEW
            await until(lambda: served(gateway) >= MANY)


@on_both_loops
async def test_requests_without_pause_of_many_fields(tmp_path: Path) -> None:
    request = get("/x", *(f"a{number}:" for number in range(100)), host="a")
    async with running(tmp_path, PUBLIC + "log: {access: false, level: error}\n") as gateway:
        async with flooding(gateway, request * 5_000):
            await until(lambda: served(gateway) > 100)
            for _ in range(3):
                assert await meanwhile(gateway) < FEW // 4


@on_both_loops
async def test_many_clients_without_pause(tmp_path: Path) -> None:
    async with running(tmp_path, PUBLIC + "log: {access: false, level: error}\n") as gateway:
        async with flooding(gateway, get("/x", host="a") * (MANY // 32), 32):
            await until(lambda: served(gateway) > 100)
            assert await meanwhile(gateway) < FEW


@on_both_loops
async def test_a_body_in_chunks_of_one_byte(tmp_path: Path) -> None:
    """Each is 1 µs of the parser's time, and as much of the reader's."""
    received = 0

    async def count(head: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        if head.target == b"/public/other":
            writer.write(OK)
            return
        while data := await reader.read(2**16):
            received += data.count(b"z")

    chunks = 300_000
    head = get("/public/up", "Transfer-Encoding: chunked", method="POST", host="b")
    async with running(tmp_path, PUBLIC, upstream=Upstream(script=count)) as gateway:
        async with flooding(gateway, head + b"1\r\nz\r\n" * chunks):
            await until(lambda: received > 100)
            for _ in range(3):
                before = received
                await meanwhile(gateway)
                assert received - before < chunks / 8
            await until(lambda: received == chunks)


# --- the line alone ---


class One:
    def __init__(self, turns: Turns, did: list[str], name: str, times: int) -> None:
        self.turns, self.did, self.name, self.times = turns, did, name, times
        self.aborted = False

    def go_on(self) -> None:
        self.did.append(self.name)
        self.times -= 1
        if self.times:
            self.turns.join(self)

    def abort(self) -> None:
        self.aborted = True


async def test_first_come_first_served() -> None:
    turns, did = Turns(), list[str]()
    for name, times in (("a", 3), ("b", 1), ("c", 2)):
        turns.join(One(turns, did, name, times))
    assert (did, len(turns)) == ([], 3)
    await until(lambda: not len(turns))
    assert did == ["a", "b", "c", "a", "c", "a"]


async def test_a_bug_with_one_is_no_other_s_business() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    turns, did = Turns(), list[str]()
    good, bad = One(turns, did, "good", 2), One(turns, did, "bad", 1)
    bad.did = None  # type: ignore[assignment]
    turns.join(bad)
    turns.join(good)
    await until(lambda: not len(turns))
    assert (did, bad.aborted, good.aborted) == (["good", "good"], True, False)
    assert [type(each["exception"]) for each in told] == [AttributeError]


@pytest.mark.parametrize("count", [1, 500])
async def test_a_long_line_leaves_the_loop_to_others(count: int) -> None:
    """However many stand in line, others of the loop run between their turns."""
    turns = Turns()
    did: list[str] = []
    line = [One(turns, did, "x", 20_000 // count) for _ in range(count)]
    for each in line:
        turns.join(each)
    loops = 0
    while len(turns):
        loops += 1
        await asyncio.sleep(0)
    assert len(did) == 20_000 // count * count
    assert loops > 1
