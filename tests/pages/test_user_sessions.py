"""The page of a user's sessions: what Cognito lists, ending one, and ending all others at once."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from local_cognito.errors import AwsError
from tests.support.chromium import chromium, looking
from tests.support.looks import wrong_with
from tests.support.site import ALICE, CLIENT, PASSWORD, POOL, Browser, Site, seed, site, track

PAGE = "/oauth2/sessions"


async def signed_in(at: Site, address: str = "") -> Browser:
    browser = at.browser(address)
    await browser.open("/oauth2/sign_in")
    await browser.submit(username=ALICE, password=PASSWORD)
    assert browser.location == "/oauth2/", browser.text
    return browser


def program(at: Site) -> str:
    """Sign in without the gateway; return the refresh token."""
    parameters = {"USERNAME": ALICE, "PASSWORD": PASSWORD}
    done = at.local.call(
        "InitiateAuth", ClientId=CLIENT, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=parameters
    )
    return str(done["AuthenticationResult"]["RefreshToken"])


def renews(at: Site, refresh: str) -> bool:
    parameters = {"REFRESH_TOKEN": refresh}
    request = {"ClientId": CLIENT, "AuthFlow": "REFRESH_TOKEN_AUTH", "AuthParameters": parameters}
    try:
        at.local.call("InitiateAuth", **request)
    except AwsError as error:
        if error.type != "NotAuthorizedException":
            raise
        return False
    return True


def names(browser: Browser) -> list[str]:
    return re.findall(
        r'<span class="keep" dir="auto">([^<]+)</span>\n<span class="small quiet">Last', browser.text
    )


def listed(at: Site) -> list[dict[str, Any]]:
    request = {"UserPoolId": POOL, "Username": ALICE}
    return list(at.local.call("AdminListUserSessions", **request)["Sessions"])


async def test_one_is_ended_and_this_one_goes_on(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        track(at)
        other, refresh = await signed_in(at), program(at)
        browser = await signed_in(at)
        await browser.open("/oauth2/account")
        assert f'href="{PAGE}"' in browser.text
        await browser.open(PAGE)
        assert names(browser)[0] == "This browser"
        assert len(names(browser)) == 3
        assert renews(at, refresh)
        # The program was active last, so it is the first of the others.
        await browser.open(PAGE)
        await browser.submit(form=0)
        assert browser.location == f"{PAGE}?notice=one", browser.text
        assert "That session is signed out." in browser.text
        assert not renews(at, refresh)
        assert (len(names(browser)), len(listed(at))) == (2, 2)
        assert (await browser.open("/api")).status == 200
        assert (await other.open("/api")).status == 200
        (line,) = await at.logged("account_changed")
        assert line["change"] == "session_ended"
        # The other browser's ends here at once too, although its access token is good for an hour.
        await browser.open(PAGE)
        await browser.submit(form=0)
        assert names(browser) == ["This browser"]
        assert (await other.open("/api")).status == 302
        assert (await browser.open("/api")).status == 200


@pytest.mark.parametrize("store", ["cookie", "memory"])
async def test_all_others_end_at_once(tmp_path: Path, store: str) -> None:
    async with site(tmp_path, sign_in=f"session: {{store: {store}}}") as at:
        track(at)
        others, refresh = [await signed_in(at) for _ in range(2)], program(at)
        browser = await signed_in(at)
        before = dict(browser.cookies)
        await browser.open(PAGE)
        await browser.submit(form=3)
        assert browser.location == f"{PAGE}?notice=others", browser.text
        assert "You are signed out everywhere else." in browser.text
        assert names(browser) == ["This browser"]
        assert "Sign out everywhere else" not in browser.text
        assert not renews(at, refresh)
        for other in others:
            assert (await other.open("/api")).status == 302
        assert (await Browser(at.worker.port, cookies=before).open("/api")).status == 302, (
            "a copy of the cookie"
        )
        assert (await browser.open("/api")).status == 200
        # And it can still be renewed: Cognito has not ended it.
        (session,) = listed(at)
        assert session["SessionType"] == "TOKEN"
        # A session that begins afterwards is not covered.
        assert (await (await signed_in(at)).open("/api")).status == 200
        (line,) = await at.logged("account_changed")
        assert line["change"] == "sessions_ended"


async def test_the_gateways_own_address_is_not_shown_as_the_users(tmp_path: Path) -> None:
    lines = "trusted_proxies: [127.0.0.1/32]"
    async with site(tmp_path, listen_lines=lines) as at:
        track(at)
        await signed_in(at, "198.51.100.7")
        browser = await signed_in(at, "198.51.100.8")
        await browser.open(PAGE)
        assert names(browser) == ["This browser", "Another browser or program"]
        assert "127.0.0.1" not in browser.text
    async with site(tmp_path) as at:
        track(at)
        program(at)
        browser = await signed_in(at)
        await browser.open(PAGE)
        assert "127.0.0.1" in browser.text, "the address that both have is the reader's own"


async def test_nobody_ends_a_session_of_another_user(tmp_path: Path) -> None:
    bob = {"Username": "bob@example.com", "Password": PASSWORD, "Attributes": {"email_verified": "true"}}
    async with site(tmp_path, seeded=seed(bob)) as at:
        track(at)
        refresh = program(at)
        (mine,) = listed(at)
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        await browser.submit(username="bob@example.com", password=PASSWORD)
        program(at)
        await browser.open(PAGE)
        assert names(browser) == ["This browser"]
        # A second session of bob's, so that there is a form.
        second = at.browser()
        await second.open("/oauth2/sign_in")
        await second.submit(username="bob@example.com", password=PASSWORD)
        await browser.open(PAGE)
        target, fields = browser.form(0)
        await browser.post(target, {**fields, "session": mine["SessionId"]})
        assert browser.location == PAGE
        assert renews(at, refresh)
        await browser.open(PAGE)
        await browser.submit(form=0)
        (line,) = await at.logged("account_changed")
        assert line["change"] == "session_ended", "hers alone, and once"


async def test_a_pool_that_tracks_none_shows_none(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        browser = await signed_in(at)
        await browser.open("/oauth2/account")
        assert browser.last is not None
        assert browser.last.status == 200
        assert PAGE not in browser.text
        assert (await browser.open(PAGE)).status == 404


async def test_it_takes_a_recent_sign_in(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        track(at)
        assert (await at.browser().open(PAGE)).status == 200
        browser = at.browser()
        await browser.open(PAGE)
        assert browser.location.startswith("/oauth2/sign_in?return_to=/oauth2/sessions")


async def test_two_at_once_end_the_same_sessions(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        track(at)
        refresh = program(at)
        one, two = await signed_in(at), await signed_in(at)
        await one.open(PAGE)
        await two.open(PAGE)
        (first, a), (second, b) = one.form(2), two.form(2)
        await asyncio.gather(one.post(first, a), two.post(second, b))
        assert not renews(at, refresh)
        left = [(await each.open("/api")).status for each in (one, two)]
        assert sorted(left) in ([200, 302], [302, 302])


@pytest.mark.engine
async def test_the_page_is_legible(tmp_path: Path) -> None:
    async with (
        site(tmp_path) as at,
        chromium() as browser,
        looking(browser, viewport={"width": 320, "height": 700}) as page,
    ):
        track(at)
        program(at)
        await page.goto(f"{at.url}{PAGE}")
        await page.fill("#username", ALICE)
        await page.fill("#password", PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_function(f"location.pathname === '{PAGE}'")
        assert await wrong_with(page) == []
        await page.get_by_role("button", name="Sign out everywhere else").click()
        await page.wait_for_url("**notice=others")
        assert await page.get_by_role("listitem").count() == 1
        assert await wrong_with(page) == []
