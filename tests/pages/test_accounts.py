"""Signing up, confirming, a forgotten password: without a script, against the local Cognito."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.pages.attempts import Limit
from local_cognito.hooks import Fault
from tests.support.site import ALICE, BY_CODE, CLIENT, PASSWORD, POOL, seed, site, without_tokens
from tests.support.waiting import PATIENCE

BOB, NEW = "bob@example.com", "Another-Horse-2"
TAKEN_ALIKE = "a" + ALICE[1:-1] + "n"


async def test_an_account_is_made_confirmed_and_used(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        await at.settled()
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        assert f'href="/oauth2/sign_up?pool={POOL}"' in browser.text
        await at.settled()
        await browser.open("/oauth2/sign_up?return_to=/app")
        refused = await browser.submit(attribute_email=BOB, password="Short-1")
        assert refused.status == 400
        assert "still needs 8 characters or more" in browser.text
        assert f'value="{BOB}"' in browser.text
        assert "Short-1" not in browser.text
        # The cursor is where there is something to mend.
        assert re.findall(r'<input id="(\w+)"[^>]* autofocus', browser.text) == ["password"]
        await browser.submit(attribute_email=BOB, password=PASSWORD)
        assert browser.location == "/oauth2/confirm"
        assert f"the code we sent to {BOB}." in browser.text
        await browser.submit(code="000000", action="confirm")
        assert "That code isn&#39;t right or has expired" in browser.text
        await browser.submit(code=await at.code("sign-up"), action="confirm")
        assert "Your account is confirmed" in browser.text
        assert f'value="{BOB}"' in browser.text
        await browser.submit(username=BOB, password=PASSWORD)
        assert browser.location == "/app"


@pytest.mark.parametrize("flow", ["USER_PASSWORD_AUTH", "USER_AUTH"])
async def test_a_confirmation_signs_in_where_codes_do(tmp_path: Path, flow: str) -> None:
    async with site(tmp_path, seeded=seed(pool=BY_CODE), sign_in=f"auth_flow: {flow}") as at:
        await at.settled()
        browser = at.browser()
        await browser.open("/oauth2/sign_up?return_to=/app")
        await browser.submit(attribute_email=BOB, password=PASSWORD)
        await browser.submit(code="000000", action="confirm")
        assert "That code isn&#39;t right" in browser.text
        await browser.submit(code=await at.code("sign-up"), action="confirm")
        assert browser.location == "/app"
        await browser.open("/app")
        assert at.upstream.requests[-1].target == b"/app"
        assert not [name for name in browser.cookies if "account" in name]


async def test_a_confirmation_that_comes_late_is_one(tmp_path: Path) -> None:
    """Cognito's session of the sign-up is over by then: the user signs in by hand."""
    async with site(tmp_path, seeded=seed(pool=BY_CODE)) as at:
        await at.settled()
        browser = at.browser()
        await browser.open("/oauth2/sign_up?return_to=/app")
        await browser.submit(attribute_email=BOB, password=PASSWORD)
        at.local.hooks.offset += 181
        await browser.submit(code=await at.code("sign-up"), action="confirm")
        assert "Your account is confirmed" in browser.text
        at.local.hooks.offset -= 181
        await browser.submit(username=BOB, password=PASSWORD)
        assert browser.location == "/app"


async def test_another_code_comes_after_its_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with site(tmp_path) as at:
        browser = at.browser()
        await at.settled()
        await browser.open("/oauth2/sign_up")
        begun = time.time()
        await browser.submit(attribute_email=BOB, password=PASSWORD)
        said = re.search(r"\bin (\d+) seconds", browser.text)
        assert said
        assert 59 - (time.time() - begun) <= int(said[1]) <= 60
        early = await browser.submit(action="resend")
        assert early.status == 429
        assert f"You can ask for another code in {early.get('Retry-After')} seconds." in browser.text
        assert len(at.local.state.outbox) == 1
    # The same under a wait that is over at once.
    monkeypatch.setattr("gateway.pages.sign_up.RESEND_AFTER", -1.0)
    async with site(tmp_path) as at:
        browser = at.browser()
        await at.settled()
        await browser.open("/oauth2/sign_up")
        await browser.submit(attribute_email=BOB, password=PASSWORD)
        await browser.submit(action="resend")
        assert "We&#39;ve sent another code" in browser.text
        await browser.submit(code=await at.code("sign-up", 2), action="confirm")
        assert "Your account is confirmed" in browser.text


