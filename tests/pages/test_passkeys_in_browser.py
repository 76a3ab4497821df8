"""Passkeys in Chromium, with its virtual authenticator, against the local Cognito, which verifies them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.support.chromium import chromium, looking
from tests.support.looks import wrong_with
from tests.support.passkeys import local_name, relying_party, with_passkeys
from tests.support.site import ALICE, PASSWORD
from tests.support.virtual_passkeys import virtual_passkeys

pytestmark = pytest.mark.engine


async def by_password(page: Page, url: str) -> None:
    await page.goto(f"{url}/oauth2/sign_in")
    await page.fill("#username", ALICE)
    await page.keyboard.press("Enter")
    await page.fill("#password", PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("h1:text-is('Alice Example')")


async def enrolled(page: Page, url: str) -> None:
    await by_password(page, url)
    await page.click("a:text-is('Account')")
    await page.click("[aria-label='Manage your passkeys']")
    await page.click("text=Add a passkey")
    await page.click("text=Create a passkey")
    await page.wait_for_selector("[role=status] >> text=Your passkey is ready")


async def test_a_passkey_is_added_used_and_deleted(tmp_path: Path) -> None:
    async with with_passkeys(tmp_path) as at, chromium() as browser, looking(browser) as page:
        key, url = await virtual_passkeys(page), local_name(at)
        await enrolled(page, url)
        (made,) = await key.credentials()
        assert made["rpId"] == "localhost"
        await page.goto(f"{url}/oauth2/sign_out")
        await page.context.clear_cookies()
        await page.goto(f"{url}/oauth2/sign_in?return_to=/app")
        await page.fill("#username", ALICE)
        await page.keyboard.press("Enter")
        await page.click("text=Use a passkey")
        # The page asks the browser at once.
        await page.wait_for_url(f"{url}/app")
        await at.logged("account_changed")
        await page.goto(f"{url}/oauth2/passkeys")
        assert await wrong_with(page) == []
        await page.click("button:text-is('Delete')")
        await page.wait_for_selector("text=You have no passkeys yet")
        changes = [line["change"] for line in await at.logged("account_changed", 2)]
        assert changes == ["passkey_added", "passkey_deleted"]
        secret = json.dumps(at.log())
        assert made["credentialId"].rstrip("=") not in secret


async def test_the_browser_offers_the_passkey_used_here_last(tmp_path: Path) -> None:
    async with with_passkeys(tmp_path) as at, chromium() as browser, looking(browser) as page:
        key, url = await virtual_passkeys(page), local_name(at)
        await enrolled(page, url)
        await key.touch(at_once=False)
        await page.goto(f"{url}/oauth2/sign_out")
        await page.click("button:text-is('Sign out')")
        await page.wait_for_selector("#username")
        assert await page.get_attribute("#username", "autocomplete") == "username webauthn"
        # The virtual authenticator takes the offer, as a person does who taps it in the list.
        await key.touch(at_once=True)
        await page.goto(f"{url}/oauth2/sign_in?return_to=/app")
        await page.wait_for_url(f"{url}/app")
        # Deleted in the account, kept on the device: the form is as for anyone else.
        await page.goto(f"{url}/oauth2/passkeys")
        await page.click("button:text-is('Delete')")
        await page.wait_for_selector("text=You have no passkeys yet")
        await page.goto(f"{url}/oauth2/sign_out")
        async with page.expect_response("**/oauth2/passkey_options") as asked:
            await page.click("button:text-is('Sign out')")
        assert await (await asked.value).json() == {}
        await by_password(page, url)
        assert len(await key.credentials()) == 1


async def test_someone_who_is_not_recognised_signs_in_another_way(tmp_path: Path) -> None:
    async with with_passkeys(tmp_path) as at, chromium() as browser, looking(browser) as page:
        key, url = await virtual_passkeys(page), local_name(at)
        await enrolled(page, url)
        relying_party(at, UserVerification="required")
        await page.context.clear_cookies()
        await key.verify(succeeds=False)
        await page.goto(f"{url}/oauth2/sign_in?return_to=/app")
        await page.fill("#username", ALICE)
        await page.keyboard.press("Enter")
        await page.click("text=Use a passkey")
        await page.wait_for_selector("[role=alert] >> text=Nothing happened")
        # The message moves the page; after cancelling, people expect one.
        assert [each for each in await wrong_with(page) if "shifted" not in each] == []
        await page.click("text=Use your passkey")
        await page.wait_for_selector("[role=alert] >> text=Nothing happened")
        await page.click("text=Sign in another way")
        await page.fill("#password", PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{url}/app")


async def test_without_a_script_the_password_is_all_there_is(tmp_path: Path) -> None:
    async with with_passkeys(tmp_path) as at, chromium() as browser:
        url = local_name(at)
        async with looking(browser) as page:
            await virtual_passkeys(page)
            await enrolled(page, url)
        async with looking(browser, java_script_enabled=False) as page:
            await page.goto(f"{url}/oauth2/sign_in")
            await page.fill("#username", ALICE)
            await page.click("text=Continue")
            assert not await page.is_visible("text=Use a passkey")
            assert not await page.is_visible(".or")
            await page.fill("#password", PASSWORD)
            await page.click("button:text-is('Sign in')")
            await page.click("a:text-is('Account')")
            await page.click("[aria-label='Manage your passkeys']")
            assert not await page.is_visible("text=Add a passkey")
            await page.click("button:text-is('Delete')")
            await page.wait_for_selector("text=You have no passkeys yet")
