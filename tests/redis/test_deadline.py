"""The deadline of a call to Redis, without one."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from gateway.redis.deadline import within


async def test_a_call_in_time_returns_its_result() -> None:
    async def quick() -> str:
        await asyncio.sleep(0)
        return "result"

    assert await within(30, quick) == "result"


async def test_a_call_that_ignores_a_cancellation_ends_all_the_same() -> None:
    """As asyncio.wait_for in Python 3.11, where the result arrives together with the cancellation."""
    ignored = 0

    async def deaf() -> None:
        nonlocal ignored
        while ignored < 3:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            ignored += 1
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.create_task(within(0.05, deaf)), 60)
    assert ignored == 3


async def test_a_late_result_leaves_no_cancellation_behind() -> None:
    async def late() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "late"

    assert await within(0.05, late) == "late"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_who_is_cancelled_from_outside_is_not_late() -> None:
    began = asyncio.Event()

    async def waiting() -> None:
        began.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(within(30, waiting))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancellation_from_outside_that_the_call_loses_is_raised_when_it_ends(fails: bool) -> None:
    """As asyncio.wait_for in Python 3.11: a probe whose cancellation is lost would go on forever."""
    began = asyncio.Event()

    async def deaf() -> None:
        began.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        if fails:
            raise ConnectionError

    task = asyncio.create_task(within(30, deaf))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_was_cancelled_before_the_call_may_still_make_it() -> None:
    """As in a `finally` that gives back a lock."""
    began, released = asyncio.Event(), asyncio.Event()

    async def release() -> None:
        await asyncio.sleep(0)
        released.set()

    async def holding() -> None:
        try:
            began.set()
            await asyncio.Event().wait()
        finally:
            await within(30, release)

    task = asyncio.create_task(holding())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert released.is_set()
