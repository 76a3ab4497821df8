"""The portal: what it shows to whom, and the way out of it."""

from __future__ import annotations

import html
import re
import shlex
from pathlib import Path

import pytest

from gateway.pages.home import initial, moment
from tests.support.site import ALICE, PASSWORD, Browser, Site, seed, site, with_identity_pool
from tests.support.wire import get, once

NEW = "Another-Horse-2"


async def signed_in(at: Site, password: str = PASSWORD) -> Browser:
    browser = at.browser()
    await browser.open("/oauth2/sign_in")
    await browser.submit(username=ALICE, password=password)
    assert browser.location == "/oauth2/"
    return browser


def value_of(browser: Browser, name: str) -> str:
    match = re.search(rf'id="{name}" value="([^"]*)"', browser.text)
    assert match
    return html.unescape(match[1])


async def test_the_home_page_shows_the_user_and_the_api(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        browser = await signed_in(at)
        for shown in ("Alice Example", ALICE, "admins", "editors", "us-east-1_Pages1234"):
            assert shown in browser.text
        assert 'id="token"' not in browser.text, "any script of the API's pages could fetch it"
        await browser.submit()
        token = value_of(browser, "token")
        reply = await once(at.worker.port, get("/things", f"Authorization: Bearer {token}"))
        assert reply.status == 200
        command = shlex.split(value_of(browser, "curl"))
        assert command == ["curl", "-H", f"Authorization: Bearer {token}", "http://api.test/"]
        assert "AWS credentials" not in browser.text
        # To somebody else there is nothing to see.
        other = at.browser()
        await other.open("/oauth2/")
        assert other.location == "/oauth2/sign_in"


ROUTES = """routes:
  - {path: /public, auth: none}
  - {path: /reports/**, groups: [nobody]}
  - {path: /reports/2026}
  - {path: /things/*}
  - {path: /admin, methods: [POST]}
  - {path: "/two words"}
  - {path: /vault, groups: [nobody]}
  - {path: /items/latest, groups: [editors]}
"""


@pytest.mark.parametrize(("routes", "path"), [(ROUTES, "/items/latest"), ("", "/")])
async def test_the_command_calls_a_route_that_answers_this_person(
    tmp_path: Path, routes: str, path: str
) -> None:
    async with site(tmp_path, more=routes) as at:
        browser = await signed_in(at)
        assert '<dd class="keep">http://api.test</dd>' in browser.text
        await browser.submit()
        command = shlex.split(value_of(browser, "curl"))
        assert command[-1] == f"http://api.test{path}"
        assert (await once(at.worker.port, get(path, command[2]))).status == 200


SCRIPTS = [
    ("Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty", "Sec-Fetch-Site: same-origin"),
    ("Sec-Fetch-Mode: same-origin", "Sec-Fetch-Dest: empty", "Sec-Fetch-Site: same-origin"),
    ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe", "Sec-Fetch-Site: same-origin"),
    ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: object", "Sec-Fetch-Site: same-origin"),
    ("Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: script", "Sec-Fetch-Site: same-origin"),
]
PERSON = ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: same-origin")


async def test_no_script_gets_a_token_or_keys_or_the_set_up_form(tmp_path: Path) -> None:
    """One that runs on the API's pages: it has the session's cookie, and the form token of every page."""
    async with site(tmp_path, seeded=with_identity_pool(seed())) as at:
        browser = await signed_in(at)
        _, form = browser.form()
        for lines in SCRIPTS:
            for target, fields in (
                ("/oauth2/", {"show": "token"}),
                ("/oauth2/", {"show": "credentials"}),
                ("/oauth2/credentials", {}),
                ("/oauth2/setup", {"region": "us-east-1"}),
            ):
                reply = await browser.post(target, {**form, **fields}, *lines)
                assert (target, reply.status) == (target, 403)
                assert not [word for word in ("eyJ", "ASIA", "AccessKeyId") if word in browser.text]
            for target in ("/oauth2/", "/oauth2/credentials", "/oauth2/setup", "/oauth2/?credentials=show"):
                await browser.open(target, *lines)
                assert not [word for word in ("eyJ", "ASIA", "AccessKeyId") if word in browser.text]
        reply = await browser.post("/oauth2/", {**form, "show": "token"}, *PERSON)
        assert "eyJ" in browser.text
        assert reply.get("cross-origin-opener-policy") == "same-origin", (
            "who opened the window reads nothing in it"
        )
        assert (await browser.post("/oauth2/credentials", form, *PERSON)).status == 200
        reasons = {line["reason"] for line in at.log("request") if line["status"] == 403}
        assert reasons == {"navigation_only"}


async def test_over_https_only_navigations_count_as_people(tmp_path: Path) -> None:
    async with site(tmp_path, listen_lines="public_url: 'https://api.test'") as at:
        browser = await signed_in(at)
        origin = "Origin: https://api.test"
        _, form = browser.form()
        assert (await browser.post("/oauth2/", {**form, "show": "token"}, origin)).status == 403
        assert (await browser.post("/oauth2/", {**form, "show": "token"}, origin, *PERSON)).status == 200
        assert "eyJ" in browser.text


async def test_tokens_and_keys_can_be_turned_off(tmp_path: Path) -> None:
    async with site(tmp_path, seeded=with_identity_pool(seed()), sign_in="show_tokens: false") as at:
        browser = await signed_in(at)
        assert "Show token" not in browser.text
        assert "Get credentials" not in browser.text
        _, form = browser.form()
        asked = [("/oauth2/", {"show": "token"}), ("/oauth2/", {"show": "credentials"})]
        for target, fields in (*asked, ("/oauth2/credentials", {})):
            assert (await browser.post(target, {**form, **fields})).status == 403
            assert not [word for word in ("eyJ", "ASIA") if word in browser.text]


async def test_aws_credentials_when_asked_for(tmp_path: Path) -> None:
    async with site(tmp_path, seeded=with_identity_pool(seed())) as at:
        browser = await signed_in(at)
        assert "AWS_SECRET_ACCESS_KEY" not in browser.text
        await browser.submit(form=1)
        assignments = dict(word.split("=", 1) for word in shlex.split(value_of(browser, "aws-env"))[1:])
        assert set(assignments) == {
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
        }
        # The pool forgets its roles: the page says so and stays.
        at.local.call("DeleteIdentityPool", IdentityPoolId="us-east-1:00000000-0000-4000-8000-0000000000ab")
        again = await signed_in(at)
        await again.submit(form=1)
        assert 'role="alert"' in again.text
        assert "Alice Example" in again.text


async def test_signing_out_here_and_everywhere(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        here, there = await signed_in(at), await signed_in(at)
        await here.submit(form=2)
        assert "You are signed out" in here.text
        await here.open("/oauth2/")
        assert here.location == "/oauth2/sign_in"
        await there.open("/oauth2/")
        assert there.location == "/oauth2/"
        await there.submit(form=1)
        assert "You are signed out" in there.text
        lines = await at.logged("sign_out", 2)
        assert [(line["everywhere"], line["revoked"]) for line in lines] == [(False, True), (True, True)]


async def test_a_link_to_sign_out_asks_first(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        browser = await signed_in(at)
        for evil in ("//evil.test/", "https://evil.test/", "/%5Cevil.test"):
            for name in ("return_to", "rd"):
                await browser.open(f"/oauth2/sign_out?{name}={evil}")
                assert "evil" not in browser.text
        await browser.open("/oauth2/sign_out?rd=/bye")
        assert "Alice Example" in browser.text
        await browser.open("/oauth2/")
        assert browser.location == "/oauth2/", "a link alone changes nothing"
        await browser.open("/oauth2/sign_out?rd=/bye")
        await browser.submit()
        assert browser.location == "/bye"
        await browser.open("/oauth2/sign_out?return_to=/bye")
        assert browser.location == "/bye", "nobody is signed in: nothing to ask"
        await browser.open("/oauth2/sign_out?rd=//evil.test/")
        assert "You are signed out" in browser.text
        again = await signed_in(at)
        await again.open("/oauth2/sign_out")
        await again.submit(form=1)
        assert "You are signed out" in again.text
        assert [line["everywhere"] for line in await at.logged("sign_out", 2)] == [False, True]


async def test_a_new_password(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        browser = await signed_in(at)
        await browser.open("/oauth2/change_password")
        await browser.submit(password="Wrong-Horse-1", new_password=NEW)
        assert "Incorrect password" in browser.text
        await at.settled()
        await browser.submit(password=PASSWORD, new_password="weak")
        assert "still needs" in browser.text
        await browser.submit(password=PASSWORD, new_password=NEW)
        assert "Your password is changed" in browser.text
        await signed_in(at, NEW)
        stranger = at.browser()
        await stranger.open("/oauth2/change_password")
        assert stranger.location == "/oauth2/sign_in?return_to=/oauth2/change_password"


async def test_a_user_signed_out_elsewhere_cannot_change_it(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        browser = await signed_in(at)
        await browser.open("/oauth2/change_password")
        at.local.call("AdminUserGlobalSignOut", UserPoolId="us-east-1_Pages1234", Username=ALICE)
        await browser.submit(password=PASSWORD, new_password=NEW)
        assert "Your session has expired" in browser.text


def test_a_moment_of_today_needs_no_date() -> None:
    now = 1_800_000_000.0  # 2027-01-15, 08:00 UTC
    assert moment(now + 60, now).text == "08:01 UTC"
    assert moment(now + 86400, now).text == "16 Jan 2027, 08:00 UTC"
    assert moment(now - 5, now).seconds == 0


def test_the_letter_for_a_picture_is_a_letter() -> None:
    assert [initial(name) for name in ("alice", "<b>", "  ß", "🙂 7up", "#!", "李")] == [
        "A",
        "B",
        "SS",
        "7",
        "?",
        "李",
    ]
