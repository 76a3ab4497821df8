"""nginx as docs/forward-auth.md has it, for real."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.support.assertions import curve, settings
from tests.support.behind import Front
from tests.support.forward_auth import ROUTES, TRUSTED, asked_gateway, keyless
from tests.support.fronts import nginx
from tests.support.key_server import KeyServer
from tests.support.played_cognito import Cognito, old, play
from tests.support.portal import Browser, signed_in
from tests.support.site import ALICE, PASSWORD, site
from tests.support.site import Browser as Signing
from tests.support.wire import Upstream, get, once

pytestmark = pytest.mark.engine


async def test_nginx_asks_and_serves(tmp_path: Path) -> None:
    upstream = Upstream()
    more = settings(tmp_path, curve()) + ROUTES
    async with asked_gateway(tmp_path, more) as gateway, upstream.running():
        async with nginx(tmp_path, gateway.port, upstream.port) as port:
            await Front(port, gateway, upstream).check_all()


async def test_people_sign_in_through_nginx(tmp_path: Path) -> None:
    """The answer that signs them in has a session in its head, of more than the 4 KiB that nginx takes."""
    async with site(tmp_path, listen_lines=TRUSTED) as at:
        async with nginx(tmp_path, at.worker.port, at.upstream.port) as port:
            browser = Signing(port)
            await browser.open("/oauth2/sign_in?return_to=/orders")
            reply = await browser.submit(username=ALICE, password=PASSWORD)
            assert (reply.status, reply.get("location")) == (303, "/orders")
            assert (await browser.open("/orders")).status == 200
            assert at.upstream.last.get("X-Auth-Request-User")


async def test_a_session_is_renewed_behind_nginx(tmp_path: Path) -> None:
    """So has the answer that says 200 when its tokens were renewed."""
    upstream = Upstream()
    async with asked_gateway(tmp_path) as gateway, upstream.running():
        cognito = Cognito(gateway)
        cognito.changes = {"note": secrets.token_hex(1500)}
        play(gateway, cognito)
        signed = await signed_in(gateway, old(gateway))
        async with nginx(tmp_path, gateway.port, upstream.port) as port:
            for _ in range(2):
                assert (await Browser(port, dict(signed.jar)).get("/api")).status == 200
    assert len(cognito.renewed) == 1


async def test_nginx_shows_503_when_the_gateway_cannot_decide_or_is_gone(tmp_path: Path) -> None:
    upstream, endpoint, folder = Upstream(), KeyServer(b"{}"), tmp_path / "second"
    folder.mkdir()
    async with asked_gateway(tmp_path) as donor, upstream.running(), endpoint.running():
        async with keyless(folder, endpoint) as worker, nginx(folder, worker.port, upstream.port) as port:
            head = get("/api", donor.bearer(), "Connection: close")
            reply = await once(port, head)
            assert (reply.status, reply.get("Retry-After")) == (503, "10")
            assert (await once(port, get("/public/x", "Connection: close"))).status == 200
            await worker.stop()
            assert (await once(port, get("/public/x", "Connection: close"))).status == 503
        assert len(upstream.requests) == 1
