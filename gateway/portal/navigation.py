"""Whether a person looks at a page, or a program reads an answer. Pure.

Invariant: only a navigation is ever sent to sign in; scripts and API clients get the refusal itself.
"""

from __future__ import annotations

from gateway.proxy.headers import value_of
from gateway.proxy.request import Request


def navigates(request: Request) -> bool:
    """A GET that accepts HTML, and that a browser with Fetch metadata calls a navigation."""
    if request.method != "GET" or request.upgrade:
        return False
    mode = value_of(request.head, b"sec-fetch-mode")
    return mode in {None, b"navigate"} and accepts_html(request)


def accepts_html(request: Request) -> bool:
    """By name: a range that covers it, `*/*`, is what every program sends (RFC 9110 section 12.5.1)."""
    accepted = value_of(request.head, b"accept") or b""
    return any(part.partition(b";")[0].strip().lower() == b"text/html" for part in accepted.split(b","))
