"""axe-core finds nothing on any page: in every language, dark, in forced colors, in a narrow window."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, ViewportSize

from gateway.pages.catalogue import ENGLISH, LANGUAGES
from tests.support.axe import findings, outside, speak
from tests.support.chromium import WIDTHS, chromium, looking
from tests.support.journeys import JOURNEYS, Journey
from tests.support.looks import wrong_with

pytestmark = pytest.mark.engine

# WCAG 2.2, 1.4.10: as wide as a window of 1280 pixels at 400 %.
NARROWEST = ViewportSize(width=320, height=640)
OTHERS = sorted(set(LANGUAGES) - {ENGLISH})
LINES = f"languages: [{', '.join([ENGLISH, *OTHERS])}]"


# What depends on colors.
COLORS = ("color-contrast", "link-in-text-block")


async def _wrong_in_english(page: Page) -> dict[str, list[str]]:
    """Return what is wrong with the page as it is, in each mode."""
    found = {"light": await findings(page)}
    await page.emulate_media(color_scheme="dark")
    found["dark"] = await findings(page, *COLORS)
    await page.emulate_media(color_scheme="light", forced_colors="active")
    found["forced colors"] = await findings(page, *COLORS)
    await page.emulate_media(color_scheme="light", forced_colors="none")
    await page.set_viewport_size(NARROWEST)
    found["narrow"] = [*await findings(page), *await outside(page)]
    return found


async def _wrong_in_others(page: Page) -> dict[str, list[str]]:
    """Return what is wrong with the page in each other language, in the same window."""
    found = {}
    for language in OTHERS:
        await speak(page, language)
        shown = await page.get_attribute("html", "lang")
        found[language] = [
            *([f"in {shown}"] if shown != language else []),
            *await findings(page),
            *await outside(page),
        ]
    return found


@pytest.mark.parametrize("journey", JOURNEYS)
async def test_every_page_is_accessible(journey: Journey) -> None:
    found: dict[str, list[str]] = {}
    still = {"viewport": WIDTHS["wide"], "reduced_motion": "reduce"}
    async with chromium() as browser, looking(browser, **still) as page:

        async def eye(name: str, *, lasting: bool = True) -> None:
            # What was typed may have moved something.
            at_once = await wrong_with(page) if lasting else []
            modes = {"at once": at_once, **await _wrong_in_english(page)}
            if lasting:
                modes |= await _wrong_in_others(page)
            # The next page's layout is not to shift.
            await page.set_viewport_size(WIDTHS["wide"])
            if lasting:
                await page.reload()
            found.update({f"{name}, {mode}": wrong for mode, wrong in modes.items() if wrong})

        await journey(page, eye, LINES)
    assert not found, found


async def test_an_inaccessible_page_is_found() -> None:
    async with chromium() as browser, looking(browser, viewport=NARROWEST) as page:
        await page.set_content(
            "<html lang=en><title>t</title><main><div class=card><h1>One</h1><input>"
            "<p style='color: #999; background: #fff'>pale</p>"
            "<p>below</p><p style='margin-top: -2em'>above</p>"
            "<button style='margin-left: 290px; width: 60px'>Cut off</button></div></main>"
        )
        rules = {each.partition(":")[0] for each in await findings(page)}
        assert rules >= {"label", "color-contrast"}
        assert {each.partition(" <")[0] for each in await outside(page)} == {
            "as wide as 358",
            "sticks out:",
            "over other text:",
        }
