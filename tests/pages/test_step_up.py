"""Sign-ins that are too old or too weak for a route (RFC 9470): a challenge, or another sign-in, once."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.portal import HTML, a_session, signed_in
from tests.support.running import running
from tests.support.tokens import access_claims, sign
from tests.support.wire import get, once

ROUTES = (
    "routes:\n  - {path: /payments/**, max_age: 5m}\n  - {path: /vault, acr: ['urn:loa:2', 'urn:loa:3']}\n"
)
MANAGED = "https://example.auth.ap-south-1.amazoncognito.com"


async def test_programs_get_the_challenge(tmp_path: Path) -> None:
    async with running(tmp_path, ROUTES) as gateway:

        async def ask(path: str, **claims: object) -> tuple[int, str]:
            token = sign(gateway.key, access_claims(**claims)).decode()  # type: ignore[arg-type]  # claims of any type
            reply = await once(gateway.port, get(path, f"Authorization: Bearer {token}", HTML))
            return reply.status, reply.get("www-authenticate") or ""

        now = int(time.time())
        assert (await ask("/payments/1"))[0] == 200
        status, challenge = await ask("/payments/1", auth_time=now - 301)
        assert status == 401
        assert 'error="insufficient_user_authentication"' in challenge
        assert 'max_age="300"' in challenge
        assert "acr_values" not in challenge
        assert (await ask("/vault", acr="urn:loa:3"))[0] == 200
        status, challenge = await ask("/vault")
        assert status == 401
        assert 'acr_values="urn:loa:2 urn:loa:3"' in challenge
        assert "max_age" not in challenge
        assert (await ask("/elsewhere", auth_time=now - 3000))[0] == 200


@pytest.mark.parametrize("domain", [None, MANAGED])
async def test_a_person_signs_in_again_and_never_in_circles(tmp_path: Path, domain: str | None) -> None:
    lines = "" if domain is None else f"domain: '{domain}'"
    yaml = ROUTES + ("" if domain is None else "sign_in: {pages: managed}\n")
    async with running(tmp_path, yaml, pool_lines=lines) as gateway:
        before = time.time() - 3600
        claims = access_claims(lifetime=7200, now=before)
        session = a_session(gateway.key, created=before, access=sign(gateway.key, claims).decode())
        browser = await signed_in(gateway, session)
        assert (await browser.get("/elsewhere", HTML)).status == 200
        assert (await browser.get("/payments/1?a=b", "Accept: application/json")).status == 401
        reply = await browser.get("/payments/1?a=b", HTML)
        assert reply.status == 302
        address = urlsplit(reply.get("location") or "")
        assert parse_qs(address.query)["return_to"] == ["/payments/1?a=b"]
        form = await browser.get(f"{address.path}?{address.query}", HTML)
        if domain is None:
            assert (address.path, form.status) == ("/oauth2/sign_in", 200)
            assert b'name="password"' in form.body
        else:
            assert (address.path, form.status) == ("/oauth2/start", 303)
            leaves = urlsplit(form.get("location") or "")
            assert parse_qs(leaves.query)["max_age"] == ["300"]
            stronger = await browser.get("/vault", HTML)
            form = await browser.get((stronger.get("location") or ""), HTML)
            asked = parse_qs(urlsplit(form.get("location") or "").query)
            assert asked["acr_values"] == ["urn:loa:2 urn:loa:3"]

        # Back from signing in, as weak as before.
        weak = await signed_in(gateway, a_session(gateway.key))
        assert (await weak.get("/payments/1", HTML)).status == 200
        assert (await weak.get("/vault", HTML)).status == 401


async def test_the_address_bar_asks_for_nothing_that_no_route_asks_for(tmp_path: Path) -> None:
    async with running(tmp_path, ROUTES, pool_lines=f"domain: '{MANAGED}'") as gateway:
        for query in ("acr_values=urn:evil", "max_age=-1", "max_age=1234567", "max_age=%C2%B2"):
            reply = await once(gateway.port, get(f"/oauth2/start?{query}", HTML))
            asked = parse_qs(urlsplit(reply.get("location") or "").query)
            assert not {"acr_values", "max_age", "prompt"} & set(asked)
