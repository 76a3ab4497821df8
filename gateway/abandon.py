"""Blocking calls in daemon threads that can be cancelled without waiting for the call to return.

The threads of asyncio's default executor are joined when the loop closes, so shutdown would last as long as
their work. Invariant: awaiting the work can be cancelled at once, and the thread keeps no process alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def abandonable(work: Callable[[], T], *, name: str = "abandonable") -> T:
    """Return what `work` returns, or raise what it raises. Cancelling abandons the thread."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if outcome.done():
            return  # the caller was cancelled
        if error is None:
            outcome.set_result(result)  # type: ignore[arg-type]  # None only where T is
        else:
            outcome.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as raised:  # noqa: BLE001 - it is raised again in the awaiting task
            error = raised
        # RuntimeError: the loop has been closed.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await outcome