async def test_a_taken_address_gets_the_same_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.pages.sign_up.RESEND_AFTER", -1.0)
    async with site(tmp_path) as at:
        pages, lengths = [], []
        # One as long as the other: what is sealed holds the name.
        for username in (ALICE, TAKEN_ALIKE):
            browser = at.browser()
            await at.settled()
            await browser.open("/oauth2/sign_up")
            await browser.submit(attribute_email=username, password=PASSWORD)
            assert browser.location == "/oauth2/confirm"
            first = browser.text
            lengths.append({name: len(value) for name, value in browser.cookies.items()})
            await browser.submit(action="resend")
            assert "We&#39;ve sent another code" in browser.text
            pages.append([without_tokens(text.replace(username, "X")) for text in (first, browser.text)])
        assert pages[0] == pages[1]
        # Nor does the cookie show that Cognito returned something for the new account.
        assert lengths[0] == lengths[1]
        assert len(at.local.state.outbox) == 2, "to the new account alone"


async def test_an_unconfirmed_user_is_asked_for_the_code(tmp_path: Path) -> None:
    users = {"Username": BOB, "Password": PASSWORD, "Status": "UNCONFIRMED", "Attributes": {"email": BOB}}
    async with site(tmp_path, seeded=seed(users)) as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        await browser.submit(username=BOB, password="Wrong-Horse-1")
        assert "Incorrect username or password" in browser.text
        wrong = browser.text
        await browser.submit(username=BOB, password=PASSWORD)
        # Nobody is told that the password was right: only /confirm knows, and asks for no new one.
        assert without_tokens(browser.text) == without_tokens(wrong)
        (link,) = re.findall(r'href="(/oauth2/confirm[^"]*)"', browser.text)
        await browser.open(link)
        await browser.submit(action="resend")
        await browser.submit(code=await at.code("sign-up"), action="confirm")
        assert "You can sign in now" in browser.text


@pytest.mark.parametrize("settings", [{"AdminCreateUserConfig": {"AllowAdminCreateUserOnly": True}}])
async def test_where_sign_up_is_closed_there_is_no_page(tmp_path: Path, settings: dict[str, object]) -> None:
    async with site(tmp_path, seeded=seed(pool=settings)) as at:
        await at.settled()
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        assert "sign_up" not in browser.text
        assert (await browser.open("/oauth2/sign_up")).status == 404
    async with site(tmp_path, sign_in="sign_up: never") as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        assert "sign_up" not in browser.text
        assert (await browser.open("/oauth2/sign_up")).status == 404


