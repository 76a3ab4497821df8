"""Accessibility checks in Chromium: labels, names, contrast, no layout shift."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Page

# Returns a sentence for each problem.
_LOOK = """
() => {
  const wrong = [];
  const say = (element, what) => wrong.push(`${element.outerHTML.slice(0, 90)}: ${what}`);
  if (document.documentElement.lang !== "en") wrong.push("no language");
  if (document.querySelectorAll("h1").length !== 1) wrong.push("not one h1");
  if (!document.querySelector("main")) wrong.push("no main");
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  if (new Set(ids).size !== ids.length) wrong.push(`an id twice: ${ids}`);
  for (const field of document.querySelectorAll("input:not([type=hidden]), textarea")) {
    if (!field.labels.length) say(field, "no label");
    if (!field.autocomplete && field.tagName === "INPUT") say(field, "no autocomplete");
  }
  for (const element of document.querySelectorAll("[aria-describedby], [aria-labelledby]")) {
    for (const name of ["aria-describedby", "aria-labelledby"])
      for (const id of (element.getAttribute(name) || "").split(" ").filter(Boolean))
        if (!document.getElementById(id)) say(element, `${name} names ${id}, which is not there`);
  }
  for (const button of document.querySelectorAll("button, a"))
    if (!(button.getAttribute("aria-label") || button.textContent).trim()) say(button, "no name");
  for (const image of document.querySelectorAll("svg"))
    if (image.getAttribute("aria-hidden") !== "true" && !image.closest("[role=img]"))
      say(image, "neither hidden nor named");
  if (document.documentElement.scrollWidth > window.innerWidth) wrong.push("wider than the window");

  // WCAG 2.2, 1.4.3: text against its background.
  const rgba = (text) => {
    const numbers = text.match(/[\\d.]+/g).map(Number);
    return numbers.length < 4 ? [...numbers, 1] : numbers;
  };
  const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] + under[i] * (1 - top[3]));
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((c) => (c <= 10 ? c / 3294.6 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || element.closest("[aria-disabled=true], svg, .skip") || !element.offsetParent) continue;
    const back = behind(element);
    const text = over(rgba(getComputedStyle(element).color), back);
    const [high, low] = [light(text), light(back)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) say(element, `contrast ${ratio.toFixed(2)}`);
  }
  return wrong;
}
"""
_SHIFT = """
() => new Promise((done) => {
  let sum = 0;
  new PerformanceObserver((list) => { for (const each of list.getEntries()) sum += each.value; })
    .observe({ type: "layout-shift", buffered: true });
  setTimeout(() => done(sum), 100);
})
"""


async def wrong_with(page: Page) -> list[str]:
    """Return the problems of the page as it is displayed; empty if there are none."""
    found: Any = await page.evaluate(_LOOK)
    shift: Any = await page.evaluate(_SHIFT)
    return [*map(str, found), *([f"the layout shifted by {shift}"] if shift else [])]
