"""Threads for the blocking calls of gateway/aws: fair scheduling and bounded queues.

The gateway's own calls (renewals, sign-outs, pool settings) have slots that no page can take; pages share
theirs by client address. Invariant: the event loop never waits for a call, and a client that floods delays
only itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from typing import TypeVar

from gateway.abandon import abandonable
from gateway.errors import GatewayError

T = TypeVar("T")

# Concurrent calls of pages per worker: at Cognito's usual 100 ms they make 80 a second, and an AWS account
# may sign in 120 a second in all. Each gets its own thread, which takes 0.1 ms to start.
PAGES = 8
# Of these for one address, for example of an office: 20 sign-ins a second.
SHARE = 2
# For the gateway's own calls, which only signed-in users cause.
OWN = 8
# Queued calls, of pages and of the gateway each: a few seconds' worth.
WAITING = 64


class Threads:
    """The threads of one process. Owned by the gateway, and outlives reloads."""

    def __init__(self) -> None:
        self._pages = _Lane(PAGES, share=SHARE, waiting=WAITING)
        self._own = _Lane(OWN, share=OWN, waiting=WAITING)

    async def run(self, do: Callable[[], T], *, by: str | None = None) -> T:
        """Run `do` in a thread. `by` is the client's address; None: the gateway itself.

        Raises GatewayError if the queue is full, and whatever `do` raises.
        """
        lane, key = (self._own, "") if by is None else (self._pages, by)
        await lane.enter(key)
        loop, begun = asyncio.get_running_loop(), False

        def work() -> T:
            nonlocal begun
            begun = True
            try:
                return do()
            finally:
                # Cancelling does not stop the call: its slot is released when the thread ends.
                with contextlib.suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(lane.leave, key)

        try:
            return await abandonable(work, name="cognito")
        except RuntimeError as error:
            if begun:
                raise
            lane.leave(key)
            raise GatewayError(f"cannot start a thread for a call to Cognito: {error}") from None

    def close(self) -> None:
        """Drop queued calls; running ones are abandoned, and keep no process alive."""
        for lane in (self._pages, self._own):
            lane.close()


class _Lane:
    """A number of slots with a queue per key; the keys take turns."""

    def __init__(self, places: int, *, share: int, waiting: int) -> None:
        self._places = places
        self._share = share
        self._most = waiting
        self._running: Counter[str] = Counter()
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def enter(self, key: str) -> None:
        """Wait for a slot. Raises GatewayError."""
        if self._free(key) and key not in self._queues:
            self._running[key] += 1
            return
        self._make_room(key)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(key, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.leave(key)
            self._drop(key, turn)
            raise

    def leave(self, key: str) -> None:
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]
        for waiting in list(self._queues):
            if self._free(waiting):
                self._admit(waiting)

    def close(self) -> None:
        """Cancel every wait. Idempotent."""
        queues, self._queues = self._queues, OrderedDict()
        for queue in queues.values():
            for turn in queue:
                if not turn.done():
                    turn.set_exception(GatewayError("the gateway is stopping"))

    def _free(self, key: str) -> bool:
        return self._running.total() < self._places and self._running[key] < self._share

    def _admit(self, key: str) -> None:
        """Admit the first of this key; its next one comes after those of the other keys."""
        turn = self._queues[key].popleft()
        self._queues.move_to_end(key)
        if not self._queues[key]:
            del self._queues[key]
        if not turn.done():
            self._running[key] += 1
            turn.set_result(None)

    def _make_room(self, key: str) -> None:
        """If the queues are full, drop the last of the longest, unless that is this key's."""
        if sum(len(queue) for queue in self._queues.values()) < self._most:
            return
        longest = max(self._queues, key=lambda each: len(self._queues[each]))
        busy = GatewayError(f"{self._most} calls to Cognito are queued already: try again later")
        if len(self._queues[longest]) <= len(self._queues.get(key, ())) + 1:
            raise busy
        dropped = self._queues[longest].pop()
        if not dropped.done():
            dropped.set_exception(busy)

    def _drop(self, key: str, turn: asyncio.Future[None]) -> None:
        queue = self._queues.get(key)
        if queue is not None:
            with contextlib.suppress(ValueError):
                queue.remove(turn)
            if not queue:
                del self._queues[key]
