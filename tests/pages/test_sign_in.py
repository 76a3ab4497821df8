"""Signing in without a script: every flow, every challenge, and what an attacker may try with the forms."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.pages.attempts import ADDRESS, BROWSER, PERSON, SENT_BY_ADDRESS, SENT_TO_PERSON, WINDOW
from gateway.pages.page_routes import routes
from tests.support.site import (
    ALICE,
    BY_CODE,
    CLIENT,
    PASSWORD,
    PHONE,
    POOL,
    SES,
    TEMPORARY,
    add_app,
    app_code,
    prefer,
    second_factors,
    seed,
    site,
    without_tokens,
)
from tests.support.wire import get, once

WRONG = "Incorrect username or password"
NEW, BOB = "Another-Horse-2", "bob@example.com"
PASSWORDLESS = {
    "Username": BOB,
    "Status": "CONFIRMED",
    "Attributes": {"email": BOB, "email_verified": "true"},
}


@pytest.mark.parametrize("flow", ["USER_PASSWORD_AUTH", "USER_SRP_AUTH"])
async def test_a_password_opens_the_page_one_came_for(tmp_path: Path, flow: str) -> None:
    async with site(tmp_path, sign_in=f"auth_flow: {flow}") as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in?return_to=/app/7")
        wrong = await browser.submit(username=ALICE, password="Wrong-Horse-1")
        assert wrong.status == 400
        assert WRONG in browser.text
        assert f'value="{ALICE}"' in browser.text
        assert "Wrong-Horse-1" not in browser.text
        await browser.submit(username=f" {ALICE} ", password=PASSWORD)
        assert browser.location == "/app/7"
        # The API is open now, and the page of sign-in is behind us.
        await browser.open("/app/7")
        assert at.upstream.requests[-1].target == b"/app/7"
        await browser.open("/oauth2/sign_in")
        assert browser.location == "/oauth2/"
        assert "Alice Example" in browser.text


async def test_wrong_passwords_and_unknown_users_look_alike(tmp_path: Path) -> None:
    for errors in ("ENABLED", "LEGACY"):
        async with site(tmp_path, seeded=seed(PreventUserExistenceErrors=errors)) as at:
            seen = set()
            for username in (ALICE, "nobody@example.com", "no address"):
                browser = at.browser()
                await browser.open("/oauth2/sign_in")
                reply = await browser.submit(username=username, password="Wrong-Horse-1")
                lines = [line for line in browser.text.splitlines() if 'name="csrf"' not in line]
                seen.add((reply.status, "\n".join(lines).replace(username, "X")))
            assert len(seen) == 1


async def test_a_missing_value_is_shown_at_its_field(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        await browser.submit(username="", password="")
        assert '<p class="wrong" id="username-error">Enter your username or email address</p>' in browser.text
        assert 'aria-describedby="password-error" aria-invalid="true"' in browser.text
        assert "<title>Error: Sign in" in browser.text


async def test_attempts_are_limited_before_cognito_is_asked(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        begun = time.time()
        for _ in range(PERSON.most):
            await browser.submit(username="nobody@example.com", password="Wrong-Horse-1")
        await at.logged("form_refused", PERSON.most)
        reply = await browser.submit(username="nobody@example.com", password="Wrong-Horse-1")
        assert reply.status == 429
        # Until the first of them no longer counts.
        assert WINDOW - (time.time() - begun) <= int(reply.get("Retry-After") or 0) <= WINDOW
        assert "Too many attempts" in browser.text
        await asyncio.sleep(0.05)
        assert len(at.log("form_refused")) == PERSON.most
        # Spelled otherwise it is the same name; another name is another.
        assert (await browser.submit(username="NOBODY@example.com", password="x")).status == 429
        await browser.submit(username=ALICE, password=PASSWORD)
        assert browser.location == "/oauth2/"


@pytest.mark.parametrize("set_by", [-2 * WINDOW, 2 * WINDOW])
async def test_a_changed_clock_neither_forgives_nor_prolongs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, set_by: float
) -> None:
    async with site(tmp_path) as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        for _ in range(PERSON.most):
            await browser.submit(username="nobody@example.com", password="Wrong-Horse-1")
        right = time.time
        monkeypatch.setattr(time, "time", lambda: right() + set_by)
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        reply = await browser.submit(username="nobody@example.com", password="Wrong-Horse-1")
        assert reply.status == 429
        assert 0 < int(reply.get("Retry-After") or 0) <= WINDOW


async def test_many_guesses_at_once_are_not_one(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        browsers = [at.browser() for _ in range(3 * PERSON.most)]
        for browser in browsers:
            await browser.open("/oauth2/sign_in")
        replies = await asyncio.gather(
            *(each.submit(username="nobody@example.com", password="Wrong-Horse-1") for each in browsers)
        )
        assert [reply.status for reply in replies].count(400) <= PERSON.most
        assert len(at.log("form_refused")) <= PERSON.most


async def test_an_account_of_ones_own_buys_no_guesses_at_others(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        for guesses in range(0, ADDRESS.most, BROWSER.most // 2):
            browser = at.browser()
            await browser.open("/oauth2/sign_in")
            for number in range(BROWSER.most // 2):
                name = f"user{guesses + number}@example.com"
                assert (await browser.submit(username=name, password="Spring-2024")).status == 400
            await browser.submit(username=ALICE, password=PASSWORD)
            assert browser.location == "/oauth2/" or guesses + BROWSER.most // 2 == ADDRESS.most
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        assert (await browser.submit(username="last@example.com", password="Spring-2024")).status == 429


async def test_a_right_password_buys_no_second_factor(tmp_path: Path) -> None:
    # Names of their own: what is typed is the very name that Cognito knows.
    async with site(tmp_path, seeded=seed(pool={"UsernameAttributes": []})) as at:
        second_factors(at)
        add_app(at)
        for _ in range(PERSON.most):
            browser = at.browser()
            await browser.open("/oauth2/sign_in")
            await browser.submit(username=ALICE, password=PASSWORD)
            assert "That code isn&#39;t right" in (await browser.submit(code="000000")).body.decode()
        await browser.open("/oauth2/sign_in")
        assert (await browser.submit(username=ALICE, password=PASSWORD)).status == 429


async def test_a_subscriber_with_a_network_is_one_address(tmp_path: Path) -> None:
    async with site(tmp_path, listen_lines="trusted_proxies: [127.0.0.0/8]") as at:
        for number in range(PERSON.most + 1):
            browser = at.browser()
            await browser.open("/oauth2/sign_in")
            reply = await browser.submit(
                f"X-Forwarded-For: 2001:db8::{number:x}", username="nobody@example.com", password="Wrong-1"
            )
        assert reply.status == 429
        assert len(await at.logged("form_refused", PERSON.most)) == PERSON.most


async def test_a_first_password_is_replaced(tmp_path: Path) -> None:
    new = {"Username": "new@example.com", "Password": TEMPORARY, "Status": "FORCE_CHANGE_PASSWORD"}
    schema = {"Schema": [{"Name": "given_name", "Required": True, "Mutable": True}]}
    document = seed(new, pool=schema)
    document["UserPools"][0]["Users"].pop(0)
    async with site(tmp_path, seeded=document) as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in?return_to=/app")
        await browser.submit(username="new@example.com", password=TEMPORARY)
        assert browser.location == "/oauth2/challenge"
        assert "Choose a new password" in browser.text
        await at.settled()
        await browser.submit(new_password="weak")
        assert "still needs" in browser.text
        assert "Enter your first name" in browser.text
        assert "weak" not in browser.text
        await browser.submit(new_password=NEW, attribute_given_name="")
        assert "Enter your first name" in browser.text
        await browser.submit(new_password=NEW, attribute_given_name="Nell")
        assert browser.location == "/app"


async def test_an_authenticator_is_asked_for(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        second_factors(at)
        secret = add_app(at)
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        await browser.submit(username=ALICE, password=PASSWORD)
        assert "authenticator app shows six digits" in browser.text
        await browser.submit(code="000000")
        assert "That code isn&#39;t right" in browser.text
        code = app_code(secret)
        await browser.submit(code=f"{code[:3]} {code[3:]}")
        assert browser.location == "/oauth2/"
        # Once more within the same half a minute, at another device: it waits for the next code.
        other = at.browser()
        await other.open("/oauth2/sign_in")
        await other.submit(username=ALICE, password=PASSWORD)
        await other.submit(code=code)
        assert "That code was used already" in other.text
        assert other.location == "/oauth2/challenge"


async def test_an_authenticator_is_set_up(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        second_factors(at, "ON")
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        await browser.submit(username=ALICE, password=PASSWORD)
        assert "Set up an authenticator" in browser.text
        assert "<svg" in browser.text
        assert "<path" in browser.text
        key = re.search(r'id="secret"[^>]*>([A-Z2-7 ]+)<', browser.text)
        assert key
        await browser.submit(code="12345")
        assert "The code is six digits" in browser.text
        await browser.submit(code="000000")
        assert "That code isn&#39;t right" in browser.text
        # The same key after a reload and after a mistake: it is in somebody's app by now.
        await browser.open("/oauth2/challenge")
        assert key[1] in browser.text
        await browser.submit(code=app_code(key[1].replace(" ", "")))
        assert browser.location == "/oauth2/"


async def test_codes_by_message_and_the_choice_between_them(tmp_path: Path) -> None:
    users = {
        "Username": "bob@example.com",
        "Password": PASSWORD,
        "Attributes": {"email_verified": "true", **PHONE},
    }
    async with site(tmp_path, seeded=seed(users, pool={"EmailConfiguration": SES})) as at:
        second_factors(at, email=True)
        prefer(at, "bob@example.com", SMSMfaSettings={"Enabled": True}, EmailMfaSettings={"Enabled": True})
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        await browser.submit(username="bob@example.com", password=PASSWORD)
        assert "How do you want to verify your identity" in browser.text
        await browser.submit(choice="SMS_MFA")
        assert "text message to" in browser.text
        assert "9934" in browser.text
        await browser.submit(code=await at.code("mfa"))
        assert browser.location == "/oauth2/"


async def test_the_choice_based_flow(tmp_path: Path) -> None:
    async with site(tmp_path, seeded=seed(pool=BY_CODE), sign_in="auth_flow: USER_AUTH") as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        assert 'type="password"' not in browser.text
        await browser.submit(username=ALICE)
        assert "Enter your password" in browser.text
        await browser.submit(form=1, choice="EMAIL_OTP")
        assert "We sent an email to a***@e***" in browser.text
        await browser.submit(code=await at.code("sign-in"))
        assert browser.location == "/oauth2/"
        other = at.browser()
        await other.open("/oauth2/sign_in")
        await other.submit(username=ALICE)
        await other.submit(password=PASSWORD)
        assert other.location == "/oauth2/"


async def test_codes_that_strangers_have_sent_are_counted(tmp_path: Path) -> None:
    async with site(tmp_path, seeded=seed(pool=BY_CODE), sign_in="auth_flow: USER_AUTH") as at:
        for _ in range(SENT_TO_PERSON.most + 1):
            browser = at.browser()
            await browser.open("/oauth2/sign_in")
            await browser.submit(username=ALICE)
            reply = await browser.submit(form=1, choice="EMAIL_OTP")
        assert reply.status == 429
        assert len(at.local.state.outbox) == SENT_TO_PERSON.most
        # The owner has a password as well.
        await browser.submit(password=PASSWORD)
        assert browser.location == "/oauth2/"


async def test_a_strangers_five_codes_lock_out_no_user(tmp_path: Path) -> None:
    """A user who signs in by codes alone was locked out by five requests from anywhere."""
    trusted = "trusted_proxies: ['127.0.0.1/32']"
    choice = {**BY_CODE, "Users": [PASSWORDLESS]}
    document = seed(pool=choice)
    async with site(tmp_path, seeded=document, sign_in="auth_flow: USER_AUTH", listen_lines=trusted) as at:
        for number in range(SENT_TO_PERSON.most + 1):
            stranger = at.browser("192.0.2.1")
            await stranger.open("/oauth2/sign_in")
            await stranger.submit(username=BOB)
            reply = await stranger.submit(form=1, choice="EMAIL_OTP")
            assert reply.status == (429 if number == SENT_TO_PERSON.most else 200)
        owner = at.browser("192.0.2.2")
        await owner.open("/oauth2/sign_in")
        await owner.submit(username=BOB)
        await owner.submit(form=1, choice="EMAIL_OTP")
        await owner.submit(code=await at.code("sign-in", SENT_TO_PERSON.most + 1))
        assert owner.location == "/oauth2/"


async def test_an_account_without_a_password_gets_the_page_that_everybody_gets(tmp_path: Path) -> None:
    choice = {**BY_CODE, "Users": [PASSWORDLESS]}
    async with site(tmp_path, seeded=seed(pool=choice), sign_in="auth_flow: USER_AUTH") as at:
        seen = []
        for username in (BOB, "nobody@example.com"):
            browser = at.browser()
            await browser.open("/oauth2/sign_in")
            await browser.submit(username=username)
            pages = [browser.text]
            await browser.submit(password=PASSWORD)
            pages.append(browser.text)
            assert WRONG in browser.text
            seen.append([without_tokens(page).replace(username, "X") for page in pages])
        assert seen[0] == seen[1]


async def test_codes_that_were_used_are_not_counted(tmp_path: Path) -> None:
    async with site(tmp_path, seeded=seed(pool=BY_CODE), sign_in="auth_flow: USER_AUTH") as at:
        for number in range(1, SENT_BY_ADDRESS.most + 2):
            browser = at.browser()
            await browser.open("/oauth2/sign_in")
            await browser.submit(username=ALICE)
            await browser.submit(form=1, choice="EMAIL_OTP")
            await browser.submit(code=await at.code("sign-in", number))
            assert browser.location == "/oauth2/"


async def test_choice_based_sign_in_does_not_reveal_who_has_an_account(tmp_path: Path) -> None:
    async with site(tmp_path, seeded=seed(pool=BY_CODE), sign_in="auth_flow: USER_AUTH") as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        await browser.submit(username="nobody@example.com")
        if browser.location == "/oauth2/challenge":
            await browser.submit(password=PASSWORD)
        assert WRONG in browser.text or "This page has expired" in browser.text


async def test_a_step_belongs_to_its_browser_and_to_its_page(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        second_factors(at)
        secret = add_app(at)
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        await browser.submit(username=ALICE, password=PASSWORD)
        thief = at.browser()
        thief.cookies = {name: value for name, value in browser.cookies.items() if "browser" not in name}
        await thief.open("/oauth2/challenge")
        assert thief.location.startswith("/oauth2/sign_in")
        target, fields = browser.form()
        await browser.post(target, {**fields, "step": "0" * 16, "code": app_code(secret)})
        assert "out of date" in browser.text
        await browser.submit(code=app_code(secret))
        assert browser.location == "/oauth2/"
        # It is used up.
        await browser.open("/oauth2/challenge")
        assert browser.location == "/oauth2/"


async def test_a_session_that_cognito_has_forgotten_begins_again(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        second_factors(at)
        secret = add_app(at)
        browser = at.browser()
        await browser.open("/oauth2/sign_in?return_to=/app")
        await browser.submit(username=ALICE, password=PASSWORD)
        at.local.state.pools[POOL].sessions.clear()
        await browser.submit(code=app_code(secret))
        assert "This page has expired" in browser.text
        assert 'name="return_to" value="/app"' in browser.text


async def test_several_pools_are_a_choice(tmp_path: Path) -> None:
    document = seed()
    other = json.loads(json.dumps(document["UserPools"][0]).replace(POOL, "eu-west-1_Other1234"))
    other["Clients"][0]["ClientId"] = "otherclient"
    document["UserPools"].append(other)
    async with site(tmp_path, seeded=document) as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in?return_to=/app")
        assert "Which user pool" in browser.text
        assert f'href="/oauth2/sign_in?pool={POOL}&amp;return_to=/app"' in browser.text
        await browser.open("/oauth2/sign_in?pool=eu-west-1_Other1234&return_to=/app")
        await browser.submit(username=ALICE, password=PASSWORD)
        assert browser.location == "/app"
        (line,) = await at.logged("sign_in")
        assert line["pool"] == "eu-west-1_Other1234"


@pytest.mark.parametrize(
    "target",
    [
        '/oauth2/sign_in?return_to="><script>alert(1)</script>',
        "/oauth2/sign_in?pool=<script>alert(1)</script>&notice=<script>",
        "/oauth2/confirm?username=<script>alert(1)</script>",
        "/oauth2/setup?saved=<script>alert(1)</script>",
    ],
)
async def test_addresses_are_not_shown(tmp_path: Path, target: str) -> None:
    async with site(tmp_path) as at:
        browser = at.browser()
        quoted = target.replace("<", "%3C").replace(">", "%3E").replace('"', "%22")
        await browser.open(quoted)
        assert "alert" not in browser.text


async def test_input_is_shown_escaped(tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script>'
    async with site(tmp_path) as at:
        browser = at.browser()
        await at.settled()
        for target, field in (
            ("/oauth2/sign_in", "username"),
            ("/oauth2/sign_up", "attribute_email"),
            ("/oauth2/forgot_password", "username"),
        ):
            await browser.open(target)
            fields: dict[str, Any] = {field: evil}
            await browser.submit(**fields)
            assert "<script>alert" not in browser.text
        assert "&lt;script&gt;alert(1)" in browser.text


async def test_pages_carry_their_guards_and_hold_no_inline_code(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        browser = at.browser()
        await at.settled()
        for path in ("sign_in", "sign_up", "forgot_password", "reset_password", "confirm"):
            reply = await browser.open(f"/oauth2/{path}")
            assert reply.status == 200
            policy = reply.get("content-security-policy") or ""
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "camera=(), " in (reply.get("permissions-policy") or "")
            assert reply.all("cache-control") == ["no-store"]
            assert not re.search(r"<style|style=|<script(?! src=)| on[a-z]+=", browser.text)


async def test_assets_are_immutable_under_content_hashes(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        names = re.findall(r'(?:href|src)="(/oauth2/static/[^"]+)"', browser.text)
        assert {name.rpartition(".")[2] for name in names} == {"css", "js", "svg"}
        for name in names:
            reply = await once(at.worker.port, get(name))
            assert (reply.status, reply.all("cache-control")) == (
                200,
                ["public, max-age=31536000, immutable"],
            )
            assert reply.get("x-content-type-options") == "nosniff"
        assert (await once(at.worker.port, get("/oauth2/static/../sign_in"))).status == 400
        assert (await once(at.worker.port, get("/oauth2/static/pages.css"))).status == 404


async def test_a_form_without_its_token_is_refused(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        reply = await browser.post("/oauth2/sign_in", {"username": ALICE, "password": PASSWORD})
        assert reply.status == 403
        assert "cognito_gateway_session" not in browser.cookies


# Pages of people who are signed in.
SIGNED_IN = frozenset(
    {
        *("/", "/add_passkey", "/authenticator", "/change_password", "/delete_account", "/passkeys"),
        *("/profile", "/second_factor", "/sessions", "/setup", "/verify_attribute"),
    }
)


@pytest.mark.parametrize("path", sorted(path for path, methods in routes().items() if "POST" in methods))
async def test_no_form_is_accepted_from_another_site_or_browser(tmp_path: Path, path: str) -> None:
    """Every form there is: without its token, with another browser's, and with its own from elsewhere."""
    async with site(tmp_path) as at:
        browser, other = at.browser(), at.browser()
        tokens = []
        for each in (browser, other):
            await each.open("/oauth2/sign_in")
            tokens.append(each.form()[1]["csrf"])
        own, foreign = tokens
        refused = [
            await browser.post(f"/oauth2{path}", {}),
            await browser.post(f"/oauth2{path}", {"csrf": foreign}),
        ]
        # What needs a session, and there is none: nothing is done, and the person is sent to sign in.
        if path in SIGNED_IN:
            assert browser.location.startswith("/oauth2/sign_in?")
            assert "Your session has expired" in browser.text
        refused += [
            await browser.post(f"/oauth2{path}", {"csrf": own}, "Origin: http://evil.test"),
            await browser.post(f"/oauth2{path}", {"csrf": own}, "Sec-Fetch-Site: cross-site"),
        ]
        # Who has no session has nothing that a stranger could end: other sites alone are refused there.
        # A sign-in and an authorization that have not begun have no page to go on with.
        others = {"/challenge": 200, "/consent": 404, "/language": 200, "/passkey": 200, "/sign_out": 200}
        first = 200 if path in SIGNED_IN else others.get(path, 403)
        assert [reply.status for reply in refused] == [first, first, 403, 403]
        taken = await browser.post(f"/oauth2{path}", {"csrf": own}, "Origin: http://api.test")
        assert (taken.status == 404) if path == "/setup" else (taken.status != 403), "its own page may"


