"""Replicas that share sessions through Redis: renewed once among all, and a Redis that goes away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import GatewayError
from tests.support.played_cognito import Cognito, play
from tests.support.portal import Browser, a_session, signed_in, ticket_of
from tests.support.redis_server import RedisServer, redis_server
from tests.support.replicas import secret_in, shared
from tests.support.running import running
from tests.support.waiting import until


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder) as server:
        yield server


async def test_one_renewal_among_replicas_however_slow(
    tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.sessions.replicas.LOCK_TTL", 3.0)
    monkeypatch.setattr("gateway.sessions.renewing._HOLD", 0.5)
    yaml = shared(redis)
    async with running(tmp_path, yaml) as one, running(tmp_path, yaml) as two:
        cognito = Cognito(one)
        cognito.wait = 4.5
        play(one, cognito)
        play(two, cognito)
        # Its tokens have ended: everybody has to wait.
        here = await signed_in(one, a_session(one.key, lifetime=-5))
        there = Browser(two.port, here.jar)
        asking = [browser.copy().get("/api") for browser in (here, there) for _ in range(5)]
        assert {reply.status for reply in await asyncio.gather(*asking)} == {200}
        assert len(cognito.renewed) == 1, "a waiting replica takes the lock as soon as it is free"
        renewals = [gateway.worker.metrics.session_renewals for gateway in (one, two)]
        assert sorted(name for each in renewals for name in each) == ["elsewhere", "success"]


async def test_a_sign_out_is_heard_of_within_a_second(tmp_path: Path, redis: RedisServer) -> None:
    for store in ("redis", "cookie"):
        yaml = shared(redis, store) if store == "redis" else secret_in(tmp_path, shared(redis, store))
        async with running(tmp_path, yaml) as one, running(tmp_path, yaml) as two:
            here = await signed_in(one)
            there = Browser(two.port, dict(here.jar))
            assert (await there.get("/api")).status == 200
            portal = one.worker.app.portal
            assert portal is not None
            ticket = ticket_of(here.jar)
            session = await portal.store.find(ticket, now=time.time())
            assert session is not None
            await portal.store.end(ticket, session, until=time.time() + 3600)
            await asyncio.sleep(1.05)
            assert (await there.get("/api")).status == 401


@pytest.mark.parametrize("wait", [0.0, 4.0], ids=["failed", "under way"])
async def test_a_renewal_in_vain_hides_no_sign_out(tmp_path: Path, redis: RedisServer, wait: float) -> None:
    yaml = shared(redis)
    async with running(tmp_path, yaml) as gateway:
        cognito = Cognito(gateway)
        cognito.wait, cognito.error = wait, GatewayError("cannot reach Cognito")
        play(gateway, cognito)
        session = a_session(gateway.key, lifetime=40, renewed=time.time() - 3560)
        browser = await signed_in(gateway, session)
        first = asyncio.create_task(browser.copy().get("/api"))
        await until(lambda: cognito.renewed)
        assert (await browser.get("/api")).status == 200
        portal = gateway.worker.app.portal
        assert portal is not None
        ticket = ticket_of(browser.jar)
        await portal.store.end(ticket, session, until=time.time() + 3600)
        await asyncio.sleep(1.05)
        assert (await browser.get("/api")).status == 401
        await first


async def test_without_redis_no_user_is_signed_out(tmp_path: Path, redis: RedisServer) -> None:
    async with running(tmp_path, shared(redis)) as gateway:
        browser, unseen = await signed_in(gateway), await signed_in(gateway)
        assert (await browser.get("/api")).status == 200
        redis.kill()
        await asyncio.sleep(1.05)  # it would have to be asked again
        for _ in range(3):
            assert (await browser.get("/api")).status == 200
        # Another cookie of ours makes no other session of it.
        changed = browser.copy()
        changed.jar = {"cognito_gateway_browser": "x" * 22, **changed.jar, "cognito_gateway_step": "1.x"}
        assert (await changed.get("/api")).status == 200
        reply = await unseen.get("/api")
        assert (reply.status, reply.get("retry-after")) == (503, "1")
        assert unseen.jar, "a session that cannot be looked up is not thrown away"
        assert (await browser.get("/api", gateway.bearer())).status == 200


async def test_a_renewal_waits_for_redis(tmp_path: Path, redis: RedisServer) -> None:
    async with running(tmp_path, shared(redis)) as gateway:
        cognito = Cognito(gateway)
        play(gateway, cognito)
        browser = await signed_in(gateway, a_session(gateway.key, lifetime=66, renewed=time.time() - 3534))
        assert (await browser.get("/api")).status == 200
        redis.kill()
        await asyncio.sleep(6.2)  # in its last minute now
        assert (await browser.get("/api")).status == 200
        assert cognito.renewed == [], "new tokens that cannot be stored are not asked for"


async def test_a_replica_that_dies_while_it_renews_is_replaced(
    tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.sessions.replicas.LOCK_TTL", 3.0)
    async with running(tmp_path, shared(redis)) as gateway:
        cognito = Cognito(gateway)
        play(gateway, cognito)
        session = a_session(gateway.key, lifetime=-5)
        browser = await signed_in(gateway, session)
        portal = gateway.worker.app.portal
        assert portal is not None
        dead = portal.store.lock(session)
        assert dead is not None
        assert await dead.acquire()
        assert (await browser.get("/api")).status == 200
        assert len(cognito.renewed) == 1
