"""Whether a person looks at a page, or a program reads an answer. Pure.

Invariant: only a navigation is ever sent to sign in; scripts and API clients get the refusal itself.
"""

from __future__ import annotations

from gateway.http.headers import value_of
from gateway.http.origin import Maker
from gateway.http.request import Asked, Request

# Browsers name less than ten; what follows is not looked at.
_MOST_RANGES = 64


def navigates(request: Request) -> bool:
    """A GET that a person sees the answer of."""
    return request.method == "GET" and seen_by_a_person(request)


def seen_by_a_person(request: Request) -> bool:
    """A request that accepts HTML, and that a browser with Fetch metadata calls a navigation."""
    if request.upgrade:
        return False
    head = request.head
    mode = value_of(head, b"sec-fetch-mode")
    # XMLHttpRequest of a browser, or over a connection, without Fetch metadata: libraries say so.
    script = mode is None and value_of(head, b"x-requested-with") is not None
    return mode in {None, b"navigate"} and not script and not prefetches(request) and accepts_html(request)


def prefetches(request: Request) -> bool:
    """Whether a browser fetches ahead what nobody has asked for yet (HTML standard, Sec-Purpose; the other
    names are what browsers sent before)."""
    values = (value_of(request.head, name) for name in (b"sec-purpose", b"purpose", b"x-moz"))
    return any(value is not None and b"prefetch" in value.lower() for value in values)


def shown_to_a_person(request: Request, origin: str) -> bool:
    """Whether the response becomes a page in a window, where no script of the API's pages reads it.

    Browsers write these headers themselves (Fetch metadata, section 2), but only to https and to loopback:
    elsewhere on http nothing tells a person from a script, as nothing there is safe from the network either.
    """
    mode, dest = (value_of(request.head, name) for name in (b"sec-fetch-mode", b"sec-fetch-dest"))
    if mode is None and dest is None:
        return origin.startswith("http:")
    return mode == b"navigate" and dest == b"document"


def maker_of(request: Request | Asked) -> Maker:
    """What the request says of the page that made it; of a header that stands twice nothing."""
    names = (b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest")
    values = (value_of(request.head, name) for name in names)
    return Maker(*(None if value is None else value.decode("latin-1") for value in values))


def accepts_html(request: Request) -> bool:
    """By name: a range that covers it, `*/*`, is what every program sends (RFC 9110 section 12.5.1)."""
    accepted = (value_of(request.head, b"accept") or b"").lower()
    if b"text/html" not in accepted:
        return False
    ranges = accepted.split(b",", _MOST_RANGES)[:_MOST_RANGES]
    return any(part.partition(b";")[0].strip() == b"text/html" for part in ranges)
