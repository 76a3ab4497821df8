"""Buckets in Redis: the very rule of gateway/policy/rate.py, atomic, and gone when full."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.gate.redis_rate import SharedBuckets
from gateway.observe.logs import Logger
from gateway.policy.rate import Allowance, Buckets, RateRule
from gateway.redis.redis_client import Redis
from tests.support.redis_server import RedisServer, redis_server
from tests.support.shared_redis import Lines, logging_to, redis_at


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as started:
        yield started


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Logger]:
    with logging_to(tmp_path, Lines()) as made:
        yield made


def shared(redis: Redis, rule: RateRule) -> SharedBuckets:
    return SharedBuckets(redis, prefix="rate:", interval=rule.interval, capacity=rule.capacity)


@pytest.mark.parametrize("rule", [RateRule(0.001, 1), RateRule(0.01, 7), RateRule(0.0003, 100)])
async def test_it_is_the_same_rule(server: RedisServer, log: Logger, rule: RateRule) -> None:
    here: Buckets[str] = Buckets(rule)
    async with redis_at(server.url, log) as redis:
        there = shared(redis, rule)
        for _ in range(rule.capacity + 3):
            local, taken = here.take("k", 0.0), Allowance(*await there.take("k"))
            assert taken[:2] == local[:2]
            assert taken.retry_after == pytest.approx(local.retry_after, abs=2.0)


async def test_a_bucket_refills_by_the_clock_of_redis(server: RedisServer, log: Logger) -> None:
    async with redis_at(server.url, log) as redis:
        buckets = shared(redis, RateRule(1, 1))
        assert (await buckets.take("k")).allowed
        refused = await buckets.take("k")
        assert not refused.allowed
        assert 0 < refused.retry_after <= 1
        await asyncio.sleep(refused.retry_after + 0.005)
        assert (await buckets.take("k")).allowed
        # Full again, it is forgotten.
        await asyncio.sleep(1.1)
        assert await redis.command("EXISTS", "rate:k") == 0


async def test_many_at_once_take_no_more_than_there_is(server: RedisServer, log: Logger) -> None:
    async with redis_at(server.url, log) as redis:
        buckets = shared(redis, RateRule(0.001, 25))
        taken = await asyncio.gather(*(buckets.take("k") for _ in range(100)))
        assert sum(each.allowed for each in taken) == 25
        assert sorted(each.remaining for each in taken if each.allowed) == list(range(25))


async def test_one_take_is_one_command(server: RedisServer, log: Logger) -> None:
    async with redis_at(server.url, log) as redis:
        buckets = shared(redis, RateRule(100, 100))
        await buckets.take("k")
        await redis.command("CONFIG", "RESETSTAT")
        for _ in range(10):
            await buckets.take("k")
        stats = server.ask("INFO commandstats")
        assert b"cmdstat_evalsha:calls=10," in stats
        # Besides those that the script itself makes.
        made = {line.partition(b":")[0] for line in stats.splitlines() if line.startswith(b"cmdstat_")}
        inside = {b"cmdstat_time", b"cmdstat_getrange", b"cmdstat_set"}
        assert made - inside - {b"cmdstat_config|resetstat"} == {b"cmdstat_evalsha"}
