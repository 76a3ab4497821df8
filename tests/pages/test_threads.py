"""Questions to Cognito wait in threads, and not without end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gateway.errors import GatewayError
from gateway.sessions import threads as room
from gateway.sessions.threads import Threads


async def test_a_flood_of_questions_is_refused_at_once_and_passes() -> None:
    threads, go = Threads(), threading.Event()
    most = room.OWN + room.WAITING
    waiting = [asyncio.create_task(threads.run(lambda: go.wait(60))) for _ in range(most)]
    await asyncio.sleep(0)
    with pytest.raises(GatewayError, match="queued already: try again later"):
        await threads.run(lambda: True)
    go.set()
    assert all(await asyncio.gather(*waiting))
    assert await threads.run(lambda: 7) == 7
    threads.close()


async def test_the_gateway_s_own_questions_wait_for_no_page() -> None:
    threads, go = Threads(), threading.Event()
    pages = [
        asyncio.create_task(threads.run(lambda: go.wait(60), by=f"192.0.2.{number}")) for number in range(40)
    ]
    await asyncio.sleep(0)
    assert await threads.run(lambda: 7) == 7
    go.set()
    assert all(await asyncio.gather(*pages))
    threads.close()


async def test_an_address_has_its_share_and_others_take_turns() -> None:
    threads, go, order = Threads(), threading.Event(), list[str]()

    def ask(address: str) -> asyncio.Task[None]:
        def do() -> None:
            go.wait(60)
            order.append(address)

        return asyncio.create_task(threads.run(do, by=address))

    flood = [ask("192.0.2.1") for _ in range(room.WAITING + room.SHARE)]
    await asyncio.sleep(0)
    # All places to wait are taken: the newcomer gets one, and the last of the flood goes.
    others = [ask(f"192.0.2.{number}") for number in range(2, 12)]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(*others)
    results = await asyncio.gather(*flood, return_exceptions=True)
    late = len(others) - (room.PAGES - room.SHARE)
    assert [result for result in results if result is not None] == results[-late:]
    assert {type(result) for result in results[-late:]} == {GatewayError}
    # Six have a place at once; the others come before the flood's next ones.
    assert order.index("192.0.2.11") < len(others) * 2 + room.SHARE
    threads.close()


async def test_a_cancelled_caller_leaves_the_queue() -> None:
    threads, go = Threads(), threading.Event()
    waiting = [asyncio.create_task(threads.run(lambda: go.wait(60), by="192.0.2.1")) for _ in range(20)]
    await asyncio.sleep(0)
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert await threads.run(lambda: 1, by="192.0.2.2") == 1
    go.set()
    assert await threads.run(lambda: 2, by="192.0.2.1") == 2
    threads.close()
