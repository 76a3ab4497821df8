"""Reports a bug of ours that must not end the task it was found in: to the event loop's exception handler.

Invariant: reporting never raises into the caller, whatever the interpreter; what is reported reaches the log.
"""

from __future__ import annotations

import asyncio


def report(message: str, bug: Exception) -> None:
    """Log `bug` with its traceback as an unhandled error of the running loop.

    The context names no task: from Python 3.12 on, the loop enters the context of the task it names, and that
    raises RuntimeError where the task is the running one.
    """
    asyncio.get_running_loop().call_exception_handler({"message": message, "exception": bug})
