"""The drivers of `judge`: it yields what it needs, and they resume it with the result.

`begin` answers from memory, without a task; `finish` waits, inside a task. A third driver, client/batch.py,
verifies the new tokens of many requests together and resumes each of them.

Invariant: an exception from what was awaited is raised inside the generator, where `judge` handles it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

from gateway.gate.authenticate import Verification
from gateway.gate.verdict import Verdict

# Starts the wait. A function, so that nothing is left unawaited if the client disconnects first.
Wait = Callable[[], Awaitable[Any]]
# A Verification does not wait, but may be prepared together with others.
Wanted = Verification | Wait

T = TypeVar("T")
V = TypeVar("V", bound=Verdict)
Steps = Generator[Wanted, Any, T]


def begin(steps: Steps[V]) -> V | Wanted:
    """Return the verdict, or what it depends on. Raises Refusal."""
    try:
        return next(steps)
    except StopIteration as done:
        verdict: V = done.value
        return verdict


async def finish(steps: Steps[V], wanted: V | Wanted) -> V:
    """Wait for the verdict and return it; `wanted` is what `begin` returned. Raises Refusal."""
    try:
        while isinstance(wanted, Verification) or callable(wanted):
            given = None
            try:
                if isinstance(wanted, Verification):
                    wanted.prepare()
                else:
                    given = await wanted()
            except Exception as error:  # noqa: BLE001 - handled by judge
                wanted = steps.throw(error)
            else:
                wanted = steps.send(given)
    except StopIteration as done:
        verdict: V = done.value
        return verdict
    return wanted
