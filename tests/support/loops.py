"""Tests that must pass on both event loops: asyncio's and uvloop's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def on_both_loops(test: Callable[[Path], Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test that takes a folder once on each loop."""

    @pytest.mark.parametrize("loop", LOOPS)
    def run(tmp_path: Path, loop: str) -> None:
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(test(tmp_path))

    run.__doc__ = test.__doc__
    return run
