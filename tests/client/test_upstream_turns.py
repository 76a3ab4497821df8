"""How much of an upstream's answer one turn of the event loop reads, and that nothing runs after the end."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections import Counter
from pathlib import Path

from gateway.errors import Refusal
from gateway.upstream.connection import READ_SIZE, UpstreamConnection
from gateway.upstream.outbox import Outbox
from gateway.upstream.response_parser import AnswerHead
from tests.support.loops import on_both_loops
from tests.support.wire import Received, Upstream

CRUMB = b"1\r\nx\r\n"


class Owner:
    def give_back(self, connection: UpstreamConnection) -> None:
        connection.abort()

    def lost(self, connection: UpstreamConnection) -> None: ...


class Counting:
    """An AnswerListener that counts what each turn brings."""

    def __init__(self) -> None:
        self.turn = 0
        self.bodies: Counter[int] = Counter()
        self.over = asyncio.Event()

    async def tick(self) -> None:
        while not self.over.is_set():
            await asyncio.sleep(0)
            self.turn += 1

    def answer_interim(self, head: AnswerHead) -> None: ...

    def answer_started(self, head: AnswerHead, body: list[bytes], end: list[bytes] | None) -> None:
        self.answer_continued(body, end)

    def answer_continued(self, body: list[bytes], end: list[bytes] | None) -> None:
        self.bodies[self.turn] += sum(map(len, body))
        if end is not None:
            self.over.set()

    def answer_upgraded(self, head: AnswerHead, early: bytes) -> None: ...

    def answer_failed(self, refusal: Refusal) -> None:
        raise AssertionError(refusal)

    def room(self) -> int:
        return 0

    def upload_resumed(self) -> None: ...


@on_both_loops
async def test_chunks_of_one_byte_delay_no_other_client(tmp_path: Path) -> None:
    """libuv would read up to 32 times in one turn, 10,000 chunks each time: a sixth of a second."""
    pieces = 600_000

    async def crumbs(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head + CRUMB * pieces + b"0\r\n\r\n")
        await writer.drain()

    loop, counting = asyncio.get_running_loop(), Counting()
    async with Upstream(script=crumbs).running() as upstream:
        connection = UpstreamConnection(give_back=Owner().give_back, lost=Owner().lost)
        await loop.create_connection(lambda: connection, "127.0.0.1", upstream.port)
        connection.lend(counting, head_only=False, request_complete=True, upgrade=False)
        # The kernel's buffers are full when reading begins.
        connection.pause_reading()
        connection.post(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", Outbox())
        await asyncio.sleep(0.3)
        ticking = asyncio.create_task(counting.tick())
        await asyncio.sleep(0)
        connection.resume_reading()
        await asyncio.wait_for(ticking, 60)
        assert sum(counting.bodies.values()) == pieces
        assert max(counting.bodies.values()) <= 2 * READ_SIZE // len(CRUMB)


@on_both_loops
async def test_nothing_waits_for_a_connection_that_was_closed(tmp_path: Path) -> None:
    """A timer would abort its transport later: asyncio's TLS transports fail then (CPython before 3.11.5)."""
    loop, lost = asyncio.get_running_loop(), asyncio.Event()
    async with Upstream().running() as upstream:
        connection = UpstreamConnection(give_back=Owner().give_back, lost=lambda _: lost.set())
        await loop.create_connection(lambda: connection, "127.0.0.1", upstream.port)
        assert connection.transport is not None
        held = weakref.ref(connection.transport)
        connection.close()
        await asyncio.wait_for(lost.wait(), 60)
        # The loop's turn that told of the end has the transport as well.
        await asyncio.sleep(0)
        gc.collect()
        assert held() is None
