"""A person who opens a page through a proxy that asks the gateway, and is sent to sign in."""

from __future__ import annotations

from tests.support.site import ALICE, HTML, PASSWORD, Browser
from tests.support.wire import Upstream, get, once

PAGE = "/orders?status=open&sort=%2Fdate"
SIGN_IN = "http://api.test/oauth2/sign_in"
# A navigation is none of these: what programs, scripts and prefetching browsers send.
NOBODY: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("GET", ()),
    ("GET", ("Accept: */*",)),
    ("GET", (HTML, "Sec-Fetch-Mode: cors")),
    ("GET", (HTML, "X-Requested-With: XMLHttpRequest")),
    ("GET", (HTML, "Sec-Fetch-Mode: navigate", "Sec-Purpose: prefetch")),
    ("GET", (HTML, "Purpose: prefetch")),
    ("GET", (HTML, "X-Moz: prefetch")),
    ("GET", (HTML, "Authorization: Bearer x.y.z")),
    ("POST", (HTML, "Sec-Fetch-Mode: navigate", "Content-Length: 0")),
    ("HEAD", (HTML, "Sec-Fetch-Mode: navigate")),
)


async def opens_signs_in_and_returns(port: int, upstream: Upstream) -> None:
    """Without a script: redirects, cookies and a form."""
    before = len(upstream.requests)
    for line in ("", "Sec-Fetch-Mode: navigate", "X-Forwarded-Host: evil.example"):
        sent = await once(port, get(PAGE, HTML, *filter(None, [line]), "Connection: close"))
        assert (line, sent.status) == (line, 302)
        location = sent.get("Location") or ""
        assert location == f"{SIGN_IN}?return_to=/orders%3Fstatus%3Dopen%26sort%3D%252Fdate"
    for method, lines in NOBODY:
        refused = await once(port, get(PAGE, *lines, "Connection: close", method=method), method=method)
        assert (method, lines, refused.status) == (method, lines, 401)
        assert refused.get("Location") is None
    assert len(upstream.requests) == before
    browser = Browser(port)
    await browser.open(location.removeprefix("http://api.test"))
    reply = await browser.submit(username=ALICE, password=PASSWORD)
    assert (reply.status, reply.get("Location")) == (303, PAGE), browser.text
    assert (await browser.open(PAGE)).status == 200
    assert upstream.last.target.decode() == PAGE
    assert upstream.last.get("X-Auth-Request-User")
    assert len(upstream.requests) == before + 1
