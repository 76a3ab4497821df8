"""A deadline for a call that does not count stalls of this process.

Invariant: no cancellation is lost. In Python 3.11, `asyncio.wait_for`, which redis-py calls, loses one that
arrives together with the result. A late call that goes on is cancelled again, a quarter of the time later;
the cancellation of its task is raised when the call ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

# The timeout is split into parts, each of which counts once, however long it took: so responses that arrived
# while a busy machine gave this process no CPU are read before Redis is called slow.
PARTS = 4


async def within(seconds: float, do: Callable[[], Awaitable[T]]) -> T:
    """Return the result of `do`. Raises TimeoutError after `seconds`, not counting stalls of the loop."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None, "a coroutine runs in a task"
    before, cancelled = task.cancelling(), 0
    timers: list[asyncio.TimerHandle] = []

    def passed() -> None:
        nonlocal cancelled
        if len(timers) >= PARTS:
            cancelled += 1
            task.cancel()
        timers.append(loop.call_later(seconds / PARTS, passed))

    passed()
    try:
        return await do()
    except asyncio.CancelledError:
        if cancelled:
            raise TimeoutError from None
        raise
    finally:
        timers[-1].cancel()
        for _ in range(cancelled):
            task.uncancel()
        if task.cancelling() > before:  # from outside
            raise asyncio.CancelledError
