"""A route's `max_age` from a sign-in at Cognito to the next one: own pages, managed login and MCP clients.

The first sign-ins happen an hour ago, by the local Cognito's clock.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support import managed_login
from tests.support.earlier import HOUR, an_hour_ago
from tests.support.mcp_client import MCP, call, registered, tokens_of
from tests.support.portal import HTML
from tests.support.site import ALICE, CLIENT, PASSWORD, seed, site
from tests.support.wire import get, once

DAY: dict[str, Any] = {"AccessTokenValidity": 24, "IdTokenValidity": 24}
ROUTES = "routes: [{path: /payments/**, max_age: 5m}, {path: /mcp/**, max_age: 5m}]\n"


async def test_our_own_pages(tmp_path: Path) -> None:
    async with site(tmp_path, more=ROUTES, seeded=seed(**DAY)) as at:
        browser, made = await an_hour_ago(at)
        line = f"Authorization: Bearer {made['AccessToken']}"
        assert (await once(at.worker.port, get("/elsewhere", line))).status == 200
        refused = await once(at.worker.port, get("/payments/1", line, HTML))
        assert refused.status == 401
        challenge = refused.get("www-authenticate") or ""
        assert 'error="insufficient_user_authentication"' in challenge
        assert 'max_age="300"' in challenge
        # A renewed token is as old.
        parameters = {"REFRESH_TOKEN": made["RefreshToken"]}
        request = {"ClientId": CLIENT, "AuthFlow": "REFRESH_TOKEN_AUTH", "AuthParameters": parameters}
        renewed = at.local.call("InitiateAuth", **request)["AuthenticationResult"]["AccessToken"]
        assert (
            await once(at.worker.port, get("/payments/1", f"Authorization: Bearer {renewed}"))
        ).status == 401
        # A person signs in again, and comes back to where they were.
        assert (await browser.open("/elsewhere")).status == 200
        sent = await browser.open("/payments/1?a=b")
        assert sent.status == 302
        await browser.open(sent.get("location") or "")
        assert urlsplit(browser.location).path == "/oauth2/sign_in"
        assert 'name="password"' in browser.text
        back = await browser.submit(username=ALICE, password=PASSWORD)
        assert (back.status, back.get("location")) == (303, "/payments/1?a=b")
        assert (await browser.open("/payments/1?a=b")).status == 200
        assert [each.target for each in at.upstream.requests].count(b"/payments/1?a=b") == 1


async def test_managed_login_asks_again_although_its_own_session_goes_on(tmp_path: Path) -> None:
    async with managed_login.site(tmp_path, ROUTES, **DAY) as at, managed_login.person(at.local) as alice:
        at.local.hooks.offset = -HOUR
        browser = at.browser()
        assert await alice.open(await at.leave(browser)) == ""
        back = await browser.get(await alice.submit(username="alice", password=managed_login.PASSWORD))
        assert back.status == 303
        at.local.hooks.offset = -60
        # Cognito's own session lives: another sign-in needs no password, and is as old as the first.
        another = at.browser()
        there = await alice.open(await at.leave(another))
        assert there.startswith("/oauth2/callback?")
        assert (await another.get(there)).status == 303
        assert (await another.get("/elsewhere", HTML)).status == 200
        # Who has only just signed in is refused instead of being sent in circles.
        assert (await another.get("/payments/1", HTML)).status == 401
        again = await at.leave(another, "/payments/1", max_age="300")
        assert (again["max_age"], again["prompt"]) == ("300", "login")
        assert await alice.open(again) == ""
        assert 'name="password"' in alice.page
        back = await another.get(await alice.submit(username="alice", password=managed_login.PASSWORD))
        assert (back.status, back.get("location")) == (303, "/payments/1")
        assert (await another.get("/payments/1", HTML)).status == 200


async def test_an_mcp_client_gets_the_challenge_and_a_sign_in_that_meets_it(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP + ROUTES, seeded=seed(**DAY)) as at:
        program = await registered(at)
        at.local.hooks.offset = -HOUR
        old = await tokens_of(program, at.browser())
        at.local.hooks.offset = 0
        refused = await call(at.worker.port, old["access_token"], "/mcp/call")
        assert refused.status == 401
        assert 'max_age="300"' in (refused.get("www-authenticate") or "")
        renewed = json.loads((await program.refresh(old["refresh_token"])).body)
        assert (await call(at.worker.port, renewed["access_token"], "/mcp/call")).status == 401
        new = await tokens_of(program, at.browser())
        assert (await call(at.worker.port, new["access_token"], "/mcp/call")).status == 200
