"""Cognito throttles a part of the revocation checks: its quota is used up, and nobody is refused."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.faults.figures import Figure
from tests.support.running import Running, running
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, access_claims, issuer_of, sign
from tests.support.wire import Client, get

SIGN_INS = 250
QUOTA = 20.0


class Throttling:
    """Answers GetUser for every token, so many times a second."""

    def __init__(self, quota: float) -> None:
        self.quota = quota
        self.good: list[float] = []
        self.throttled: list[float] = []
        self.url = ""
        self._left, self._at = quota, time.monotonic()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        await request.read()
        now = time.monotonic()
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
            assert cognito.throttled
            assert len(cognito.throttled) < len(cognito.good) / 4
            metrics = gateway.worker.metrics
            assert metrics.revocation_checks["active"] >= 2 * metrics.revocation_checks["error"]
            # Without the beginning, for which the quota had saved up.
            steady = [each for each in cognito.good if each > cognito.good[0] + 4.0]
            rate = len(steady) / (cognito.good[-1] - cognito.good[0] - 4.0)
            figure(f"{rate:.1f} good answers a second, {len(cognito.throttled)} throttled")
