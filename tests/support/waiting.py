"""Waiting for what will be so, however busy the machine is.

The limits only end a test that has failed anyway: none of them says how fast anything is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

# Seconds.
PATIENCE = 30.0


async def until(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    """TimeoutError when it is not true in time."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


async def at_rest(value: Callable[[], int], looks: int = 20, pause: float = 0.02) -> int:
    """The value, once it was the same at so many looks in a row. TimeoutError when it goes on changing.

    Looks, and not a time: of a process that got no CPU meanwhile, a time would say nothing.
    """
    async with asyncio.timeout(PATIENCE):
        last, same = value(), 0
        while same < looks:
            await asyncio.sleep(pause)
            now = value()
            last, same = now, same + 1 if now == last else 0
    return last


class Lag:
    """How long this process's event loop did not get to what was due: by the machine, or by its own work.

    Where a test has everything in one loop, gateway, Cognito and clients, a promise in seconds holds for what
    is left of the time when this is taken off.
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
