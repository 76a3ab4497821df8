"""Our own load generator, used without wrk and for what wrk cannot do (a rate, counted requests).

`python -m bench.load.builtin PLAN` runs one LoadPlan (JSON) and prints one LoadResult (JSON). It needs more
CPU per request than wrk, on the load's CPU: requests/s then mean little, CPU per request stays correct.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import deque
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from time import perf_counter
from typing import cast

import httptools

from bench.load.lines import render
from bench.load.plan import LoadPlan, LoadResult
from bench.stats import percentile


def requests(plan: LoadPlan) -> Iterator[bytes]:
    """Yield requests in the plan's order; endlessly unless `once`. Raises ValueError for an empty file."""
    lines = Path(plan.tokens).read_text().split()
    if plan.order == "once":
        lines = lines[plan.offset : plan.offset + plan.count]
    if not lines:
        raise ValueError(f"no tokens in {plan.tokens}")
    if plan.order == "first":
        lines = lines[:1]
    rendered = [render(plan, line) for line in lines]
    return iter(rendered) if plan.order == "once" else cycle(rendered)


class Connection(asyncio.Protocol):
    """One keep-alive connection; informs its owner of every answer and of its end."""

    def __init__(self, owner: Generator) -> None:
        self._owner = owner
        self._parser = httptools.HttpResponseParser(self)
        self._sent_for: float | None = None
        self._answered = False
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self.open = True

    def send(self, data: bytes, since: float) -> None:
        self._sent_for = since
        self._transport.write(data)

    def on_message_complete(self) -> None:
        self._answered = True

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()
            return
        if self._answered:
            self._answered = False
            since, self._sent_for = self._sent_for, None
            again = bool(self._parser.should_keep_alive())
            status = self._parser.get_status_code()
            if not again:
                self.open = False
                self._transport.close()
            self._owner.answered(self, since, status)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self._sent_for is not None:
            self._sent_for = None
            self._owner.broken(self)

    def close(self) -> None:
        self._sent_for = None
        self._transport.abort()


class Generator:
    """Runs one plan: closed loop, or open loop if the plan has a rate."""

    def __init__(self, plan: LoadPlan) -> None:
        self._plan = plan
        self._requests = requests(plan)
        self._latencies: list[float] = []
        self._failed = 0
        self._in_flight = 0
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._idle: list[Connection] = []
        self._all: list[Connection] = []
        self._reconnecting: set[asyncio.Task[None]] = set()
        self._over = False
        self._done = asyncio.Event()

    async def run(self) -> LoadResult:
        connections = [await self._connect() for _ in range(self._plan.connections)]
        start = perf_counter()
        if self._plan.rate is None:
            asyncio.get_running_loop().call_later(self._plan.seconds, self._end)
            for connection in connections:
                self._next(connection)
        else:
            self._idle.extend(connections)
            await self._follow_schedule(start, self._plan.rate)
        await self._done.wait()
        seconds = perf_counter() - start
        for connection in self._all:
            connection.close()
        for task in self._reconnecting:
            task.cancel()
        await asyncio.gather(*self._reconnecting, return_exceptions=True)
        if not self._latencies:
            raise RuntimeError("not one answer came in")
        ordered = sorted(self._latencies)
        p50, p99 = (percentile(ordered, share) * 1e3 for share in (0.50, 0.99))
        return LoadResult(len(ordered), self._failed, seconds, p50, p99)

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(self), "127.0.0.1", self._plan.port)
        self._all.append(connection)
        return connection

    async def _follow_schedule(self, start: float, rate: float) -> None:
        for number in range(int(self._plan.seconds * rate)):
            due = start + number / rate
            # The loop's timers have a resolution of a millisecond: the rest is awaited in turns of the loop.
            while (delay := due - perf_counter()) > 0:
                await asyncio.sleep(delay)
            self._waiting.append((next(self._requests), due))
            self._dispatch()
        self._end()

    def _dispatch(self) -> None:
        while self._waiting and self._idle:
            connection = self._idle.pop()
            if not connection.open:
                self._reconnect()
                continue
            self._in_flight += 1
            connection.send(*self._waiting.popleft())

    def _next(self, connection: Connection) -> None:
        """Closed loop: send this connection's next request, if there is one."""
        if self._over or not connection.open:
            return
        request = next(self._requests, None)
        if request is None:
            self._end()
            return
        self._in_flight += 1
        connection.send(request, perf_counter())

    def answered(self, connection: Connection, since: float | None, status: int) -> None:
        if since is None:
            self._failed += 1  # an answer without a request
            return
        self._latencies.append(perf_counter() - since)
        self._failed += not 200 <= status < 300
        self._free(connection)

    def broken(self, connection: Connection) -> None:
        self._failed += 1
        self._free(connection)

    def _free(self, connection: Connection) -> None:
        self._in_flight -= 1
        if not connection.open:
            self._reconnect()
        elif self._plan.rate is None:
            self._next(connection)
        else:
            self._idle.append(connection)
            self._dispatch()
        self._finish_when_empty()

    def _reconnect(self) -> None:
        if self._over and not self._waiting:
            return
        task = asyncio.ensure_future(self._connect_again())
        self._reconnecting.add(task)
        task.add_done_callback(self._reconnecting.discard)

    async def _connect_again(self) -> None:
        try:
            connection = await self._connect()
        except OSError:
            self._failed += 1
            return
        if self._plan.rate is None:
            self._next(connection)
        else:
            self._idle.append(connection)
            self._dispatch()

    def _end(self) -> None:
        self._over = True
        self._finish_when_empty()

    def _finish_when_empty(self) -> None:
        if self._over and not self._in_flight and not self._waiting:
            self._done.set()


async def main(plan: LoadPlan) -> None:
    print((await Generator(plan).run()).to_json())


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(LoadPlan(**json.loads(sys.argv[1]))))
