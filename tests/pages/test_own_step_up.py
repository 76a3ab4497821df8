"""A route's `acr` on our own pages: a person signs in again, with the factor that the account has."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.support import managed_login
from tests.support.earlier import an_hour_ago
from tests.support.emulator import claims
from tests.support.mcp_client import MCP, McpProgram, call, registered
from tests.support.portal import HTML
from tests.support.site import (
    ALICE,
    BY_CODE,
    PASSWORD,
    Browser,
    add_app,
    app_code,
    second_factors,
    seed,
    site,
)

STRONG = "urn:cognito:loa:4"
ROUTES = f"routes: [{{path: /vault, acr: ['{STRONG}']}}, {{path: /mcp/**, acr: ['{STRONG}']}}]\n"
# More than a password.
MORE = "urn:cognito:loa:2 urn:cognito:loa:3 urn:cognito:loa:4"
MORE_ROUTES = f"routes: [{{path: /vault, acr: [{', '.join(map(repr, MORE.split()))}]}}]\n"
DAY: dict[str, Any] = {"AccessTokenValidity": 24, "IdTokenValidity": 24}
CHOICE = "auth_flow: USER_AUTH"
MAIL_ME = 'value="EMAIL_OTP"'


async def climb(browser: Browser, acr_values: str = STRONG) -> None:
    """Open the route that needs more, and follow to the sign-in form."""
    sent = await browser.open("/vault?a=b")
    assert sent.status == 302
    to = urlsplit(sent.get("location") or "")
    assert to.path == "/oauth2/sign_in"
    assert parse_qs(to.query)["acr_values"] == [acr_values]
    await browser.open(sent.get("location") or "")
    assert 'name="username"' in browser.text


@pytest.mark.parametrize("flow", ["USER_PASSWORD_AUTH", "USER_SRP_AUTH"])
async def test_a_person_with_an_app_is_asked_for_its_code_and_let_in(tmp_path: Path, flow: str) -> None:
    async with site(tmp_path, more=ROUTES, seeded=seed(**DAY), sign_in=f"auth_flow: {flow}") as at:
        browser, weak = await an_hour_ago(at)
        assert claims(weak["AccessToken"])["acr"] == "urn:cognito:loa:1"
        second_factors(at)
        secret = add_app(at)
        await climb(browser)
        await browser.submit(username=ALICE, password=PASSWORD)
        back = await browser.submit(code=app_code(secret))
        assert (back.status, back.get("location")) == (303, "/vault?a=b")
        assert (await browser.open("/vault?a=b")).status == 200


async def test_of_several_ways_only_those_are_offered_that_are_strong_enough(tmp_path: Path) -> None:
    async with site(tmp_path, more=MORE_ROUTES, seeded=seed(pool=BY_CODE, **DAY), sign_in=CHOICE) as at:
        browser, _ = await an_hour_ago(at)
        await climb(browser, MORE)
        # Mistyped first: what the route needs is not forgotten.
        await browser.submit(username="")
        await browser.submit(username=ALICE)
        assert MAIL_ME in browser.text
        assert 'name="password"' not in browser.text
        await browser.submit(choice="EMAIL_OTP")
        back = await browser.submit(code=await at.code("sign-in"))
        assert (back.status, back.get("location")) == (303, "/vault?a=b")
        assert (await browser.open("/vault?a=b")).status == 200


async def test_a_password_that_a_second_factor_follows_is_strong_enough(tmp_path: Path) -> None:
    async with site(tmp_path, more=MORE_ROUTES, seeded=seed(pool=BY_CODE, **DAY), sign_in=CHOICE) as at:
        browser, _ = await an_hour_ago(at)
        second_factors(at)
        secret = add_app(at)
        await climb(browser, MORE)
        await browser.submit(username=ALICE)
        await browser.submit(password=PASSWORD)
        back = await browser.submit(code=app_code(secret))
        assert back.get("location") == "/vault?a=b"
        assert (await browser.open("/vault?a=b")).status == 200


@pytest.mark.parametrize("flow", ["USER_PASSWORD_AUTH", "USER_AUTH"])
async def test_a_person_without_the_factor_comes_back_to_a_page_that_says_so(
    tmp_path: Path, flow: str
) -> None:
    document = seed(pool=BY_CODE, **DAY)
    async with site(tmp_path, more=ROUTES, seeded=document, sign_in=f"auth_flow: {flow}") as at:
        browser, _ = await an_hour_ago(at)
        await climb(browser)
        if flow == "USER_AUTH":
            await browser.submit(username=ALICE)
            assert MAIL_ME in browser.text
            back = await browser.submit(password=PASSWORD)
        else:
            back = await browser.submit(username=ALICE, password=PASSWORD)
        assert back.get("location") == "/vault?a=b"
        for _ in range(2):
            refused = await browser.open("/vault?a=b")
            assert refused.status == 401
            assert "A stronger sign-in is needed" in browser.text
            assert 'class="button full" href="/oauth2/"' in browser.text
        assert f'acr_values="{STRONG}"' in (refused.get("www-authenticate") or "")
        assert (await browser.open("/elsewhere")).status == 200


async def test_a_person_who_chose_the_weaker_way_first_may_choose_again_at_once(tmp_path: Path) -> None:
    async with site(tmp_path, more=MORE_ROUTES, seeded=seed(pool=BY_CODE, **DAY), sign_in=CHOICE) as at:
        browser = at.browser()
        sent = await browser.open("/vault?a=b")
        assert urlsplit(sent.get("location") or "").path == "/oauth2/sign_in"
        await browser.open(sent.get("location") or "")
        await browser.submit(username=ALICE)
        back = await browser.submit(password=PASSWORD)
        assert back.get("location") == "/vault?a=b"
        assert (await browser.open("/vault?a=b")).status == 401
        (again,) = re.findall(r'href="([^"]+)">Sign in again<', browser.text)
        await browser.open(unescape(again))
        await browser.submit(username=ALICE)
        assert 'name="password"' not in browser.text
        await browser.submit(choice="EMAIL_OTP")
        back = await browser.submit(code=await at.code("sign-in"))
        assert back.get("location") == "/vault?a=b"
        assert (await browser.open("/vault?a=b")).status == 200


async def test_managed_login_is_asked_for_the_level_at_the_first_sign_in(tmp_path: Path) -> None:
    async with managed_login.site(tmp_path, MORE_ROUTES) as at:
        for path, wanted in (("/vault?a=b", [MORE]), ("/elsewhere", None)):
            browser = at.browser()
            sent = await browser.get(path, HTML)
            leaves = await browser.get(sent.get("location") or "", HTML)
            asked = parse_qs(urlsplit(leaves.get("location") or "").query)
            assert asked.get("acr_values") == wanted


async def takes_password(browser: Browser, username: str) -> bool:
    """Return whether a password is asked for where more than one is needed."""
    asked = urlencode({"again": "1", "return_to": "/vault", "acr_values": MORE})
    await browser.open(f"/oauth2/sign_in?{asked}")
    await browser.submit(username=username)
    assert MAIL_ME in browser.text
    return 'name="password"' in browser.text


async def test_a_stranger_does_not_learn_who_has_a_strong_factor(tmp_path: Path) -> None:
    bob = {"Username": "bob@example.com", "Password": PASSWORD, "Attributes": {"email_verified": "true"}}
    document = seed(bob, pool=BY_CODE, **DAY)
    async with site(tmp_path, more=MORE_ROUTES, seeded=document, sign_in=CHOICE) as at:
        signed_in, _ = await an_hour_ago(at)
        for name in (ALICE, "bob@example.com", "nobody@example.com"):
            assert await takes_password(at.browser(), name), name
        assert not await takes_password(signed_in, ALICE.upper())
        assert await takes_password(signed_in, "bob@example.com")


async def test_the_address_bar_asks_for_nothing_that_no_route_asks_for(tmp_path: Path) -> None:
    async with site(tmp_path, more=ROUTES, seeded=seed(pool=BY_CODE, **DAY), sign_in=CHOICE) as at:
        browser, _ = await an_hour_ago(at)
        for value in ("urn:cognito:loa:3", "%22%3E%3Cscript%3E", "x" * 3000):
            await browser.open(f"/oauth2/sign_in?again=1&acr_values={value}")
            assert "acr_values" not in browser.form()[1]
            assert "script>" not in browser.text.replace("</script>", "")


# --- MCP clients ---


@pytest.mark.parametrize("given", [None, STRONG, "urn:evil"])
async def test_managed_login_is_asked_for_what_the_clients_resource_needs(
    tmp_path: Path, given: str | None
) -> None:
    resource = f"{managed_login.ORIGIN}/mcp"
    async with managed_login.site(tmp_path, f"mcp: {{resource: '{resource}'}}\n" + ROUTES) as at:
        program = McpProgram(at.gateway.port, resource=resource)
        assert (await program.register()).status == 201
        browser = at.browser()
        reply = await browser.get(program.authorize(acr_values=given), HTML)
        start = urlsplit(reply.get("location") or "")
        assert start.path == "/oauth2/start"
        leaves = await browser.get(f"{start.path}?{start.query}", HTML)
        asked = parse_qs(urlsplit(leaves.get("location") or "").query)
        assert (asked["acr_values"], asked["max_age"], asked["prompt"]) == ([STRONG], ["0"], ["login"])


async def test_an_mcp_client_gets_a_token_that_the_route_accepts(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP + ROUTES, seeded=seed(**DAY)) as at:
        second_factors(at)
        secret = add_app(at)
        program = await registered(at)
        browser = at.browser()
        await browser.open(program.authorize())
        await browser.submit(username=ALICE, password=PASSWORD)
        await browser.submit(code=app_code(secret))
        answer = await browser.submit(decision="allow")
        code = parse_qs(urlsplit(answer.get("location") or "").query)["code"][0]
        tokens = json.loads((await program.redeem(code)).body)
        assert (await call(at.worker.port, tokens["access_token"], "/mcp/call")).status == 200
