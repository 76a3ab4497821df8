"""What others wrote under our keys, of another type, time, length or spelling, turns nothing off."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.gate.redis_rate import SharedBuckets
from gateway.observe.logs import Logger
from gateway.redis.lock import RedisLock
from gateway.redis.redis_client import Redis
from gateway.revocation.deny_list import Denial
from gateway.revocation.redis_verdicts import RedisVerdicts
from tests.support.redis_server import RedisServer, redis_server
from tests.support.shared_redis import Lines, logging_to, redis_at

FAMILY, SUBJECT = "pool/origin_jti/o", "pool/sub/s"
PREFIX = "cognito_gateway:revocation:"
# Commands that leave something under the key.
OTHER_TYPES = [("RPUSH", "x"), ("SADD", "x"), ("HSET", "f", "x"), ("ZADD", "1", "x")]
FUTURE = time.time() + 86_400 * 365
STRINGS = [
    "",
    "garbage",
    "-1",
    "nan",
    "inf",
    "1e300",
    "0x10",
    "9" * 400,
    "x" * 100_000,
    f"{FUTURE * 1e6:.0f}",
    f"{(time.time() + 3600) * 1e6:.0f}",
    "asking",
    "[]",
    "{}",
    "null",
    "[" * 200,
    '["revoked"]',
    '["revoked", "1"]',
    '["revoked", -1]',
    '["revoked", 1e999]',
    '["\\n<script>", 0]',
    "[null, null]",
    json.dumps(["disabled", FUTURE]),
]
GARBAGE = [*OTHER_TYPES, *(("SET", each) for each in STRINGS)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Logger]:
    with logging_to(tmp_path, Lines()) as made:
        yield made


@pytest.fixture
async def redis(server: RedisServer, log: Logger) -> AsyncIterator[Redis]:
    async with redis_at(server.url, log) as made:
        await made.command("FLUSHALL")
        yield made


async def put(redis: Redis, key: str, what: tuple[str, ...]) -> None:
    command, *arguments = what
    await redis.command("DEL", key)
    await redis.command(command, key, *arguments)


async def test_no_garbage_keeps_cognito_from_being_asked(redis: Redis) -> None:
    verdicts = RedisVerdicts(redis, check_every=4.0, calls_per_second=10_000.0)
    for what in GARBAGE:
        for name in (f"denied:{FAMILY}", f"denied:{SUBJECT}", f"checked:{FAMILY}", "calls"):
            await redis.command("FLUSHALL")
            await put(redis, PREFIX + name, what)
            found = await verdicts.claim(FAMILY, SUBJECT, issued_at=100.0)
            assert found is not None, (name, what)
            assert found.kind == "ask", (name, what)
            # And what is found out takes its place.
            await verdicts.settle(FAMILY)
            found = await verdicts.claim(FAMILY, SUBJECT, issued_at=100.0)
            assert found is not None, (name, what)
            assert found.kind == "fresh", (name, what)
            await verdicts.deny(SUBJECT, Denial("disabled", time.time()))
            found = await verdicts.claim(FAMILY, SUBJECT, issued_at=100.0)
            assert found is not None, (name, what)
            assert (found.kind, found.cause) == ("denied", "disabled"), (name, what)


async def test_a_claim_without_expiry_counts_as_absent(redis: Redis) -> None:
    verdicts = RedisVerdicts(redis, check_every=4.0, calls_per_second=10_000.0)
    for command in (("SET", "asking"), ("SETEX", "3600", "asking")):
        await put(redis, f"{PREFIX}checked:{FAMILY}", command)
        found = await verdicts.claim(FAMILY, SUBJECT, issued_at=100.0)
        assert found is not None
        assert found.kind == "ask"
    found = await verdicts.claim(FAMILY, SUBJECT, issued_at=100.0)
    assert found is not None
    assert found.kind == "busy"


async def test_an_implausible_exhausted_budget_is_ignored(redis: Redis) -> None:
    verdicts = RedisVerdicts(redis, check_every=4.0, calls_per_second=2.0)
    await put(redis, PREFIX + "calls", ("SET", f"{FUTURE * 1e6:.0f}"))
    kinds = [await verdicts.claim(f"f{number}", SUBJECT, issued_at=1.0) for number in range(5)]
    assert [each.kind for each in kinds if each is not None][:2] == ["ask", "ask"]
    last = kinds[-1]
    assert last is not None
    assert last.kind == "wait"
    assert 0 < last.seconds <= 0.5


async def test_the_number_of_workers_is_counted_and_bounded(redis: Redis) -> None:
    made = [RedisVerdicts(redis, check_every=4.0, calls_per_second=1.0) for _ in range(3)]
    for each in made:
        assert each.parties is None
        await each.present()
    assert [each.parties for each in made] == [1, 2, 3]
    for what in GARBAGE:
        await put(redis, PREFIX + "workers", what)
        await made[0].present()
        # Those of a list of others that is of our type count until they are seen to be old.
        assert made[0].parties == 1, what
    await put(redis, PREFIX + "workers", ("ZADD", "9999999999", "from the future"))
    await made[0].present()
    assert made[0].parties == 1
    names = [word for number in range(10_500) for word in (str(int(time.time()) - 1), f"n{number}")]
    await put(redis, PREFIX + "workers", ("ZADD", *names))
    await made[0].present()
    assert made[0].parties == 10_000


async def test_no_garbage_empties_a_bucket_for_long(redis: Redis) -> None:
    buckets = SharedBuckets(redis, prefix="rate:", interval=10.0, capacity=3)
    for what in GARBAGE:
        await put(redis, "rate:k", what)
        taken = [await buckets.take("k") for _ in range(4)]
        assert [each.allowed for each in taken] == [True, True, True, False], what
        assert 0 < taken[3].retry_after <= 10.0


async def test_no_garbage_holds_a_lease_for_long(redis: Redis) -> None:
    for what in [*OTHER_TYPES, ("SET", "garbage"), ("SETEX", "86400", "garbage"), ("SET", "x" * 100_000)]:
        await put(redis, "lock", what)
        mine, theirs = RedisLock(redis, "lock", ttl=5.0), RedisLock(redis, "lock", ttl=5.0)
        assert not await mine.renew(), what
        assert not await mine.release(), what
        assert await mine.acquire(), what
        assert not await theirs.acquire()
        assert await mine.renew()
        assert await mine.release()


async def test_a_server_that_is_not_redis_counts_as_unavailable(log: Logger) -> None:
    """No Redis at all, but something that speaks its protocol."""
    answers = [
        b"*0\r\n",
        b"$2\r\nno\r\n",
        b":1\r\n",
        b"*2\r\n$5\r\nfresh\r\n:1\r\n",
        b"*1\r\n$4\r\nbusy\r\n*0\r\n",
    ]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            writer.write(answers[0])
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with redis_at(f"redis://127.0.0.1:{port}/0", log) as redis:
        verdicts = RedisVerdicts(redis, check_every=4.0, calls_per_second=1.0)
        while len(answers) > 1:
            assert await verdicts.claim(FAMILY, SUBJECT, issued_at=1.0) is None
            await verdicts.present()
            answers.pop(0)
    server.close()
    await server.wait_closed()
