"""What one turn of the event loop has to say leaves at its end: all of it, in order, and nothing too late."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from gateway.errors import Refusal
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.outbox import MOST, Outbox
from gateway.upstream.response_parser import AnswerHead
from tests.support.running import running
from tests.support.wire import OK, Client, Upstream, get


class Note:
    """A holder that writes down that it was flushed."""

    def __init__(self, name: int, book: list[int]) -> None:
        self.name = name
        self.book = book

    def flush(self) -> None:
        self.book.append(self.name)


async def test_held_data_is_written_in_order_at_the_end_of_the_turn() -> None:
    outbox, book = Outbox(), list[int]()
    for name in range(3):
        outbox.add(Note(name, book))
    assert book == []
    await asyncio.sleep(0)
    assert book == [0, 1, 2]
    outbox.add(Note(3, book))
    await asyncio.sleep(0)
    assert book == [0, 1, 2, 3]


async def test_no_more_are_held_than_the_bound() -> None:
    outbox, book = Outbox(), list[int]()
    for name in range(MOST + 1):
        outbox.add(Note(name, book))
    assert book == list(range(MOST))
    await asyncio.sleep(0)
    assert book == list(range(MOST + 1))


class Pool:
    """The owner of one connection: hears that it is lost."""

    def __init__(self) -> None:
        self.returned = 0
        self.gone = asyncio.Event()

    def give_back(self, _: UpstreamConnection) -> None:
        self.returned += 1

    def lost(self, _: UpstreamConnection) -> None:
        self.gone.set()


class Asker:
    """An AnswerListener that only wants to know whether it failed."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.statuses: list[int] = []

    def answer_interim(self, head: AnswerHead) -> None:
        raise AssertionError(head)

    def answer_started(self, head: AnswerHead, body: list[bytes], end: list[bytes] | None) -> None:
        self.statuses.append(head.status)

    def answer_continued(self, body: list[bytes], end: list[bytes] | None) -> None:
        raise AssertionError(body)

    def answer_upgraded(self, head: AnswerHead, early: bytes) -> None:
        raise AssertionError(head)

    def answer_failed(self, refusal: Refusal) -> None:
        self.failed.append(str(refusal))

    def room(self) -> int:
        return 0

    def upload_resumed(self) -> None:
        raise AssertionError


async def lent(upstream: Upstream) -> tuple[Pool, Asker, UpstreamConnection]:
    pool, asker = Pool(), Asker()
    connection = UpstreamConnection(give_back=pool.give_back, lost=pool.lost)
    await asyncio.get_running_loop().create_connection(lambda: connection, "127.0.0.1", upstream.port)
    connection.lend(asker, head_only=False, request_complete=True, upgrade=False)
    return pool, asker, connection


REQUEST = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_an_answer_before_the_question_left_answers_nothing() -> None:
    async with Upstream().running() as upstream:
        pool, asker, connection = await lent(upstream)
        connection.post(REQUEST, Outbox())
        # The same turn brings bytes that the upstream sent while nobody had asked.
        connection.data_received(OK)
        assert len(asker.failed) == 1
        assert asker.statuses == []
        assert not connection.answered  # so that the caller may try another connection
        await asyncio.wait_for(pool.gone.wait(), 20)
        assert pool.returned == 0
        assert upstream.requests == []


async def test_later_writes_follow_held_data() -> None:
    async with Upstream().running() as upstream:
        pool, asker, connection = await lent(upstream)
        connection.post(REQUEST[:10], Outbox())
        connection.write(REQUEST[10:])
        while not pool.returned:
            await asyncio.sleep(0.01)
        assert asker.statuses == [200]
        assert [request.target for request in upstream.requests] == [b"/a"]
        connection.abort()
        await asyncio.wait_for(pool.gone.wait(), 20)


async def test_an_abandoned_request_is_not_sent() -> None:
    async with Upstream().running() as upstream:
        pool, _, connection = await lent(upstream)
        connection.post(REQUEST, Outbox())
        connection.abort()
        await asyncio.wait_for(pool.gone.wait(), 20)
        assert upstream.requests == []


async def test_more_clients_at_once_than_are_held_back(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway, AsyncExitStack() as stack:
        bearer = gateway.bearer()
        clients = [
            await stack.enter_async_context(await Client.connect(gateway.port)) for _ in range(2 * MOST + 5)
        ]
        for round_ in range(3):
            replies = await asyncio.gather(
                *(client.ask(get(f"/{round_}/{number}", bearer)) for number, client in enumerate(clients))
            )
            assert {reply.status for reply in replies} == {200}
        assert len({request.target for request in gateway.upstream.requests}) == 3 * len(clients)


async def test_pipelined_requests_are_answered_whole_before_the_close(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway, await Client.connect(gateway.port) as client:
        # Refused at once, in one turn: each answer is held, then pushed out by the next, the last by the end.
        await client.send(get("/a") * 5 + b"GET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert [(await client.reply()).status for _ in range(6)] == [401] * 6
        assert await client.closed()
