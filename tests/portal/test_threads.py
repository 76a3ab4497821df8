"""Questions to Cognito wait in threads, and not without end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gateway.errors import GatewayError
from gateway.portal import cognito
from gateway.portal.cognito import Threads


async def test_a_flood_of_questions_is_refused_at_once_and_passes() -> None:
    threads, go = Threads(), threading.Event()
    most = cognito._THREADS + cognito._WAITING
    waiting = [asyncio.create_task(threads.run(lambda: go.wait(60))) for _ in range(most)]
    await asyncio.sleep(0)
    with pytest.raises(GatewayError, match="no more are asked"):
        await threads.run(lambda: True)
    go.set()
    assert all(await asyncio.gather(*waiting))
    assert await threads.run(lambda: 7) == 7
    threads.close()
