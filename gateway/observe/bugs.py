"""Reporting of bugs that must not end the task they occurred in, to the event loop's exception handler.

Invariant: reporting never raises into the caller, on any Python version, and every report reaches the log.
"""

from __future__ import annotations

import asyncio


def report(message: str, bug: Exception) -> None:
    """Log a bug with its traceback as an unhandled error of the running loop.

    The context names no task: from Python 3.12 on, the loop enters the context of the named task, which
    raises RuntimeError if that task is the running one.
    """
    asyncio.get_running_loop().call_exception_handler({"message": message, "exception": bug})
