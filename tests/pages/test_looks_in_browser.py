"""The pages' looks in Chromium: sizes, colors, icons, what a script adds."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.support.chromium import chromium, looking
from tests.support.looks import wrong_with
from tests.support.site import ALICE, PASSWORD, Site, seed, site, with_identity_pool

pytestmark = pytest.mark.engine

LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 88 40"><style>path { fill: #0b6e4f }</style>'
    '<path d="M0 0h88v40H0z"/></svg>'
)
LOOKS = (
    "appearance: {name: Example API, logo_file: logo.svg, logo_dark_file: dark.svg, accent: '#0b6e4f', "
    "terms_url: 'https://example.com/terms', privacy_url: 'https://example.com/privacy'}"
)


async def signed_in(page: Page, at: Site, path: str) -> None:
    await page.goto(at.url + path)
    await page.fill("#username", ALICE)
    await page.fill("#password", PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_function("!location.pathname.endsWith('/sign_in')")


async def test_a_cold_page_is_small_with_and_without_a_logo(tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_text(LOGO)
    (tmp_path / "dark.svg").write_text(LOGO.replace("#0b6e4f", "#5ad1a8"))
    for looks in ("", LOOKS):
        async with site(tmp_path, sign_in=looks) as at, chromium() as browser, looking(browser) as page:
            await at.settled()
            sizes: list[int] = []

            async def count(request: object, sizes: list[int] = sizes) -> None:
                found = await request.sizes()  # type: ignore[attr-defined]
                sizes.append(found["responseHeadersSize"] + found["responseBodySize"])

            page.on("requestfinished", count)
            await page.goto(f"{at.url}/oauth2/sign_in", wait_until="networkidle")
            assert 3 <= len(sizes) <= 5, sizes
            assert sum(sizes) <= 40 * 1024, sizes


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_operators_looks_are_legible(tmp_path: Path, scheme: str) -> None:
    (tmp_path / "logo.svg").write_text(LOGO)
    (tmp_path / "dark.svg").write_text(LOGO.replace("#0b6e4f", "#5ad1a8"))
    async with (
        site(tmp_path, sign_in=LOOKS) as at,
        chromium() as browser,
        looking(browser, color_scheme=scheme) as page,
    ):
        await page.goto(f"{at.url}/oauth2/sign_in")
        assert await wrong_with(page) == []
        shown = await page.evaluate("document.querySelector('.brand img').currentSrc")
        assert ("logo-dark" in shown) == (scheme == "dark")
        await page.wait_for_function("document.querySelector('.brand img').naturalWidth > 0")
        button = await page.evaluate("getComputedStyle(document.querySelector('.button')).backgroundColor")
        assert (button == "rgb(11, 110, 79)") == (scheme == "light")
        await signed_in(page, at, "/oauth2/")
        assert await wrong_with(page) == []
        await page.goto(f"{at.url}/oauth2/nothing")
        assert await wrong_with(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_buttons_differ_under_forced_colors(tmp_path: Path, scheme: str) -> None:
    async with (
        site(tmp_path) as at,
        chromium() as browser,
        looking(browser, forced_colors="active", color_scheme=scheme) as page,
    ):
        await signed_in(page, at, "/oauth2/")
        await page.goto(f"{at.url}/oauth2/sign_out")
        seen = await page.evaluate(
            "[...document.querySelectorAll('.button')].map(each => getComputedStyle(each).backgroundColor)"
        )
        assert len(seen) == 2
        assert seen[0] != seen[1]
        await page.goto(f"{at.url}/oauth2/")
        borders = "[...document.querySelectorAll('.chips li')].map(e => getComputedStyle(e).borderTopWidth)"
        assert await page.evaluate(borders) == ["1px", "1px"]


async def test_the_fragment_of_an_address_survives_signing_in(tmp_path: Path) -> None:
    async with site(tmp_path) as at, chromium() as browser, looking(browser) as page:
        await page.goto(f"{at.url}/app?a=b#/orders/17")
        await page.fill("#username", ALICE)
        await page.fill("#password", "wrong")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("[role=alert]")
        await page.fill("#password", PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{at.url}/app?a=b#/orders/17")


async def test_one_button_at_a_time_says_that_it_copied(tmp_path: Path) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    async with (
        site(tmp_path, seeded=with_identity_pool(seed())) as at,
        chromium() as browser,
        looking(browser, permissions=permissions) as page,
    ):
        await signed_in(page, at, "/oauth2/")
        await page.click("text=Show token")
        await page.clock.install()
        await page.click("[data-copies=token]")
        await page.wait_for_selector("[data-copies=token]:text-is('Copied')")
        await page.click("[data-copies=curl]")
        await page.wait_for_selector("[data-copies=curl]:text-is('Copied')")
        assert await page.inner_text("[data-copies=token]") == "Copy"
        assert await page.inner_text("#copied") == "Command copied"
        toast = await page.locator("#copied").bounding_box()
        foot = await page.locator(".foot").bounding_box()
        assert toast is not None
        assert foot is not None
        viewport = page.viewport_size
        assert viewport is not None
        assert toast["y"] + toast["height"] <= viewport["height"] - foot["height"]
        await page.clock.fast_forward(2500)
        await page.wait_for_selector("[data-copies=curl]:text-is('Copy')")
        assert await page.inner_text("#copied") == ""


async def test_a_page_that_does_not_exist_matches_the_others(tmp_path: Path) -> None:
    async with site(tmp_path) as at, chromium() as browser, looking(browser) as page:
        answer = await page.goto(f"{at.url}/oauth2/nothing")
        assert answer is not None
        assert answer.status == 404
        assert await wrong_with(page) == []
        assert f"Request {answer.headers['x-request-id']}" in await page.inner_text("main")
        assert await page.inner_text(".brand") == at.url.removeprefix("http://")
        await page.click("text=Open the application")
        assert page.url.startswith(f"{at.url}/oauth2/sign_in")