async def test_nothing_is_offered_before_the_settings_are_known(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        # Cognito is unwell as the gateway starts: nobody knows whether the pool is open.
        at.local.hooks.faults["api"] = Fault(status=500)
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        assert "sign_up" not in browser.text
        reply = await browser.open("/oauth2/sign_up")
        assert (reply.status, reply.get("retry-after")) == (503, "5")
        at.local.hooks.faults.clear()
        async with asyncio.timeout(PATIENCE):
            while (await browser.open("/oauth2/sign_up")).status == 503:
                await asyncio.sleep(0.1)
        assert 'name="attribute_email"' in browser.text
        await browser.open("/oauth2/sign_in")
        assert "/oauth2/sign_up" in browser.text


async def test_the_settings_are_read_before_anybody_asks(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        portal = at.worker.app.portal
        assert portal is not None
        async with asyncio.timeout(PATIENCE):
            await portal.pages.pool(POOL).settings.settled.wait()
        # A reload that changes nothing of it reads nothing again.
        await at.worker.reload(at.source.load().config)
        after = at.worker.app.portal
        assert after is not None
        assert after is not portal
        assert after.pages.pool(POOL).settings.settled.is_set()


async def test_a_closed_sign_up_is_learnt_where_the_settings_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _no_credentials(monkeypatch)
    closed = seed(pool={"AdminCreateUserConfig": {"AllowAdminCreateUserOnly": True}})
    async with site(tmp_path, seeded=closed) as at:
        browser = at.browser()
        await at.settled()
        await browser.open("/oauth2/sign_up")
        assert "A password usually needs" in browser.text
        refused = await browser.submit(attribute_email=BOB, password=PASSWORD)
        assert refused.status == 404
        await browser.open("/oauth2/sign_in")
        assert "sign_up" not in browser.text


async def test_attributes_required_by_the_pool_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _no_credentials(monkeypatch)
    wants = {"Schema": [{"Name": "given_name", "Required": True}, {"Name": "email", "Required": True}]}
    async with site(tmp_path, seeded=seed_without_alice(wants)) as at:
        browser = at.browser()
        await at.settled()
        await browser.open("/oauth2/sign_up")
        await browser.submit(attribute_email=BOB, password="Short-1")
        assert "Password not long enough" in browser.text
        await browser.submit(attribute_email=BOB, password=PASSWORD)
        assert "fill in the rest" in browser.text
        assert "First name" in browser.text
        await browser.submit(attribute_email=BOB, attribute_given_name="Bob", password=PASSWORD)
        assert browser.location == "/oauth2/confirm"


async def test_a_forgotten_password_is_replaced(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        browser = at.browser()
        await at.settled()
        await browser.open("/oauth2/forgot_password?return_to=/app")
        await browser.submit(username=ALICE)
        assert browser.location == "/oauth2/reset_password"
        await browser.submit(code="000000", new_password=NEW)
        assert "That code isn&#39;t right or has expired" in browser.text
        await browser.submit(code=await at.code("forgot-password"), new_password="weak")
        assert "still needs" in browser.text
        await browser.submit(code=await at.code("forgot-password"), new_password=NEW)
        # Signed in: the code and the new password were proof enough.
        assert browser.location == "/app"
        other = at.browser()
        await other.open("/oauth2/sign_in")
        await other.submit(username=ALICE, password=PASSWORD)
        assert "Incorrect username or password" in other.text
        await other.submit(username=ALICE, password=NEW)
        assert other.location == "/oauth2/"


@pytest.mark.parametrize("errors", ["ENABLED", "LEGACY"])
async def test_a_forgotten_password_does_not_reveal_who_has_an_account(tmp_path: Path, errors: str) -> None:
    async with site(tmp_path, seeded=seed(PreventUserExistenceErrors=errors)) as at:
        pages = []
        for username in (ALICE, "nobody@example.com"):
            browser = at.browser()
            await browser.open("/oauth2/forgot_password")
            await browser.submit(username=username)
            assert browser.location == "/oauth2/reset_password"
            await browser.submit(code="000000", new_password=NEW)
            pages.append(browser.text.replace(username, "X"))
        assert without_tokens(pages[0]) == without_tokens(pages[1])


@pytest.mark.parametrize("page", ["forgot_password", "confirm"])
@pytest.mark.parametrize("name", ["\N{GRINNING FACE}" * 5000, "not a name"])
async def test_an_impossible_name_gets_a_sentence(tmp_path: Path, page: str, name: str) -> None:
    async with site(tmp_path) as at:
        browser = at.browser()
        await browser.open(f"/oauth2/{page}")
        reply = await browser.submit(username=name, action="resend")
        assert reply.status == 400
        assert '<p class="wrong" id="username-error">A username has 1 to 128' in browser.text
        assert not at.local.state.outbox


@pytest.mark.parametrize("page", ["confirm", "reset_password"])
async def test_a_cognito_that_is_unwell_counts_no_guesses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    monkeypatch.setattr("gateway.pages.turn.PERSON", Limit("person", 1))
    async with site(tmp_path) as at:
        browser = at.browser()
        await browser.open(f"/oauth2/{page}")
        at.local.hooks.faults["api"] = Fault(status=500)
        for status in (503, 503):
            reply = await browser.submit(username=BOB, code="123456", new_password=NEW, action="confirm")
            assert reply.status == status
        at.local.hooks.faults.clear()
        for status in (400, 429):
            reply = await browser.submit(username=BOB, code="123456", new_password=NEW, action="confirm")
            assert reply.status == status


async def test_a_code_may_come_with_another_browser(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        browser = at.browser()
        await browser.open("/oauth2/forgot_password")
        await browser.submit(username=ALICE)
        other = at.browser()
        await other.open("/oauth2/reset_password")
        await other.submit(username=ALICE, code=await at.code("forgot-password"), new_password=NEW)
        assert "Your password is changed" in other.text


async def test_a_mismatch_with_the_pool_is_shown_and_logged(tmp_path: Path) -> None:
    async with site(tmp_path, seeded=seed(ExplicitAuthFlows=["ALLOW_USER_SRP_AUTH"])) as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        reply = await browser.submit(username=ALICE, password=PASSWORD)
        assert reply.status == 503
        assert "Sign-in is misconfigured" in browser.text
        assert CLIENT not in browser.text.replace(f"pool={POOL}", "")
        (line,) = await at.logged("form_refused")
        assert (line["level"], line["form"], line["code"]) == (
            "error",
            "sign_in",
            "InvalidParameterException",
        )
        assert "ALLOW_USER_PASSWORD_AUTH" in line["exact"]


def seed_without_alice(pool: Mapping[str, object]) -> dict[str, object]:
    document = seed(pool={**pool, "Users": []})
    return dict(document)


def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """As at AWS without credentials: the pool's settings cannot be read."""
    monkeypatch.setattr("gateway.aws.clients.is_loopback", lambda url: False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
