"""Which event loop serves: uvloop where it is installed, plain asyncio elsewhere."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


def run(main: Coroutine[None, None, T]) -> T:
    """Run `main` to its end on the loop that serves requests."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(main)


def settle() -> None:
    """To be called once everything stands: the collector need not look at what lives until the end.

    Requests and connections make no rings (tests/client/test_no_rings.py), so the count of new objects only
    rises with what is remembered (tokens): 50,000 instead of 700 until the next look; at 700 it took half the
    time of a run in which every token was new. A ring among old objects would stay for good.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def collect() -> None:
    """To be called when something large was taken out of service: its parts may refer to each other in rings.

    Some 10 ms in which nothing is served, after a reload; without it each one kept the verified tokens of the
    configuration before.
    """
    settled = gc.get_freeze_count() > 0
    gc.unfreeze()
    gc.collect()
    if settled:
        gc.freeze()


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """None: the default, plain asyncio."""
    try:
        import uvloop  # noqa: PLC0415 - absent on some platforms
    except ImportError:
        return None
    return uvloop.Loop