@pytest.mark.parametrize("line", ["", "Origin: http://evil.test", "Sec-Fetch-Site: cross-site"])
async def test_a_form_from_elsewhere_is_refused_unread(tmp_path: Path, line: str) -> None:
    """Before its body comes: reading one costs a stranger nothing, and us as much as five refusals."""
    framing = ("Content-Type: application/x-www-form-urlencoded", "Content-Length: 30000")
    async with site(tmp_path) as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        # Another site's page has the browser's cookies sent along; a program has none.
        lines = (*framing, line, f"Cookie: {cookies}") if line else framing
        reply = await once(at.worker.port, get("/oauth2/sign_in", *lines, method="POST"))
        assert (reply.status, reply.get("connection")) == (403, "close")


async def test_pages_are_not_counted_among_the_apis_requests(tmp_path: Path) -> None:
    """A page comes with its files: a limit of two requests refused the password itself."""
    limits = "rate_limit: {requests_per_second: 0.01, burst: 2}\n"
    async with site(tmp_path, more=limits) as at:
        browser = at.browser()
        for _ in range(6):
            assert (await browser.open("/oauth2/sign_in")).status == 200
        await browser.submit(username=ALICE, password=PASSWORD)
        assert browser.location == "/oauth2/"
        # Programs are, though they bring nothing that is right.
        bearer = "Authorization: Bearer nothing"
        seen = [(await once(at.worker.port, get("/oauth2/userinfo", bearer))).status for _ in range(4)]
        assert seen[-1] == 429
        assert seen[0] == 401


async def test_nothing_secret_reaches_the_log(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        second_factors(at)
        secret = add_app(at)
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        await browser.submit(username=ALICE, password="Wrong-Horse-1")
        await browser.submit(username=ALICE, password=PASSWORD)
        code = app_code(secret)
        await browser.submit(code=code)
        log = at.stream.data.decode()
        for word in ("Wrong-Horse-1", PASSWORD, secret, *browser.cookies.values()):
            assert word not in log
        # Not as a part of something longer: a request's id may well hold these six digits.
        assert not re.search(rf"(?<![0-9a-f]){code}(?![0-9a-f])", log)
        assert CLIENT not in log
