"""What replicas tell each other of revocation: one asks, all know, and Redis away is nobody's trouble."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.observe.logs import Logger
from gateway.revocation.deny_list import Denial
from gateway.revocation.redis_verdicts import RedisVerdicts
from tests.support.redis_server import RedisServer, redis_server
from tests.support.shared_redis import Lines, logging_to, redis_at

FAMILY, SUBJECT = "pool/origin_jti/o", "pool/sub/s"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as started:
        yield started


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Logger]:
    with logging_to(tmp_path, Lines()) as made:
        yield made


@pytest.fixture
async def verdicts(server: RedisServer, log: Logger) -> AsyncIterator[RedisVerdicts]:
    async with redis_at(server.url, log) as redis:
        yield RedisVerdicts(redis, check_every=4.0, calls_per_second=50.0)


async def claim(verdicts: RedisVerdicts, family: str = FAMILY, issued_at: float = 100.0) -> str:
    found = await verdicts.claim(family, SUBJECT, issued_at=issued_at)
    return "nobody" if found is None else found.kind


async def test_one_worker_checks_and_the_others_get_the_result(verdicts: RedisVerdicts) -> None:
    kinds = Counter(await asyncio.gather(*(claim(verdicts) for _ in range(20))))
    assert kinds == {"ask": 1, "busy": 19}
    await verdicts.settle(FAMILY)
    found = await verdicts.claim(FAMILY, SUBJECT, issued_at=100.0)
    assert found is not None
    assert found.kind == "fresh"
    assert 0 <= found.seconds < 2
    # Half of check_every later it is nobody's answer any more.
    await asyncio.sleep(2.05)
    assert await claim(verdicts) == "ask"


async def test_a_failed_check_is_left_to_the_next_worker(verdicts: RedisVerdicts) -> None:
    assert await claim(verdicts) == "ask"
    await verdicts.give_up(FAMILY)
    assert await claim(verdicts) == "ask"
    await verdicts.settle(FAMILY)
    await verdicts.give_up(FAMILY)
    assert await claim(verdicts) == "fresh"


async def test_a_denied_sign_in(verdicts: RedisVerdicts) -> None:
    await verdicts.deny(FAMILY, Denial("revoked", 0.0))
    found = await verdicts.claim(FAMILY, SUBJECT, issued_at=100.0)
    assert found is not None
    assert (found.kind, found.key, found.cause, found.issued_until) == ("denied", FAMILY, "revoked", 0.0)
    assert await claim(verdicts, "pool/origin_jti/another") == "ask"


async def test_a_denied_user_up_to_a_time_of_issue(verdicts: RedisVerdicts) -> None:
    await verdicts.deny(SUBJECT, Denial("disabled", 100.5))
    found = await verdicts.claim(FAMILY, SUBJECT, issued_at=100.5)
    assert found is not None
    assert (found.kind, found.key, found.cause, found.issued_until) == ("denied", SUBJECT, "disabled", 100.5)
    assert await claim(verdicts, issued_at=101.0) == "ask"


async def test_all_replicas_together_keep_to_the_calls(verdicts: RedisVerdicts) -> None:
    began = time.monotonic()
    kinds = Counter(await asyncio.gather(*(claim(verdicts, f"f{number}") for number in range(300))))
    assert set(kinds) == {"ask", "wait"}
    # A few at once, and what came back while they were counted.
    assert 4 <= kinds["ask"] <= 5 + 50 * (time.monotonic() - began)
    found = await verdicts.claim("another", SUBJECT, issued_at=0.0)
    assert found is not None
    if found.kind == "wait":
        assert 0 < found.seconds <= 0.02


async def test_during_an_outage_the_result_is_unknown(verdicts: RedisVerdicts, server: RedisServer) -> None:
    server.kill()
    assert await claim(verdicts) == "nobody"
    await verdicts.settle(FAMILY)
    await verdicts.give_up(FAMILY)
    await verdicts.deny(FAMILY, Denial("revoked", 0.0))
    assert await claim(verdicts) == "nobody"


async def test_everything_in_redis_ends_by_itself(verdicts: RedisVerdicts, server: RedisServer) -> None:
    await claim(verdicts)
    await verdicts.settle(FAMILY)
    await verdicts.deny(SUBJECT, Denial("deleted", 1.0))
    keys = [line for line in server.ask("KEYS *").split(b"\r\n") if line.startswith(b"cognito_gateway")]
    # The count of calls ends after some 20 ms, and may have done so.
    assert 2 <= len(keys) <= 3
    for key in keys:
        # -1: it never ends; -2: it has ended meanwhile.
        assert int(server.ask(f"PTTL {key.decode()}").strip(b":\r\n")) != -1
