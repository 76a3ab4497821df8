"""Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from playwright.async_api import Browser, Page, ViewportSize, async_playwright

from tests.support.engines import engine

# The tests use the system's browser instead of downloading Playwright's.
FLAGS = [
    "--no-sandbox",
    # In a container, /dev/shm has 64 MiB by default.
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def program() -> str:
    return engine("chromium", "chromium-browser")


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program(), args=FLAGS, timeout=120_000)
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def looking(browser: Browser, **options: Any) -> AsyncIterator[Page]:
    """Open a page in its own context; any error it reports (CSP, scripts, 404s) fails the test."""
    context = await browser.new_context(**options)
    context.set_default_timeout(90_000)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if _complains(message) else None)
    try:
        yield page
    finally:
        await context.close()
    assert complaints == [], complaints


def _complains(message: Any) -> bool:
    # A refused form is answered with 4xx, which Chromium reports as an error.
    refused = "the server responded with a status of" in message.text
    return message.type in {"error", "warning"} and not refused


WIDTHS: Mapping[str, ViewportSize] = {
    "narrow": {"width": 390, "height": 844},
    "wide": {"width": 1280, "height": 800},
}
