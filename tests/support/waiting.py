"""Waiting for conditions, however busy the machine is.

The limits only end a test that has failed anyway; no test depends on speed.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable

# Seconds. Some tests wait for a second of work, which may take a minute beside ten other programs.
PATIENCE = 120.0


def readable(descriptor: int, seconds: float) -> bool:
    """Wait until there is something to read; return whether there is. Unlike select(), for any descriptor:
    a process that runs many tests has more than 1,024."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))


async def until(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until it is true. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


async def at_rest(value: Callable[[], int], looks: int = 20, pause: float = 0.02) -> int:
    """Return the value once it was the same at `looks` consecutive looks. Raises TimeoutError if it keeps
    changing.

    Looks, not a duration: a process that got no CPU meanwhile would seem to be at rest.
    """
    async with asyncio.timeout(PATIENCE):
        last, same = value(), 0
        while same < looks:
            await asyncio.sleep(pause)
            now = value()
            last, same = now, same + 1 if now == last else 0
    return last


class Lag:
    """The time for which this process's event loop was late, because of the machine or its own work.

    A test that runs gateway, Cognito and clients in one loop subtracts this from the time it measures.
    """

    _STEP = 0.01

    def __init__(self) -> None:
        self.seconds = 0.0

    async def __aenter__(self) -> Lag:
        self._watching = asyncio.create_task(self._watch())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watching.cancel()
        await asyncio.wait((self._watching,))

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self._STEP
            await asyncio.sleep(self._STEP)
            self.seconds += loop.time() - due
