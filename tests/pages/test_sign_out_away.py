"""Signing out while Redis is away: nobody with a copy of the cookie gets in, and Redis hears of it later."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.managed_login import site
from tests.support.played_cognito import Cognito, play
from tests.support.portal import Browser, a_session, form_token, signed_in
from tests.support.redis_server import RedisServer, redis_server
from tests.support.replicas import secret_in, shared
from tests.support.running import logged, running
from tests.support.waiting import PATIENCE, until

STORES = ["redis", "cookie"]
HTML = "Accept: text/html"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder) as server:
        yield server


def yaml_of(store: str, folder: Path, redis: RedisServer) -> str:
    return secret_in(folder, shared(redis, store))


async def refused(browser: Browser) -> None:
    """Sooner or later, and from then on."""
    async with asyncio.timeout(PATIENCE):
        while (await browser.copy().get("/api")).status != 401:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("store", STORES)
async def test_a_sign_out_is_effective_at_once_and_propagated_later(
    tmp_path: Path, redis: RedisServer, store: str
) -> None:
    yaml = yaml_of(store, tmp_path, redis)
    async with running(tmp_path, yaml) as one, running(tmp_path, yaml) as two:
        cognito = Cognito(one)
        play(one, cognito)
        play(two, cognito)
        browser = await signed_in(one)
        thief = browser.copy()
        elsewhere = Browser(two.port, dict(browser.jar))
        assert [(await each.get("/api")).status for each in (browser, thief, elsewhere)] == [200] * 3
        token = await form_token(one, browser)
        redis.leave()
        reply = await browser.post("/oauth2/sign_out", f"csrf={token}", HTML)
        assert (reply.status, reply.get("location")) == (303, "/oauth2/")
        reply = await browser.get("/oauth2/", HTML)
        assert reply.status == 502
        assert b"session store could not be reached" in reply.body
        assert not [name for name in browser.jar if "session" in name]
        assert len(cognito.revoked) == 1, "whatever becomes of Redis, nobody renews it"
        for _ in range(3):
            assert (await thief.copy().get("/api")).status == 401
        (pending,) = await logged(one, "sign_out_pending", 1)
        assert pending["subject"]
        (line,) = await logged(one, "sign_out", 1)
        assert (line["stored"], line["revoked"]) == (False, True)
        redis.start()
        await logged(one, "sign_out_completed", 1)
        await refused(elsewhere)
        assert (await thief.copy().get("/api")).status == 401
        assert cognito.renewed == []


async def test_a_session_that_cannot_be_looked_up_is_signed_out_too(
    tmp_path: Path, redis: RedisServer
) -> None:
    """By a worker that has never seen it: the page of another one leads here."""
    yaml = yaml_of("redis", tmp_path, redis)
    async with running(tmp_path, yaml) as one, running(tmp_path, yaml) as two:
        cognito = Cognito(one)
        play(one, cognito)
        play(two, cognito)
        browser = await signed_in(one)
        assert (await browser.get("/api")).status == 200
        elsewhere = browser.copy()
        token = await form_token(one, browser)
        browser.port = two.port
        redis.leave()
        asked = await browser.get("/oauth2/sign_out", HTML)
        assert asked.status == 200, "who wants to leave is not asked to come back later"
        forged = await browser.copy().post("/oauth2/sign_out", "csrf=x")
        assert forged.status == 403
        reply = await browser.post("/oauth2/sign_out", f"csrf={token}", HTML)
        assert (reply.status, reply.get("location")) == (303, "/oauth2/")
        reply = await browser.get("/oauth2/", HTML)
        assert reply.status == 502
        assert not [name for name in browser.jar if "session" in name]
        redis.start()
        await logged(two, "sign_out_completed", 1)
        await refused(elsewhere)
        await until(lambda: cognito.revoked)


async def test_a_copy_is_refused_before_redis_has_heard_of_it(tmp_path: Path, redis: RedisServer) -> None:
    """Redis is back, and the next attempt is a second away."""
    async with running(tmp_path, yaml_of("redis", tmp_path, redis)) as gateway:
        play(gateway, Cognito(gateway))
        browser = await signed_in(gateway)
        thief = browser.copy()
        token = await form_token(gateway, browser)
        redis.leave()
        await browser.post("/oauth2/sign_out", f"csrf={token}")
        await logged(gateway, "redis_unavailable", 1)
        redis.start()
        await logged(gateway, "redis_recovered", 1)
        for _ in range(20):
            assert (await thief.copy().get("/api")).status == 401


async def test_signing_in_without_redis_ends_the_previous_session(tmp_path: Path, redis: RedisServer) -> None:
    """Sessions in cookies do not depend on Redis."""
    async with site(tmp_path, yaml_of("cookie", tmp_path, redis)) as place:
        browser = place.browser()
        await place.sign_in(browser)
        before = browser.copy()
        assert (await before.get("/api")).status == 200
        target = await place.come_back(await place.leave(browser))
        redis.leave()
        assert (await browser.get(target)).status == 303
        assert (await browser.get("/api")).status == 200
        assert (await before.get("/api")).status == 401
        redis.start()
        await logged(place.gateway, "sign_out_completed", 1)


async def test_a_sign_out_that_never_reaches_redis_is_logged(tmp_path: Path, redis: RedisServer) -> None:
    async with running(tmp_path, yaml_of("redis", tmp_path, redis)) as gateway:
        play(gateway, Cognito(gateway))
        browser = await signed_in(gateway)
        token = await form_token(gateway, browser)
        redis.kill()
        assert (await browser.post("/oauth2/sign_out", f"csrf={token}")).status == 502
    (line,) = [line for line in gateway.log() if line["event"] == "sign_out_abandoned"]
    assert (line["level"], line["count"]) == ("error", 1)


async def test_pending_sign_outs_are_bounded(
    tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.sessions.unfinished_sign_outs._MOST", 3)
    async with running(tmp_path, yaml_of("redis", tmp_path, redis)) as gateway:
        play(gateway, Cognito(gateway))
        browsers = [await signed_in(gateway) for _ in range(5)]
        tokens = [await form_token(gateway, browser) for browser in browsers]
        redis.kill()
        for browser, token in zip(browsers, tokens, strict=True):
            assert (await browser.post("/oauth2/sign_out", f"csrf={token}")).status == 502
        assert len(await logged(gateway, "sign_out_abandoned", 2)) == 2


async def test_a_sign_out_everywhere_ends_the_users_other_sessions_here(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        play(gateway, Cognito(gateway))
        one, two = await signed_in(gateway), await signed_in(gateway)
        for browser in (one, two):
            assert (await browser.get("/api")).status == 200
        token = await form_token(gateway, one)
        reply = await one.post("/oauth2/sign_out", f"csrf={token}&everywhere=yes")
        assert reply.status == 303
        assert (await two.get("/api")).status == 401
        later = await signed_in(gateway, a_session(gateway.key, now=time.time()))
        assert (await later.get("/api")).status == 200, "who signs in again is not covered by it"
