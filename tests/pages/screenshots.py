"""`make screenshots`: every page, narrow and wide, light and dark, as a browser shows it.

Not a test: a way to look. Each page is reached as a person reaches it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from playwright.async_api import Page

from tests.support.chromium import WIDTHS, chromium
from tests.support.passkeys import local_name, with_passkeys
from tests.support.site import (
    ALICE,
    PASSWORD,
    SES,
    TEMPORARY,
    Site,
    second_factors,
    seed,
    site,
    with_identity_pool,
)
from tests.support.virtual_passkeys import virtual_passkeys

_NAME = "for (const name of document.querySelectorAll('.brand span')) name.textContent = 'api.example.com'"
Shoot = Callable[[str], Awaitable[None]]
NEW = "new@example.com"
FIRST = {"Policies": {"SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD", "EMAIL_OTP"]}}}


async def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    async with chromium() as browser:
        for width, viewport in WIDTHS.items():
            for scheme in ("light", "dark"):
                for journey in JOURNEYS:
                    context = await browser.new_context(viewport=viewport, color_scheme=scheme)
                    page = await context.new_page()

                    async def shoot(name: str, page: Page = page, place: str = f"{width}-{scheme}") -> None:
                        # The port of a test is nobody's name.
                        await page.evaluate(_NAME)
                        await page.screenshot(path=folder / f"{name}-{place}.png", full_page=True)

                    await journey(page, shoot)
                    await context.close()


async def _accounts(page: Page, shoot: Shoot) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with site(Path(folder), seeded=with_identity_pool(seed())) as at:
            await page.goto(f"{at.url}/oauth2/sign_in")
            await shoot("sign-in")
            await _sign_in(page, "alice@example.com", "wrong")
            await shoot("sign-in-refused")
            await page.goto(f"{at.url}/oauth2/forgot_password")
            await shoot("forgot-password")
            await page.fill("#username", ALICE)
            await _submit(page, "#username")
            await shoot("reset-password")
            await at.settled()
            await page.goto(f"{at.url}/oauth2/sign_up")
            await page.fill("#password", "Sunny-day")
            await page.fill("#attribute_email", "bob@example.com")
            await shoot("sign-up")
            await page.fill("#password", PASSWORD)
            await _submit(page, "#password")
            await shoot("confirm")
            await page.goto(f"{at.url}/oauth2/sign_in")
            await _sign_in(page, ALICE, PASSWORD)
            await shoot("portal")
            await page.click("text=Get credentials")
            await shoot("portal-aws")
            await page.goto(f"{at.url}/oauth2/change_password")
            await shoot("change-password")
            second_factors(at)
            # The pool's settings are read again after ten minutes.
            for name in ("account", "profile", "authenticator", "delete_account"):
                await page.goto(f"{at.url}/oauth2/{name}")
                await shoot(f"own-{name.replace('_', '-')}")
            await page.fill("#name", "someone else")
            await _submit(page, "#name")
            await page.goto(f"{at.url}/oauth2/profile")
            await page.fill("#attribute_email", "alice@new.example")
            await _submit(page, "#attribute_email")
            await shoot("own-code")
            await page.goto(f"{at.url}/oauth2/sign_out?return_to=/app")
            await shoot("sign-out")


async def _challenges(page: Page, shoot: Shoot) -> None:
    new = {"Username": NEW, "Password": TEMPORARY, "Status": "FORCE_CHANGE_PASSWORD"}
    with tempfile.TemporaryDirectory() as folder:
        async with site(Path(folder), seeded=seed(new)) as at:
            second_factors(at, "ON")
            await page.goto(f"{at.url}/oauth2/sign_in")
            await _sign_in(page, NEW, TEMPORARY)
            await shoot("new-password")
            await page.goto(f"{at.url}/oauth2/sign_in")
            await _sign_in(page, ALICE, PASSWORD)
            await shoot("authenticator")
            await page.goto(f"{at.url}/oauth2/nothing")
            await shoot("not-found")


async def _choice(page: Page, shoot: Shoot) -> None:
    pool = {"EmailConfiguration": SES, **FIRST}
    with tempfile.TemporaryDirectory() as folder:
        async with site(Path(folder), seeded=seed(pool=pool), sign_in="auth_flow: USER_AUTH") as at:
            await page.goto(f"{at.url}/oauth2/sign_in")
            await page.fill("#username", ALICE)
            await _submit(page, "#username")
            await shoot("choice")
            await page.click("text=Email me a code")
            await shoot("code")


async def _passkeys(page: Page, shoot: Shoot) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with with_passkeys(Path(folder)) as at:
            await virtual_passkeys(page)
            url = local_name(at)
            await page.goto(f"{url}/oauth2/sign_in?return_to=/oauth2/add_passkey")
            await page.fill("#username", ALICE)
            await _submit(page, "#username")
            await page.fill("#password", PASSWORD)
            await _submit(page, "#password")
            await shoot("add-passkey")
            await page.click("text=Create a passkey")
            await page.wait_for_selector("text=Your passkey is ready")
            await shoot("passkeys")
            await page.context.clear_cookies()
            await page.goto(f"{url}/oauth2/sign_in")
            await page.fill("#username", ALICE)
            await _submit(page, "#username")
            await shoot("passkey-choice")


async def _setup(page: Page, shoot: Shoot) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with site(Path(folder), pools=False) as at:
            await page.goto(f"{at.url}/oauth2/")
            await shoot("not-connected")
            await page.goto(f"{at.url}/oauth2/setup")
            await page.fill("#region", "us-east-1")
            await page.fill("#user_pool_id", "us-east-1_Unknown00")
            await page.fill("#client_id", "pagesclient")
            await _code(page, at)
            await _submit(page, "#client_id")
            await shoot("setup")
            await page.fill("#user_pool_id", "us-east-1_Pages1234")
            await _submit(page, "#client_id")
            await shoot("setup-yaml")


async def _code(page: Page, at: Site) -> None:
    (line,) = await at.logged("setup_code")
    await page.fill("#setup_code", line["setup_code"])


async def _sign_in(page: Page, username: str, password: str) -> None:
    await page.fill("#username", username)
    await page.fill("#password", password)
    await _submit(page, "#password")


async def _submit(page: Page, field: str) -> None:
    """Enter in a field, and the page that comes of it."""
    async with page.expect_navigation():
        await page.press(field, "Enter")


JOURNEYS = (_accounts, _challenges, _choice, _passkeys, _setup)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
