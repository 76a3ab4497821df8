"""Rate limits on real sockets: whose they are, what a refusal says, and a Redis that comes and goes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.redis_server import RedisServer, patience, redis_server
from tests.support.running import Running, logged, running
from tests.support.waiting import Lag, until
from tests.support.wire import Reply, get, once

# So slow that nothing flows back while a test runs.
SLOW = "rate_limit: {requests_per_second: 0.001, burst: 3"
OPEN = "routes: [{path: /open, auth: none}, {path: /maybe, auth: optional}]\n"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as started:
        yield started


async def statuses(gateway: Running, count: int, *lines: str, target: str = "/") -> list[int]:
    return [(await once(gateway.port, get(target, *lines))).status for _ in range(count)]


def counted(gateway: Running) -> dict[str, int]:
    return dict(gateway.worker.metrics.rate_limited)


async def test_a_principal_has_one_bucket_whatever_token_it_shows(tmp_path: Path) -> None:
    async with running(tmp_path, SLOW + "}\n") as gateway:
        mine = [gateway.bearer() for _ in range(4)]
        got = [(await once(gateway.port, get("/", line))).status for line in mine]
        assert got == [200, 200, 200, 429]
        # A known token and a new one, the same; somebody else is not touched.
        assert await statuses(gateway, 1, mine[0]) == [429]
        assert await statuses(gateway, 3, gateway.bearer(sub="another")) == [200] * 3
        assert counted(gateway) == {"principal": 2}
        assert len(gateway.upstream.requests) == 6


async def test_a_refusal_names_the_limit_and_when_to_retry(tmp_path: Path) -> None:
    async with running(tmp_path, "rate_limit: {requests_per_second: 0.1, burst: 1}\n") as gateway:
        line = gateway.bearer()
        await once(gateway.port, get("/", line))
        reply = await once(gateway.port, get("/", line))
        assert reply.status == 429
        assert reply.head.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
        # Less what has passed since, rounded up.
        assert (wait := reply.get("Retry-After")) in {"10", "9", "8", "7"}
        assert reply.get("RateLimit") == f'"default";r=0;t={wait}'
        assert reply.get("RateLimit-Policy") == '"default";q=1;w=10'
        assert reply.get("WWW-Authenticate") is None
        assert b"Too many requests in a short time." in reply.body
        (told,) = await logged(gateway, "rate_limited", 1)
        assert (told["by"], told["client"]) == ("principal", "127.0.0.1")
        lines = await logged(gateway, "request", 2)
        assert (lines[1]["decision"], lines[1]["reason"]) == ("refused", "rate_limited")


async def test_who_waits_as_told_is_served(tmp_path: Path) -> None:
    async with running(tmp_path, "rate_limit: {requests_per_second: 0.5, burst: 1}\n") as gateway:
        line = gateway.bearer()
        # Each may have taken so long that the next one is due.
        while (reply := await once(gateway.port, get("/", line))).status == 200:
            pass
        assert reply.status == 429
        await asyncio.sleep(int(reply.get("Retry-After") or ""))
        assert await statuses(gateway, 1, line) == [200]


@pytest.mark.parametrize("target", ["/open", "/maybe", "/closed"])
async def test_nobody_signed_in_counts_by_address(tmp_path: Path, target: str) -> None:
    async with running(tmp_path, OPEN + SLOW + "}\n") as gateway:
        usual = 401 if target == "/closed" else 200
        assert await statuses(gateway, 5, target=target) == [usual] * 3 + [429] * 2
        # Nor is a token that nobody here has seen before looked at any more.
        signed_in = gateway.bearer()
        assert await statuses(gateway, 1, signed_in, target=target) == [429]
        assert counted(gateway) == {"address": 3}


async def test_a_known_token_is_served_from_an_address_over_its_limit(tmp_path: Path) -> None:
    async with running(tmp_path, SLOW + "}\n") as gateway:
        line = gateway.bearer()
        assert await statuses(gateway, 1, line) == [200]
        assert await statuses(gateway, 4) == [401, 401, 401, 429]
        assert await statuses(gateway, 2, line) == [200, 200]


async def test_bad_tokens_count_and_then_are_not_even_looked_at(tmp_path: Path) -> None:
    async with running(tmp_path, SLOW + "}\n") as gateway:
        bad = [gateway.bearer()[:-6] + f"{number:06d}"[:5] + "A" for number in range(6)]
        got = [(await once(gateway.port, get("/", line))).status for line in bad]
        assert got == [401] * 3 + [429] * 3
        assert gateway.worker.metrics.token_cache_misses == 3


async def test_malformed_credentials_count_too(tmp_path: Path) -> None:
    async with running(tmp_path, SLOW + "}\n") as gateway:
        assert await statuses(gateway, 4, "Authorization: Bearer") == [400, 400, 400, 429]


async def test_addresses_are_those_that_trusted_proxies_tell(tmp_path: Path) -> None:
    trusting = "trusted_proxies: [127.0.0.1/32]"
    async with running(tmp_path, OPEN + SLOW + "}\n", listen_lines=trusting) as gateway:
        for client in ("203.0.113.7", "203.0.113.8", "2001:db8::1"):
            seen = f"X-Forwarded-For: {client}"
            assert await statuses(gateway, 4, seen, target="/open") == [200, 200, 200, 429]
        # IPv6 by /64: another address of the same subscriber.
        assert await statuses(gateway, 1, "X-Forwarded-For: 2001:db8::2", target="/open") == [429]
        assert await statuses(gateway, 1, "X-Forwarded-For: 2001:db8:0:1::1", target="/open") == [200]


async def test_forward_auth_counts_the_original_client_and_principal(tmp_path: Path) -> None:
    trusting = "trusted_proxies: [127.0.0.1/32]"
    async with running(tmp_path, OPEN + SLOW + "}\n", listen_lines=trusting) as gateway:

        async def asked(client: str, path: str, *lines: str) -> int:
            named = (f"X-Original-URL: https://api.test{path}", "X-Original-Method: GET")
            told = (*named, f"X-Forwarded-For: {client}", *lines)
            return (await once(gateway.port, get("/oauth2/auth", *told))).status

        assert [await asked("203.0.113.7", "/open") for _ in range(4)] == [200, 200, 200, 429]
        assert await asked("203.0.113.8", "/open") == 200
        line = gateway.bearer()
        assert [await asked("203.0.113.9", "/", line) for _ in range(2)] == [200, 200]
        # The same bucket as when it comes by itself.
        assert await statuses(gateway, 2, line) == [200, 429]


async def test_our_own_paths_count(tmp_path: Path) -> None:
    async with running(tmp_path, SLOW + "}\n") as gateway:
        metadata = "/.well-known/oauth-protected-resource"
        assert await statuses(gateway, 4, target=metadata) == [200, 200, 200, 429]


async def test_the_log_names_one_client_once_a_minute(tmp_path: Path) -> None:
    async with running(tmp_path, OPEN + SLOW + "}\n") as gateway:
        await statuses(gateway, 8, target="/open")
        await logged(gateway, "request", 8)
        assert len([line for line in gateway.log() if line["event"] == "rate_limited"]) == 1


async def test_off_is_off(tmp_path: Path) -> None:
    async with running(tmp_path, OPEN + "rate_limit: {requests_per_second: 0, burst: 1}\n") as gateway:
        assert await statuses(gateway, 20, target="/open") == [200] * 20
        assert gateway.worker.app.limits is None


# --- shared through Redis ---


@contextlib.asynccontextmanager
async def replicas(folder: Path, redis: RedisServer, rest: str) -> AsyncIterator[list[Running]]:
    """Two gateways that know of each other through Redis alone."""
    yaml = f"{OPEN}{rest}, redis_url: '{redis.url}'}}\n"
    async with contextlib.AsyncExitStack() as stack:
        both = []
        for name in ("a", "b"):
            (folder / name).mkdir()
            both.append(await stack.enter_async_context(running(folder / name, yaml)))
        yield both


async def test_replicas_share_one_bucket(tmp_path: Path, redis: RedisServer) -> None:
    async with replicas(tmp_path, redis, SLOW) as (one, other):
        line = one.bearer()
        assert await statuses(one, 2, line) == [200, 200]
        assert await statuses(other, 2, line) == [200, 429]
        assert await statuses(one, 1, line) == [429]
        reply = await once(other.port, get("/", line))
        assert reply.get("RateLimit-Policy") == '"default";q=3;w=3000'
        assert 900 < int(reply.get("Retry-After") or 0) <= 1000
        keys = redis.ask("KEYS cognito_gateway:*")
        assert b"cognito_gateway:rate:ap-south-1_TestPool1:5e0d3a9c-70b1-70e4-5f1b-8f7d9c0f2a11" in keys


async def test_many_at_once_get_no_more_than_there_is(tmp_path: Path, redis: RedisServer) -> None:
    async with replicas(tmp_path, redis, "rate_limit: {requests_per_second: 0.001, burst: 20") as both:
        asked = [once(gateway.port, get("/open")) for gateway in both for _ in range(25)]
        got = sorted(reply.status for reply in await asyncio.gather(*asked))
        assert got == [200] * 20 + [429] * 30
        assert all(gateway.worker.metrics.rate_limit_errors == 0 for gateway in both)


async def test_redis_killed_and_restarted_in_the_middle(tmp_path: Path, redis: RedisServer) -> None:
    async with replicas(tmp_path, redis, "rate_limit: {requests_per_second: 0.001, burst: 1000") as both:
        one, _ = both
        refused: list[Reply] = []

        async def ask() -> None:
            reply = await once(one.port, get("/open"))
            if reply.status != 200:
                refused.append(reply)

        for _ in range(20):
            await ask()
        assert one.worker.metrics.rate_limit_errors == 0
        redis.kill()
        for _ in range(50):
            await ask()
        assert one.worker.metrics.rate_limit_errors == 50
        redis.start()
        limits = one.worker.app.limits
        assert limits is not None
        assert limits.redis is not None
        shared = limits.redis
        await until(lambda: not shared.unavailable)
        await ask()
        assert one.worker.metrics.rate_limit_errors == 50
        assert refused == []
        # Lines are gathered before they are written.
        await until(lambda: {line["event"] for line in one.log()} >= {"redis_unavailable", "redis_recovered"})


async def test_while_redis_is_away_each_worker_limits_by_itself(tmp_path: Path, redis: RedisServer) -> None:
    async with replicas(tmp_path, redis, SLOW) as (one, other):
        redis.kill()
        assert await statuses(one, 4, target="/open") == [200, 200, 200, 429]
        assert await statuses(other, 4, target="/open") == [200, 200, 200, 429]


async def test_a_silent_redis_delays_one_request_and_no_more(tmp_path: Path, redis: RedisServer) -> None:
    rule = "rate_limit: {requests_per_second: 0.001, burst: 1000"
    with patience(1.0):
        async with replicas(tmp_path, redis, rule) as (one, _):
            await once(one.port, get("/open"))
            redis.pause()
            began = time.perf_counter()
            async with Lag() as lag:
                assert await statuses(one, 30, target="/open") == [200] * 30
            # One timeout, not thirty.
            assert time.perf_counter() - began - lag.seconds < 15.0
            assert one.worker.metrics.rate_limit_errors == 30


async def test_a_wrong_url_of_redis_refuses_nobody(tmp_path: Path) -> None:
    yaml = OPEN + SLOW + ", redis_url: 'redis://127.0.0.1:1'}\n"
    async with running(tmp_path, yaml) as gateway:
        assert await statuses(gateway, 4, target="/open") == [200, 200, 200, 429]
