"""Passkeys without a browser: what the pages offer to whom, and what they refuse."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.authenticator import Authenticator
from tests.support.passkeys import FACTORS, local_name, with_passkeys
from tests.support.site import ALICE, PASSWORD, POOL, Browser, Site, seed, site
from tests.support.wire import Reply

GET, CREATE = "publickey-credentials-get", "publickey-credentials-create"


def opened(at: Site) -> Browser:
    return Browser(at.worker.port, host=f"localhost:{at.worker.port}")


def options_in(page: str) -> Any:
    found = re.search(r'data-options="([^"]*)"', page)
    assert found is not None, page
    return json.loads(html.unescape(found[1]))


async def signed_in(at: Site, name: str = ALICE) -> Browser:
    browser = opened(at)
    await browser.open("/oauth2/sign_in")
    await browser.submit(username=name)
    await browser.submit(password=PASSWORD)
    assert browser.location == "/oauth2/", browser.location
    return browser


async def enrolled(at: Site, browser: Browser) -> Authenticator:
    key = Authenticator(origin=local_name(at))
    await browser.open("/oauth2/add_passkey")
    made = key.create(options_in(browser.text))
    await browser.submit(credential=json.dumps(made))
    assert browser.location == "/oauth2/passkeys?notice=added", browser.text
    return key


async def chosen(at: Site, browser: Browser) -> Any:
    """Choose a passkey at sign-in; return the browser's options."""
    await browser.open("/oauth2/sign_in?return_to=/app")
    await browser.submit(username=ALICE)
    await browser.submit(form=1, choice="WEB_AUTHN")
    return json.dumps(options_in(browser.text))


def allowed(reply: Reply | None, name: str) -> bool:
    policy = (reply.get("permissions-policy") or "") if reply is not None else ""
    assert f"{name}=" in policy
    return f"{name}=(self)" in policy


async def test_a_passkey_signs_in_once_and_only_its_owner(tmp_path: Path) -> None:
    async with with_passkeys(tmp_path) as at:
        browser = await signed_in(at)
        key = await enrolled(at, browser)
        stranger = Authenticator(origin=local_name(at))
        stranger.id, stranger.handle = key.id, key.handle
        other = opened(at)
        options = await chosen(at, other)
        await other.submit(credential=stranger.get(options))
        assert "That passkey wasn&#39;t accepted" in other.text
        options = await chosen(at, other)
        _, hidden = other.form()
        answer = key.get(options)
        await other.submit(credential=answer)
        assert other.location == "/app"
        # The step of an answered challenge is gone, and Cognito takes its answer once.
        await other.post("/oauth2/challenge", {**hidden, "credential": answer})
        assert "notice=expired" in other.location or other.location == "/oauth2/"
        refused = [line["code"] for line in at.log("form_refused")]
        assert refused == ["NotAuthorizedException"]
        assert answer not in json.dumps(at.log())


async def test_what_is_no_passkey_is_refused(tmp_path: Path) -> None:
    async with with_passkeys(tmp_path) as at:
        browser = await signed_in(at)
        for credential in ("", "no JSON", "[]", "{}", "[" * 20_000, json.dumps({"id": "x"})):
            await browser.open("/oauth2/add_passkey")
            await browser.submit(credential=credential)
            assert "That passkey couldn&#39;t be added" in browser.text
            assert options_in(browser.text)["challenge"], "another try"
        elsewhere = Authenticator(origin="http://localhost.evil.example")
        await browser.submit(credential=json.dumps(elsewhere.create(options_in(browser.text))))
        assert "That passkey couldn&#39;t be added" in browser.text
        await enrolled(at, browser)
        other = opened(at)
        for credential in ("", "no JSON", "{}", "[" * 20_000):
            await chosen(at, other)
            await other.submit(credential=credential)
            wrong = "That passkey wasn&#39;t accepted" if credential else "Use your passkey"
            assert wrong in other.text


async def test_a_refusal_by_the_pool_hides_passkeys(tmp_path: Path) -> None:
    """Where its settings are not known."""
    async with with_passkeys(tmp_path) as at:
        browser = await signed_in(at)
        at.local.state.pools[POOL].settings["SignInPolicy"] = {"AllowedFirstAuthFactors": ["PASSWORD"]}
        await browser.open("/oauth2/add_passkey")
        assert "Passkeys aren&#39;t available" in browser.text
        await browser.open("/oauth2/")
        assert "/oauth2/passkeys" not in browser.text
        assert (await browser.open("/oauth2/passkeys")).status == 404


async def test_passkeys_need_a_recent_sign_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with with_passkeys(tmp_path) as at:
        browser = await signed_in(at)
        await browser.open("/oauth2/passkeys")
        assert browser.location == "/oauth2/passkeys"
        monkeypatch.setattr("gateway.pages.recent.RECENT", -1.0)
        for path in ("passkeys", "add_passkey"):
            await browser.open(f"/oauth2/{path}")
            assert "again=1" in browser.location
            assert "Sign in again to change your account" in browser.text
        monkeypatch.undo()
        await browser.submit(username=ALICE)
        await browser.submit(password=PASSWORD)
        assert browser.location == "/oauth2/add_passkey"


async def test_browsers_may_use_passkeys_only_where_a_page_asks_for_one(tmp_path: Path) -> None:
    async with with_passkeys(tmp_path) as at:
        browser = await signed_in(at)
        await enrolled(at, browser)
        for path, feature in (
            ("", None),
            ("passkeys", None),
            ("sign_in?again=1", GET),
            ("add_passkey", CREATE),
        ):
            reply = await browser.open(f"/oauth2/{path}")
            assert [name for name in (GET, CREATE) if allowed(reply, name)] == ([feature] if feature else [])
            assert len(reply.all("permissions-policy")) == 1
        other = opened(at)
        assert not allowed(await other.open("/oauth2/sign_in"), GET), "no passkey was used here"
        await chosen(at, other)
        assert allowed(other.last, GET)


@pytest.mark.parametrize("party", ["login.example.com", "host", ""])
async def test_no_passkey_is_offered_where_browsers_refuse_it(tmp_path: Path, party: str) -> None:
    async with with_passkeys(tmp_path, party=party) as at:
        browser = await signed_in(at)
        assert "/oauth2/passkeys" not in browser.text
        assert (await browser.open("/oauth2/passkeys")).status == 404
        assert (await browser.open("/oauth2/add_passkey")).status == 404


async def test_no_passkey_is_offered_where_the_pool_takes_none(tmp_path: Path) -> None:
    for pool, sign_in in ((None, "auth_flow: USER_AUTH"), (FACTORS, "")):
        async with site(tmp_path, seeded=seed(pool=pool), sign_in=sign_in) as at:
            await at.settled()
            browser = opened(at)
            await browser.open("/oauth2/sign_in")
            if sign_in:
                await browser.submit(username=ALICE)
                await browser.submit(password=PASSWORD)
            else:
                await browser.submit(username=ALICE, password=PASSWORD)
            assert browser.location == "/oauth2/"
            assert "/oauth2/passkeys" not in browser.text
            assert (await browser.open("/oauth2/passkeys")).status == 404


async def test_the_operator_learns_at_start_of_passkeys_for_another_site(tmp_path: Path) -> None:
    async with site(
        tmp_path,
        seeded=seed(pool=FACTORS),
        sign_in="auth_flow: USER_AUTH",
        listen_lines="public_url: 'https://api.example.com'",
    ) as at:
        (line,) = await at.logged("passkeys_unusable")
        assert (line["expected"], line["actual"], line["pool"]) == ("api.example.com", "none", POOL)
