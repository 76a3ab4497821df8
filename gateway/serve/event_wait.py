"""Waiting for an event with a time limit.

Invariant: never raises TimeoutError; the result says whether the event is set.
"""

from __future__ import annotations

import asyncio


async def happens(event: asyncio.Event, within: float) -> bool:
    """Wait up to `within` seconds; return whether `event` is set."""
    if not event.is_set():
        try:
            async with asyncio.timeout(within):
                await event.wait()
        except TimeoutError:
            pass  # the result says so
    return event.is_set()
