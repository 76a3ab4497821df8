"""How `judge` waits: it yields what it needs and is resumed when that is there. Two drivers resume it.

`begin` answers from memory, without a task; `finish` waits, inside one. A third, client/batch.py, verifies
the new tokens of many requests together and resumes each of them.

Invariant: an error of what was waited for is raised inside the generator, where `judge` handles it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

from gateway.gate.authenticate import Verification
from gateway.gate.verdict import Verdict

# Starts the wait. A function, so that nothing has been started where a client leaves before it is waited for.
Wait = Callable[[], Awaitable[Any]]
# A Verification needs no wait, but may be prepared together with others.
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
    """Return the verdict; `wanted` is what `begin` returned. Raises Refusal."""
    try:
        while isinstance(wanted, Verification) or callable(wanted):
            given = None
            try:
                if isinstance(wanted, Verification):
                    wanted.prepare()
                else:
                    given = await wanted()
            except Exception as error:  # noqa: BLE001 - judge decides what it means
                wanted = steps.throw(error)
            else:
                wanted = steps.send(given)
    except StopIteration as done:
        verdict: V = done.value
        return verdict
    return wanted
