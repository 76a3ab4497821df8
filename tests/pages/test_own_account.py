"""The account page: what is shown to whom, what it changes at Cognito, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.site import (
    ALICE,
    CLIENT,
    PASSWORD,
    PHONE,
    POOL,
    Browser,
    Site,
    app_code,
    second_factors,
    seed,
    site,
)

HELD = {"UserAttributeUpdateSettings": {"AttributesRequireVerificationBeforeUpdate": ["email"]}}
NEW = "alice@new.example"


async def signed_in(at: Site, name: str = ALICE) -> Browser:
    await at.settled()
    browser = at.browser()
    await browser.open("/oauth2/sign_in")
    await browser.submit(username=name, password=PASSWORD)
    assert browser.location == "/oauth2/", browser.text
    return browser


def attributes(at: Site, name: str = ALICE) -> dict[str, str]:
    found = at.local.call("AdminGetUser", UserPoolId=POOL, Username=name)["UserAttributes"]
    return {each["Name"]: each["Value"] for each in found}


def with_phone() -> dict[str, Any]:
    document = seed()
    document["UserPools"][0]["Users"][0]["Attributes"] |= PHONE
    return document


def form_number(browser: Browser, action: str) -> int:
    """Return which form of the page posts there."""
    targets = re.findall(r'<form method="post" action="([^"]+)"', browser.text)
    return targets.index(action)


async def changes(at: Site, count: int) -> list[tuple[str, str | None]]:
    lines = await at.logged("account_changed", count)
    return [(line["change"], line.get("about")) for line in lines]


async def test_a_profile_is_changed_and_logged_without_its_values(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        browser = await signed_in(at)
        await browser.open("/oauth2/account")
        assert "Alice Example" in browser.text
        await browser.open("/oauth2/profile")
        await browser.submit(attribute_name="Alice <Other>", attribute_email=ALICE, attribute_given_name="")
        assert browser.location == "/oauth2/account?notice=saved"
        assert "Alice &lt;Other&gt;" in browser.text
        assert attributes(at)["name"] == "Alice <Other>"
        assert "given_name" not in attributes(at)
        assert attributes(at)["email_verified"] == "true", "an address that did not change stays verified"
        assert await changes(at, 1) == [("profile_changed", "name")]
        assert "Other" not in json.dumps(at.log())


@pytest.mark.parametrize("pool", [None, HELD], ids=["at once", "when verified"])
async def test_a_new_address_takes_its_code(tmp_path: Path, pool: dict[str, Any] | None) -> None:
    async with site(tmp_path, seeded=seed(pool=pool)) as at:
        browser = await signed_in(at)
        await browser.open("/oauth2/profile")
        await browser.submit(attribute_email=NEW)
        assert browser.location == "/oauth2/verify_attribute", browser.text
        assert NEW in browser.text
        (code,) = [str(each.code) for each in at.local.state.outbox if each.destination == NEW]
        await browser.submit(code="000000" if code != "000000" else "111111", action="confirm")
        assert "isn&#39;t right or has expired" in browser.text
        await browser.submit(code=f" {code[:3]} {code[3:]} ", action="confirm")
        assert browser.location == "/oauth2/account?notice=verified", browser.text
        found = attributes(at, NEW)
        assert (found["email"], found["email_verified"]) == (NEW, "true")
        assert await changes(at, 2) == [("profile_changed", "email"), ("attribute_verified", "email")]


async def test_an_address_of_another_account_looks_like_any_other(tmp_path: Path) -> None:
    bob = {"Username": "bob@example.com", "Password": PASSWORD, "Attributes": {"email_verified": "true"}}
    async with site(tmp_path, seeded=seed(bob)) as at:
        browser = await signed_in(at)
        await browser.open("/oauth2/profile")
        await browser.submit(attribute_email="bob@example.com")
        assert browser.location == "/oauth2/verify_attribute"
        await browser.submit(code="123456", action="confirm")
        assert "isn&#39;t right or has expired" in browser.text
        assert attributes(at)["email"] == ALICE
        assert not at.local.state.outbox


async def test_codes_can_be_sent_again_within_limits(tmp_path: Path) -> None:
    document = seed()
    document["UserPools"][0]["Users"][0]["Attributes"]["email_verified"] = "false"
    async with site(tmp_path, seeded=document) as at:
        browser = await signed_in(at)
        await browser.open("/oauth2/account")
        assert "Not verified" in browser.text
        await browser.submit(
            form=form_number(browser, "/oauth2/verify_attribute"), attribute="email", action="send"
        )
        assert browser.location == "/oauth2/verify_attribute?notice=sent"
        assert len(at.local.state.outbox) == 1
        # Within a minute there is no other.
        await browser.submit(action="send")
        assert len(at.local.state.outbox) == 1
        await browser.submit(code=str(at.local.state.outbox[0].code), action="confirm")
        assert browser.location == "/oauth2/account?notice=verified"
        assert "Not verified" not in browser.text


async def test_what_the_client_or_the_schema_forbids_is_neither_shown_nor_sent(tmp_path: Path) -> None:
    schema = [
        {"Name": "custom_fixed", "AttributeDataType": "String", "Mutable": False},
        {"Name": "team", "AttributeDataType": "String", "Mutable": True},
        {"Name": "tenant", "AttributeDataType": "String", "Mutable": True},
    ]
    document = seed(pool={"Schema": schema}, WriteAttributes=["email", "name", "custom:team"])
    async with site(tmp_path, seeded=document) as at:
        browser = await signed_in(at)
        await browser.open("/oauth2/profile")
        fields = set(re.findall(r'name="attribute_([^"]+)"', browser.text))
        assert fields == {"email", "name", "custom:team"}
        forged = {
            "attribute_custom:tenant": "evil",
            "attribute_sub": "evil",
            "attribute_email_verified": "true",
        }
        target, hidden = browser.form()
        typed = {"attribute_name": "New", "attribute_custom:team": "red"}
        await browser.post(target, {**hidden, **typed, **forged})
        assert browser.location == "/oauth2/account?notice=saved", browser.text
        found = attributes(at)
        assert (found["name"], found["custom:team"]) == ("New", "red")
        assert "custom:tenant" not in found


async def test_an_authenticator_is_set_up_and_removed(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        second_factors(at)
        browser = await signed_in(at)
        await browser.open("/oauth2/account")
        assert "Authenticator app" in browser.text
        await browser.open("/oauth2/authenticator")
        found = re.search(r"secret=([A-Z2-7]+)&", browser.text)
        assert found is not None
        secret = found[1]
        await browser.submit(code="000000" if app_code(secret) != "000000" else "111111")
        assert "That code isn&#39;t right" in browser.text
        assert secret in browser.text, "the key that was scanned stays"
        await browser.submit(code=app_code(secret))
        assert browser.location == "/oauth2/account?notice=factor", browser.text
        user = at.local.call("AdminGetUser", UserPoolId=POOL, Username=ALICE)
        assert user["PreferredMfaSetting"] == "SOFTWARE_TOKEN_MFA"
        await browser.open("/oauth2/authenticator")
        assert secret not in browser.text
        await browser.open("/oauth2/account")
        number = form_number(browser, "/oauth2/second_factor")
        await browser.submit(form=number)
        assert browser.location == "/oauth2/account?notice=factor"
        assert "UserMFASettingList" not in at.local.call("AdminGetUser", UserPoolId=POOL, Username=ALICE)
        app = "SOFTWARE_TOKEN_MFA"
        assert await changes(at, 2) == [("second_factor_set_up", app), ("second_factor_removed", app)]
        assert secret not in json.dumps(at.log())


async def test_no_authenticator_is_set_up_where_the_pool_offers_none(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        browser = await signed_in(at)
        await browser.open("/oauth2/authenticator")
        assert browser.location == "/oauth2/account"


async def test_text_messages_are_a_second_step_for_a_verified_number(tmp_path: Path) -> None:
    async with site(tmp_path, seeded=with_phone()) as at:
        browser = await signed_in(at)
        await browser.open("/oauth2/account")
        assert "Second step" not in browser.text, "the pool has none"
    async with site(tmp_path, seeded=with_phone()) as at:
        second_factors(at)
        browser = await signed_in(at)
        await browser.open("/oauth2/account")
        assert "Text message" in browser.text
        await browser.submit(form=form_number(browser, "/oauth2/second_factor"))
        user = at.local.call("AdminGetUser", UserPoolId=POOL, Username=ALICE)
        assert user["UserMFASettingList"] == ["SMS_MFA"]
        # What the page does not offer is not done.
        for forged in ({"factor": "EMAIL_OTP", "action": "use"}, {"factor": "SMS_MFA", "action": "set_up"}):
            await browser.open("/oauth2/account")
            number = form_number(browser, "/oauth2/second_factor")
            await browser.submit(form=number, **forged)
        assert at.local.call("AdminGetUser", UserPoolId=POOL, Username=ALICE)["UserMFASettingList"] == [
            "SMS_MFA"
        ]


async def test_the_last_second_step_stays_where_the_pool_requires_one(tmp_path: Path) -> None:
    async with site(tmp_path, seeded=with_phone()) as at:
        second_factors(at)
        browser = await signed_in(at)
        await browser.open("/oauth2/account")
        await browser.submit(form=form_number(browser, "/oauth2/second_factor"))
        at.local.state.pools[POOL].settings["MfaConfiguration"] = "ON"
    async with site(tmp_path, seeded=with_phone()) as at:
        second_factors(at, "ON")
        browser = at.browser()
        await at.settled()
        await browser.open("/oauth2/sign_in")
        await browser.submit(username=ALICE, password=PASSWORD)
        await browser.submit(code=str(at.local.state.outbox[-1].code))
        await browser.open("/oauth2/account")
        assert "Text message" in browser.text


async def test_an_account_is_deleted_after_its_name_was_typed(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        browser, other = await signed_in(at), await signed_in(at)
        await browser.open("/oauth2/delete_account")
        await browser.submit(name="alice")
        assert "Type alice@example.com" in browser.text
        assert attributes(at)
        await browser.submit(name=" Alice@Example.com ")
        assert "Your account is deleted" in browser.text
        assert not at.local.state.pools[POOL].users
        await other.open("/oauth2/account")
        assert other.location.startswith("/oauth2/sign_in")
        assert await changes(at, 1) == [("account_deleted", None)]


@pytest.mark.parametrize(
    "path", ["profile", "verify_attribute", "authenticator", "delete_account", "second_factor"]
)
async def test_changes_need_a_recent_sign_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async with site(tmp_path) as at:
        browser = await signed_in(at)
        await browser.open("/oauth2/account")
        csrf = browser.form()[1].get("csrf") if "csrf" in browser.text else None
        await browser.open("/oauth2/profile")
        csrf = csrf or browser.form()[1]["csrf"]
        monkeypatch.setattr("gateway.pages.recent.RECENT", -1.0)
        await browser.open("/oauth2/account")
        assert browser.location == "/oauth2/account"
        await browser.post(f"/oauth2/{path}", {"csrf": csrf, "name": ALICE, "attribute_name": "X"})
        back = "account" if path == "second_factor" else path
        assert f"return_to=/oauth2/{back}" in browser.location.replace("%2F", "/")
        assert "again=1" in browser.location
        assert attributes(at)["name"] == "Alice Example"
        monkeypatch.undo()
        await browser.submit(username=ALICE, password=PASSWORD)
        assert browser.location in {f"/oauth2/{back}", "/oauth2/account"}


async def test_strangers_and_sessions_signed_out_elsewhere_see_nothing(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        stranger = at.browser()
        for path in ("account", "profile", "authenticator", "delete_account", "verify_attribute"):
            await stranger.open(f"/oauth2/{path}")
            assert stranger.location == f"/oauth2/sign_in?return_to=/oauth2/{path}"
        browser = await signed_in(at)
        at.local.call("AdminUserGlobalSignOut", UserPoolId=POOL, Username=ALICE)
        await browser.open("/oauth2/account")
        assert "Your session has expired" in browser.text
        assert CLIENT not in browser.text
