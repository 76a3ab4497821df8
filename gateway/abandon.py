"""Long work in a separate thread, which nobody has to wait for in the end.

asyncio's own threads are joined when the loop ends: a stop would last as long as what they are doing.
Invariant: whoever waits for the work can be cancelled at once, and the thread keeps no process alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def abandonable(work: Callable[[], T], *, name: str = "abandonable") -> T:
    """Return what `work` returns, or raise what it raises. Cancelled, it leaves the thread to itself."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if outcome.done():
            return  # nobody waits any more
        if error is None:
            outcome.set_result(result)  # type: ignore[arg-type]  # None only where T is
        else:
            outcome.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as raised:  # noqa: BLE001 - it is raised again where the work is waited for
            error = raised
        # RuntimeError: the loop was closed meanwhile.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await outcome
