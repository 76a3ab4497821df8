"""Waiting for an event, for so long at most.

Invariant: never raises TimeoutError; the answer says whether the event is set.
"""

from __future__ import annotations

import asyncio


async def happens(event: asyncio.Event, within: float) -> bool:
    """Whether `event` is set, now or within so many seconds; returns at once when it is."""
    if not event.is_set():
        try:
            async with asyncio.timeout(within):
                await event.wait()
        except TimeoutError:
            pass  # that is the other answer
    return event.is_set()
