"""The person in front of an MCP client: opens the address, signs in, allows it, and is sent back."""

from __future__ import annotations

import html
import re
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2


class Person:
    """Keeps the last redirect to the client."""

    def __init__(self, username: str, password: str) -> None:
        self._fields = {"username": username, "password": password}
        self.answer: dict[str, list[str]] = {}
        self.shown = ""
        self.times = 0

    async def open(self, address: str) -> str:
        """Go the whole way; return the address of the client that the browser is sent to."""
        self.times += 1
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(address))
        async with httpx2.AsyncClient(headers={"Accept": "text/html"}) as browser:
            page = await _followed(browser, origin, await browser.get(address))
            page = await _followed(browser, origin, await _submitted(browser, page, self._fields))
            self.shown = page.text
            sent = await _submitted(browser, page, {"decision": "allow"})
        location = str(sent.headers["location"])
        self.answer = parse_qs(urlsplit(location).query)
        return location


async def _followed(browser: httpx2.AsyncClient, origin: str, page: httpx2.Response) -> httpx2.Response:
    while page.status_code == 303:
        target = urljoin(str(page.url), page.headers["location"])
        assert target.startswith(origin), target
        page = await browser.get(target)
    assert page.status_code == 200, page.text
    return page


async def _submitted(
    browser: httpx2.AsyncClient, page: httpx2.Response, fields: dict[str, str]
) -> httpx2.Response:
    form = re.search(r'<form method="post" action="([^"]+)".*?</form>', page.text, re.DOTALL)
    assert form is not None, page.text
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[0])
    data = {name: html.unescape(value) for name, value in hidden} | fields
    return await browser.post(urljoin(str(page.url), html.unescape(form[1]).partition("#")[0]), data=data)
