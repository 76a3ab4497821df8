"""What a call costs in CPU, told apart from what else happens to this process meanwhile."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable


def cpu_seconds(call: Callable[[], object], tries: int = 3) -> float:
    """Return the least that a try took of this thread's CPU time, without the collector.

    One pass of the collector over all that the tests have loaded takes longer than most calls.
    """
    gc.disable()
    try:
        return min(_once(call) for _ in range(tries))
    finally:
        gc.enable()


def _once(call: Callable[[], object]) -> float:
    began = time.thread_time()
    call()
    return time.thread_time() - began
