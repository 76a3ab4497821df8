"""Which event loop serves: uvloop where it is installed, plain asyncio elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


def run(main: Coroutine[None, None, T]) -> T:
    """Run `main` to its end on the loop that serves requests."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(main)


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """None: the default, plain asyncio."""
    try:
        import uvloop  # noqa: PLC0415 - absent on some platforms
    except ImportError:
        return None
    return uvloop.Loop
