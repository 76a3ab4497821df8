"""Revocation checks and AWS's quota: it is used up, nobody is refused, and no gateway takes too much."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.figures import Figure
from tests.support.programs import serving
from tests.support.redis_server import redis_server
from tests.support.running import Running, running
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, access_claims, issuer_of, key_set_document, sign
from tests.support.waiting import until
from tests.support.wire import Client, Upstream, get

SIGN_INS = 250
QUOTA = 20.0


class Throttling:
    """Answers GetUser for every token, so many times a second."""

    def __init__(self, quota: float) -> None:
        self.quota = quota
        self.good: list[float] = []
        self.throttled: list[float] = []
        # Token → when it was asked about.
        self.asked: dict[str, list[float]] = defaultdict(list)
        self.url = ""
        self._left, self._at = quota, time.monotonic()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        body = json.loads(await request.read())
        if not request.headers.get("X-Amz-Target", "").endswith(".GetUser"):
            return web.json_response({"__type": "InvalidParameterException", "message": "no"}, status=400)
        now, token = time.monotonic(), body["AccessToken"]
        self.asked[token].append(now)
        self._left = min(self.quota, self._left + self.quota * (now - self._at))
        self._at = now
        await asyncio.sleep(0.02)
        if self._left >= 1.0:
            self._left -= 1.0
            self.good.append(now)
            return web.json_response({"Username": "u", "UserAttributes": []})
        self.throttled.append(now)
        error = {"__type": "TooManyRequestsException", "message": "Rate exceeded"}
        return web.json_response(error, status=400)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Throttling]:
        runner = web.ServerRunner(web.Server(self._answer))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()


def asking(folder: Path, url: str, revocation: str) -> str:
    """The `cognito` section of a gateway with pinned keys that asks this server."""
    return (
        f"cognito:\n  endpoint_url: {url}\n"
        f"  user_pools: [{{id: {POOL_ID}, client_ids: [{CLIENT_ID}], jwks_file: {folder}/jwks.json, "
        f"issuers: ['{issuer_of(POOL_ID)}']}}]\n"
        f"  revocation: {{{revocation}}}\n"
    )


async def use(gateway: Running, tokens: list[bytes], seconds: float) -> set[int]:
    """Show all of them in turn, for so long; the statuses that came back."""
    statuses, end = set(), time.monotonic() + seconds
    async with await Client.connect(gateway.port) as client:
        for token in itertools.cycle(tokens):
            reply = await client.ask(get("/", f"Authorization: Bearer {token.decode()}"))
            statuses.add(reply.status)
            await asyncio.sleep(0.002)
            if time.monotonic() > end:
                return statuses
    raise AssertionError("a cycle has no end")


@pytest.mark.fault("throttled")
@pytest.mark.parametrize("first_use", ["allow", "check"])
async def test_a_quota_below_what_is_allowed_is_used_and_refuses_nobody(
    tmp_path: Path, first_use: str, figure: Figure
) -> None:
    key = KeyPair.generate("key-1")
    tokens = [sign(key, access_claims(sub=f"user-{number}")) for number in range(SIGN_INS)]
    async with Throttling(QUOTA).running() as cognito:
        settings = f"check_every: 6s, calls_per_second: 30, on_error: deny, first_use: {first_use}"
        async with running(tmp_path, cognito=asking(tmp_path, cognito.url, settings)) as gateway:
            statuses = await use(gateway, tokens, 10.0)
            assert statuses == {200}
            # How many there are depends on the machine: one that is busy asks less than there is.
            assert len(cognito.throttled) < len(cognito.good) / 4
            metrics = gateway.worker.metrics
            assert metrics.revocation_checks["active"] >= 2 * metrics.revocation_checks["error"]
            # Without the beginning, for which the quota had saved up.
            steady = [each for each in cognito.good if each > cognito.good[0] + 4.0]
            rate = len(steady) / (cognito.good[-1] - cognito.good[0] - 4.0)
            figure(f"{rate:.1f} good answers a second, {len(cognito.throttled)} throttled")


@pytest.mark.fault("calls without redis")
async def test_gateways_that_lost_their_redis_go_on_with_their_parts(tmp_path: Path, figure: Figure) -> None:
    """Three gateways, and nothing in their configuration that says so."""
    allowed, each = 12.0, 40
    key = KeyPair.generate("key-1")
    with redis_server(tmp_path) as redis:
        settings = f"check_every: 2s, calls_per_second: {allowed:g}, redis_url: '{redis.url}'"
        async with contextlib.AsyncExitStack() as stack:
            cognito = await stack.enter_async_context(Throttling(10_000.0).running())
            gateways, users = [], []
            for number in range(3):
                folder = tmp_path / f"gateway-{number}"
                folder.mkdir()
                section = asking(folder, cognito.url, settings)
                gateways.append(await stack.enter_async_context(running(folder, cognito=section)))
                # Everybody's own sign-ins, so that each gateway has more to ask than all calls suffice for.
                users.append([sign(key, access_claims(sub=f"{number}-{i}")) for i in range(each)])

            async def used(seconds: float) -> float:
                began = time.monotonic()
                uses = zip(gateways, users, strict=True)
                await asyncio.gather(*(use(gateway, tokens, seconds) for gateway, tokens in uses))
                return time.monotonic() - began

            for gateway in gateways:
                revocation = gateway.worker.app.revocation
                assert revocation is not None
                shared = revocation.checker.shared
                assert shared is not None
                await until(lambda shared=shared: shared.parties == 3)  # type: ignore[misc]
            before = len(cognito.good)
            seconds = await used(4.0)
            with_redis = (len(cognito.good) - before) / seconds
            redis.kill()
            before = len(cognito.good)
            seconds = await used(6.0)
            calls = len(cognito.good) - before
        figure(
            f"{with_redis:.0f} calls a second with Redis, {calls / seconds:.0f} without, {allowed:g} allowed"
        )
        # A few at once for each, and those under way.
        assert calls <= allowed * seconds + 3 * 4 + 3 * 2
        # They go on: more than was under way. How many a busy machine can make is not their concern.
        assert calls > 3 * 2


@pytest.mark.fault("workers share checks")
async def test_workers_ask_once_for_all_of_them(tmp_path: Path, figure: Figure) -> None:
    """Sign-ins in use on four workers; each asking for itself would take four times the calls."""
    key, every = KeyPair.generate("key-1"), 3.0
    tokens = [sign(key, access_claims(sub=f"user-{number}")) for number in range(50)]
    (tmp_path / "jwks.json").write_bytes(key_set_document(key))
    async with Throttling(10_000.0).running() as cognito, Upstream().running() as upstream:
        section = asking(tmp_path, cognito.url, f"check_every: {every:g}s, calls_per_second: 30")
        pools = section.removeprefix("cognito:\n")
        environ = {"COGNITO_GATEWAY_LISTEN__WORKERS": "4"}
        async with serving(tmp_path, upstream=upstream.url, pools=pools, environ=environ) as served:
            began, oldest = time.monotonic(), 0.0
            while time.monotonic() - began < 8.0 or not cognito.good:
                # A connection each: any worker may get it.
                await asyncio.gather(*(served.bearer(token) for token in tokens[:25]))
                await asyncio.gather(*(served.bearer(token) for token in tokens[25:]))
                samples = await served.samples()
                oldest = max(oldest, samples["cognito_gateway_revocation_oldest_check_seconds"])
            seconds = time.monotonic() - began
            samples = await served.samples()
    assert samples['cognito_gateway_revocation_checks_total{result="shared"}'] > 0
    assert set(cognito.asked) == {token.decode() for token in tokens}
    # What one of them has asked about none asks about again within half of the time.
    gaps = [b - a for times in cognito.asked.values() for a, b in itertools.pairwise(times)]
    assert min(gaps, default=every) >= 0.5 * every - 0.05
    figure(f"{len(cognito.good) / seconds:.0f} calls a second, the oldest check {oldest:.1f} of {every:g} s")
