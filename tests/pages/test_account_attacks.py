"""What others may try with accounts that are not theirs, and with the limits that guard them."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from gateway.config.load import load
from gateway.pages.attempts import SENT_TO_PERSON, Limit
from local_cognito.errors import AwsError
from local_cognito.hooks import Fault
from tests.support.site import (
    ALICE,
    CLIENT,
    PASSWORD,
    POOL,
    TEMPORARY,
    Browser,
    Site,
    add_app,
    app_code,
    second_factors,
    seed,
    site,
    without_tokens,
)
from tests.support.waiting import PATIENCE

BOB, NEW, STRANGERS = "bob@example.com", "Another-Horse-2", "Strangers-Horse-3"
OWN_NAMES = {"UsernameAttributes": [], "Users": [{"Username": "alice", "Password": PASSWORD}]}
TRUSTED = "trusted_proxies: ['127.0.0.1/32']"


def tokens_of(at: Site, username: str, password: str) -> dict[str, str]:
    """As a program gets them, without the gateway."""
    parameters = {"USERNAME": username, "PASSWORD": password}
    answer = at.local.call(
        "InitiateAuth", ClientId=CLIENT, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=parameters
    )
    return dict(answer["AuthenticationResult"])


def are_good(at: Site, tokens: dict[str, str]) -> bool:
    try:
        at.local.call("GetUser", AccessToken=tokens["AccessToken"])
        at.local.call("GetTokensFromRefreshToken", ClientId=CLIENT, RefreshToken=tokens["RefreshToken"])
    except AwsError:
        return False
    return True


async def signed_up(at: Site, email: str, password: str, **more: Any) -> Browser:
    browser = at.browser()
    await at.settled()
    await browser.open("/oauth2/sign_up")
    await browser.submit(attribute_email=email, password=password, **more)
    assert browser.location == "/oauth2/confirm"
    return browser


# --- accounts made with somebody else's address ------------------------------------------------------------


async def test_a_right_code_leaves_no_stranger_s_password_in_force(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        await signed_up(at, BOB, STRANGERS)
        owner = await signed_up(at, BOB, PASSWORD)
        await owner.submit(code=await at.code("sign-up"), action="confirm")
        assert "You can sign in now" not in owner.text
        assert owner.location.startswith("/oauth2/reset_password")
        # The stranger is quick, and is out again all the same.
        theirs = tokens_of(at, BOB, STRANGERS)
        await owner.submit(code=await at.code("forgot-password"), new_password=NEW)
        assert owner.location.startswith("/oauth2/?")
        assert BOB in owner.text
        assert not are_good(at, theirs)
        stranger = at.browser()
        await stranger.open("/oauth2/sign_in")
        await stranger.submit(username=BOB, password=STRANGERS)
        assert "Incorrect username or password" in stranger.text


async def test_a_browser_that_has_shown_no_password_chooses_one(tmp_path: Path) -> None:
    """The code came to the owner, who never signed up: it is entered where nothing is known of it."""
    async with site(tmp_path) as at:
        stranger = await signed_up(at, BOB, STRANGERS)
        owner = at.browser()
        await owner.open("/oauth2/confirm")
        await owner.submit(username=BOB, code=await at.code("sign-up"), action="confirm")
        assert owner.location.startswith("/oauth2/reset_password")
        assert "choose your password" in owner.text
        # A stranger's own browser cannot lend its knowledge: it is sealed for that one.
        account = stranger.cookies["cognito_gateway_account"]
        thief = at.browser()
        await thief.open("/oauth2/confirm")
        thief.cookies["cognito_gateway_account"] = account
        await thief.open("/oauth2/confirm")
        assert BOB not in thief.text


async def test_where_no_code_can_reset_it_the_person_is_led_on(tmp_path: Path) -> None:
    recovery = {"RecoveryMechanisms": [{"Name": "admin_only", "Priority": 1}]}
    async with site(tmp_path, seeded=seed(pool={"AccountRecoverySetting": recovery})) as at:
        await signed_up(at, BOB, STRANGERS)
        owner = at.browser()
        await owner.open("/oauth2/confirm")
        await owner.submit(username=BOB, code=await at.code("sign-up"), action="confirm")
        assert "Choose a new password before you sign in" in owner.text


async def test_signing_in_does_not_reveal_whose_sign_up_it_was(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        seen: list[list[Any]] = []
        for email in (ALICE, "bobby@example.com"):  # as long, and so is what is sealed
            same = await signed_up(at, email, STRANGERS)
            seen.append([len(same.cookies["cognito_gateway_account"])])
            for browser in (same, at.browser()):
                await browser.open("/oauth2/sign_in")
                reply = await browser.submit(username=email, password=STRANGERS)
                seen[-1] += [reply.status, without_tokens(browser.text).replace(email, "X")]
                await browser.open("/oauth2/confirm")
                seen[-1] += [without_tokens(browser.text).replace(email, "X")]
                seen[-1] += [len(browser.cookies["cognito_gateway_account"])]
        assert seen[0] == seen[1]


async def test_wrong_codes_never_meet_a_limit_that_only_some_names_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("ADDRESS", "BROWSER", "PERSON"):
        monkeypatch.setattr(f"gateway.pages.turn.{kind}", Limit(kind, 1000))
    async with site(tmp_path) as at:
        seen = []
        for email in (ALICE, "nobody@example.com"):
            browser = at.browser()
            await browser.open("/oauth2/confirm")
            for _ in range(17):  # Cognito takes 15 an hour
                reply = await browser.submit(username=email, code="000000", action="confirm")
                seen.append((reply.status, without_tokens(browser.text).replace(email, "X")))
        assert len(set(seen)) == 1


# --- the sign-up form --------------------------------------------------------------------------------------


async def test_a_user_name_made_of_cognitos_words_changes_no_outcome(tmp_path: Path) -> None:
    async with site(tmp_path, seeded=seed(pool=OWN_NAMES)) as at:
        browser = at.browser()
        for words in (
            "SignUp is not permitted for this user pool",
            "x SignUp is not permitted for this user pool y",
            "USER_PASSWORD_AUTH flow not enabled for this client",
        ):
            await at.settled()
            await browser.open("/oauth2/sign_up")
            reply = await browser.submit(attribute_username=words, attribute_email=BOB, password=PASSWORD)
            assert reply.status == 400
            assert '<p class="wrong" id="attribute_username-error">A username has' in browser.text
        assert (await browser.open("/oauth2/sign_up")).status == 200
        assert all(line["level"] == "info" for line in await at.logged("form_refused", 3))


async def test_sign_up_accepts_only_the_attributes_it_asks_for(tmp_path: Path) -> None:
    schema = {
        "Schema": [{"Name": "role", "AttributeDataType": "String"}, {"Name": "email", "Required": True}]
    }
    document = seed(pool=schema)
    async with site(tmp_path, seeded=document, sign_in="sign_up_attributes: [nickname]") as at:
        browser = at.browser()
        await at.settled()
        await browser.open("/oauth2/sign_up")
        assert 'name="attribute_nickname"' in browser.text
        assert "custom:role" not in browser.text
        more: dict[str, Any] = {"attribute_custom:role": "admin", "attribute_nickname": "bobby"}
        more["attribute_name"] = "Mallory"
        # An answer that nobody sealed names nothing either.
        await browser.submit(attribute_email=BOB, password=PASSWORD, missing='["custom:role"]', **more)
        assert browser.location == "/oauth2/confirm"
        (made,) = [
            user for user in at.local.state.pools[POOL].users.values() if user.attributes["email"] == BOB
        ]
        assert made.attributes.keys() - {"email_verified", "sub"} == {"email", "nickname"}
        assert made.attributes["nickname"] == "bobby"


async def test_sign_up_mails_are_counted_by_where_they_go(tmp_path: Path) -> None:
    async with site(tmp_path, seeded=seed(pool=OWN_NAMES)) as at:
        for number in range(SENT_TO_PERSON.most + 1):
            browser = at.browser()
            await at.settled()
            await browser.open("/oauth2/sign_up")
            reply = await browser.submit(
                attribute_username=f"name{number}", attribute_email=BOB, password=PASSWORD
            )
        assert reply.status == 429
        assert len(at.local.state.outbox) == SENT_TO_PERSON.most


# --- characters in passwords ---


async def test_spaces_are_accepted_inside_passwords_and_refused_at_either_end(tmp_path: Path) -> None:
    first = {"Username": "new@example.com", "Password": TEMPORARY, "Status": "FORCE_CHANGE_PASSWORD"}
    phrase, refused = "Correct horse 1", "begin or end with a space"
    async with site(tmp_path, seeded=seed(first)) as at:
        await at.settled()
        browser = at.browser()
        await browser.open("/oauth2/sign_up")
        assert (await browser.submit(attribute_email=BOB, password=f"{phrase} ")).status == 400
        assert refused in browser.text
        await browser.submit(attribute_email=BOB, password=phrase)
        await browser.submit(code=await at.code("sign-up"), action="confirm")
        # A password that nobody has is a wrong one, not the operator's mistake.
        assert (await browser.submit(username=BOB, password=f"{phrase} ")).status == 400
        assert "Incorrect username or password" in browser.text
        await browser.submit(username=BOB, password=phrase)
        assert browser.location == "/oauth2/"
        await browser.open("/oauth2/change_password")
        assert (await browser.submit(password=phrase, new_password=f" {NEW}")).status == 400
        assert refused in browser.text
        assert (await browser.submit(password=f"{phrase} ", new_password=NEW)).status == 400
        assert "Incorrect password" in browser.text
        await browser.submit(password=phrase, new_password=f"{phrase} again")
        assert "signed out everywhere else" in browser.text
        resetting = at.browser()
        await resetting.open("/oauth2/forgot_password")
        await resetting.submit(username=ALICE)
        code = await at.code("forgot-password")
        assert (await resetting.submit(code=code, new_password=f"{NEW} ")).status == 400
        assert refused in resetting.text
        await resetting.submit(code=code, new_password=f"{phrase} once more")
        assert "Alice Example" in resetting.text
        stepping = at.browser()
        await stepping.open("/oauth2/sign_in")
        await stepping.submit(username="new@example.com", password=TEMPORARY)
        assert (await stepping.submit(new_password=f"{NEW} ")).status == 400
        assert refused in stepping.text
        await stepping.submit(new_password=phrase)
        assert stepping.location == "/oauth2/"
        assert not [line for line in at.log("form_refused") if line["level"] == "error"]


# --- a new password ----------------------------------------------------------------------------------------


async def test_a_changed_password_signs_out_everywhere(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        others = tokens_of(at, ALICE, PASSWORD)
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        await browser.submit(username=ALICE, password=PASSWORD)
        before = browser.cookies["cognito_gateway_session"]
        await browser.open("/oauth2/change_password")
        await browser.submit(password=PASSWORD, new_password=NEW)
        assert "signed out everywhere else" in browser.text
        assert "Alice Example" in browser.text
        assert browser.cookies["cognito_gateway_session"] != before
        assert not are_good(at, others)
        (line,) = await at.logged("sign_out")
        assert (line["everywhere"], line["revoked"]) == (True, True)


async def test_a_reset_password_signs_out_everywhere_after_the_second_factor(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        second_factors(at)
        secret = add_app(at)
        others = {}
        for grant in at.local.state.pools[POOL].refresh_tokens:
            others["RefreshToken"] = grant
        browser = at.browser()
        await browser.open("/oauth2/forgot_password")
        await browser.submit(username=ALICE)
        await browser.submit(code=await at.code("forgot-password"), new_password=NEW)
        assert browser.location == "/oauth2/challenge"
        await browser.submit(code=app_code(secret))
        assert "you are signed out everywhere" in browser.text
        with pytest.raises(AwsError, match="revoked"):
            at.local.call("GetTokensFromRefreshToken", ClientId=CLIENT, **others)


async def test_a_used_key_of_an_authenticator_is_shown_no_more(tmp_path: Path) -> None:
    first = {"Username": BOB, "Password": PASSWORD, "Attributes": {"email": BOB}}
    async with site(tmp_path, seeded=seed(first)) as at:
        second_factors(at, "ON")
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        await browser.submit(username=BOB, password=PASSWORD)
        match = re.search(r'<textarea id="secret"[^>]*>([A-Z2-7 ]+)<', browser.text)
        assert match is not None
        copy = Browser(at.worker.port, cookies=dict(browser.cookies))
        await copy.open("/oauth2/challenge")
        assert match[1] in copy.text, "until it is in use it can be scanned again"
        await browser.submit(code=app_code(match[1].replace(" ", "")))
        assert browser.location == "/oauth2/"
        copy = Browser(at.worker.port, cookies=copy.cookies)
        await copy.open("/oauth2/challenge")
        assert match[1] not in copy.text
        assert copy.location.startswith("/oauth2/sign_in")


# --- managed login -----------------------------------------------------------------------------------------


async def test_with_managed_login_no_gateway_form_accepts_a_password(tmp_path: Path) -> None:
    first = {"Username": BOB, "Password": TEMPORARY, "Status": "FORCE_CHANGE_PASSWORD", "Attributes": {}}
    async with site(tmp_path, seeded=seed(first)) as at:
        # What was begun before goes on nowhere either.
        stepping, resetting, signed_in = at.browser(), at.browser(), at.browser()
        await stepping.open("/oauth2/sign_in")
        await stepping.submit(username=BOB, password=TEMPORARY)
        assert stepping.location == "/oauth2/challenge"
        await resetting.open("/oauth2/forgot_password")
        await resetting.submit(username=ALICE)
        await signed_in.open("/oauth2/sign_in")
        await signed_in.submit(username=ALICE, password=PASSWORD)
        confirming = await signed_up(at, "carol@example.com", PASSWORD)
        forms = [(browser, *browser.form()) for browser in (stepping, resetting, confirming)]
        _, token = signed_in.form()
        path = at.folder / "gateway.yaml"
        text = path.read_text().replace(f'"id": "{POOL}"', f'"id": "{POOL}", "domain": "https://login.test"')
        text = text.replace("sign_in: {", "sign_in: {pages: managed, ")
        path.write_text(text)
        await at.worker.reload(load(path, {}).config)
        for browser, target, fields in forms:
            filled = {**fields, "code": "123456", "new_password": NEW, "action": "confirm"}
            assert (await browser.post(target, filled)).status == 404
            assert (await browser.open(target)).status == 404
        fields = {"csrf": token["csrf"], "username": ALICE, "password": PASSWORD, "code": "1"}
        for page in ("sign_up", "confirm", "forgot_password", "reset_password", "change_password"):
            assert (await signed_in.open(f"/oauth2/{page}")).status == 404, page
            assert (await signed_in.post(f"/oauth2/{page}", fields)).status == 404, page
        assert (await signed_in.post("/oauth2/sign_in", fields)).status == 404
        stranger = at.browser()
        await stranger.open("/oauth2/sign_in")
        assert "/oauth2/start" in stranger.text
        assert 'type="password"' not in stranger.text


# --- floods ------------------------------------------------------------------------------------------------


async def test_two_addresses_that_flood_keep_no_third_out(tmp_path: Path) -> None:
    async with site(tmp_path, listen_lines=TRUSTED) as at:
        third = at.browser("192.0.2.3")
        await third.open("/oauth2/sign_in")
        flooding = []
        for number in range(4):
            browser = at.browser(f"192.0.2.{number % 2 + 1}")
            await browser.open("/oauth2/sign_in")
            flooding += [(browser, *browser.form(), f"{number}-{each}@example.com") for each in range(18)]
        at.local.hooks.faults["api"] = Fault(delay=0.2)

        async def one(browser: Browser, target: str, hidden: dict[str, str], username: str) -> int:
            own = Browser(at.worker.port, browser.address, dict(browser.cookies))
            return (await own.post(target, {**hidden, "username": username, "password": PASSWORD})).status

        flood = [asyncio.create_task(one(*each)) for each in flooding]

        def done() -> int:
            return sum(each.done() for each in flood)

        async with asyncio.timeout(PATIENCE):
            while at.worker.metrics.requests_in_flight + done() < len(flood):
                await asyncio.sleep(0.005)
        await third.submit(username=ALICE, password=PASSWORD)
        assert third.location == "/oauth2/"
        assert done() < len(flood), "before the flood was over"
        at.local.hooks.faults.clear()
        # The flood itself may find no place left to wait.
        assert set(await asyncio.gather(*flood)) <= {400, 503}


async def test_every_attempt_at_cognito_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.pages.turn.ASKED", Limit("asked", 3))
    async with site(tmp_path) as at:
        for number in range(4):
            browser = at.browser()
            await browser.open("/oauth2/sign_in")
            reply = await browser.submit(username=ALICE, password=PASSWORD)
            assert reply.status == (200 if number < 3 else 429)


def test_the_quoted_texts_are_those_of_the_local_cognito() -> None:
    """Else the test of the names made of Cognito's words shows nothing."""
    from local_cognito.shapes import Field, check

    fields: dict[str, Any] = {"Username": Field(str, True, pattern=r"\S+")}
    with pytest.raises(AwsError, match=re.escape("Value 'a b' at 'username' failed")):
        check(fields, {"Username": "a b"})
