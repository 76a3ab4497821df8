"""`make screenshots`: every page, narrow and wide, light and dark, as a browser shows it.

Not a test: a way to look. Each page is reached as a person reaches it. Further words name languages:
`python -m tests.pages.screenshots FOLDER de fr ja` takes the pages in those, as narrow as WCAG asks for.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from playwright.async_api import Page, ViewportSize

from tests.support.chromium import WIDTHS, chromium
from tests.support.journeys import JOURNEYS

_NAME = "for (const name of document.querySelectorAll('.brand span')) name.textContent = 'api.example.com'"
# WCAG 2.2, 1.4.10: as wide as a window of 1280 pixels at 400 %.
_NARROWEST = ViewportSize(width=320, height=640)


async def main(folder: Path, languages: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    widths = {**WIDTHS, "narrow": _NARROWEST} if languages else WIDTHS
    async with chromium() as browser:
        for language in languages or ["en"]:
            lines = f"languages: [{language}, en]" if languages else ""
            suffix = f"-{language}" if languages else ""
            for width, viewport in widths.items():
                for scheme in ("light", "dark"):
                    for journey in JOURNEYS:
                        context = await browser.new_context(
                            viewport=viewport, color_scheme=scheme, locale=language
                        )
                        page = await context.new_page()
                        place = f"{width}-{scheme}{suffix}"

                        async def shoot(
                            name: str, *, lasting: bool = True, page: Page = page, place: str = place
                        ) -> None:
                            del lasting
                            # The port of a test is nobody's name.
                            await page.evaluate(_NAME)
                            await page.screenshot(path=folder / f"{name}-{place}.png", full_page=True)

                        await journey(page, shoot, lines)
                        await context.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
