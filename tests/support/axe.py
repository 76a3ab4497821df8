"""axe-core in Chromium: what it finds wrong with a page, and what does not fit on it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from playwright.async_api import Page

from tests.support.engines import missing

_SCRIPT = Path(__file__).parents[2] / ".node-axe" / "node_modules" / "axe-core" / "axe.min.js"
# One sentence for each element. Without names of rules: every rule, best practices too.
_RUN = """
async (names) => {
  const chosen = names.length ? { runOnly: names } : {};
  const found = await axe.run(document, { resultTypes: ["violations"], ...chosen });
  return found.violations.flatMap(({ id, nodes }) => nodes.map(({ html, any, all, none }) =>
    `${id}: ${html.slice(0, 120)}: ${[...any, ...all, ...none].map(({ message }) => message).join("; ")}`));
}
"""
# Text that is cut off, sticks out of its card, or lies over other text; a page that scrolls sideways.
_OUTSIDE = """
() => {
  const wrong = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) wrong.push(`as wide as ${root.scrollWidth}`);
  const lines = [];
  for (const element of document.querySelectorAll("body *:not(.skip)")) {
    const texts = [...element.childNodes].filter((node) => node.nodeType === 3 && node.textContent.trim());
    if (!texts.length || !element.checkVisibility()) continue;
    const name = element.outerHTML.slice(0, 120);
    const around = element.closest(".card, .top, .foot").getBoundingClientRect();
    for (const text of texts) {
      const range = document.createRange();
      range.selectNodeContents(text);
      for (const box of range.getClientRects()) {
        if (box.left < around.left || box.right > around.right + 0.5) wrong.push(`sticks out: ${name}`);
        lines.push({ element, name, box });
      }
    }
    const inline = getComputedStyle(element).display === "inline";
    if (!inline && element.scrollWidth > element.clientWidth + 1) wrong.push(`cut off: ${name}`);
  }
  lines.forEach(({ name, box, element }, at) => {
    for (const other of lines.slice(at + 1)) {
      const wide = Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left);
      const high = Math.min(box.bottom, other.box.bottom) - Math.max(box.top, other.box.top);
      // Boxes of lines are higher than their letters.
      const over = wide > 1 && high > box.height / 2;
      if (over && element !== other.element) wrong.push(`over other text: ${name}`);
    }
  });
  return [...new Set(wrong)];
}
"""
_REPLACE = """
(text) => {
  const page = new DOMParser().parseFromString(text, "text/html");
  document.documentElement.lang = page.documentElement.lang;
  document.title = page.title;
  document.body.replaceWith(page.body);
}
"""


@cache
def script() -> str:
    """Return axe-core's source; without it, skip the test."""
    return _SCRIPT.read_text(encoding="utf-8") if _SCRIPT.exists() else missing("no axe-core: make axe")


async def findings(page: Page, *rules: str) -> list[str]:
    """Return axe-core's findings on the page as it is displayed, by these rules or by all."""
    if not await page.evaluate("'axe' in window"):
        # Not a script element, which the page's policy would refuse.
        await page.evaluate(script())
    found: Any = await page.evaluate(_RUN, list(rules))
    return [str(each) for each in found]


async def speak(page: Page, language: str) -> None:
    """Show the same page in another language, in place: a new document would load axe-core again."""
    reply = await page.request.get(
        page.url,
        headers={
            "Accept": "text/html",
            "Accept-Language": language,
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "document",
        },
    )
    await page.evaluate(_REPLACE, await reply.text())


async def outside(page: Page) -> list[str]:
    """Return what does not fit on the page."""
    found: Any = await page.evaluate(_OUTSIDE)
    return [str(each) for each in found]
