"""Classification of requests as browser navigations or scripts, by Accept and Fetch metadata. Pure.

Invariant: only a navigation is ever redirected to sign in; scripts and API clients get the refusal itself.
"""

from __future__ import annotations

from gateway.http.headers import value_of
from gateway.http.origin import Maker
from gateway.http.request import Asked, Request

# Browsers list fewer than ten; the rest is ignored.
_MOST_RANGES = 64


def navigates(request: Request | Asked) -> bool:
    """Return whether this is a GET whose response a person sees."""
    return request.method == "GET" and seen_by_a_person(request)


def seen_by_a_person(request: Request | Asked) -> bool:
    """Return whether the request accepts HTML and, by Fetch metadata if sent, is a navigation."""
    if request.upgrade:
        return False
    head = request.head
    mode = value_of(head, b"sec-fetch-mode")
    # Script libraries send this header with XMLHttpRequest, also where browsers omit Fetch metadata.
    script = mode is None and value_of(head, b"x-requested-with") is not None
    return mode in {None, b"navigate"} and not script and not prefetches(request) and accepts_html(request)


def prefetches(request: Request | Asked) -> bool:
    """Return whether a browser prefetches what nobody has opened yet.

    HTML standard, Sec-Purpose; the other names are what browsers sent before.
    """
    values = (value_of(request.head, name) for name in (b"sec-purpose", b"purpose", b"x-moz"))
    return any(value is not None and b"prefetch" in value.lower() for value in values)


def shown_to_a_person(request: Request, origin: str) -> bool:
    """Return whether the response becomes a document in a window, out of reach of the API's scripts.

    Browsers write these headers themselves (Fetch metadata, section 2), but only to https and to loopback: on
    other http origins nothing distinguishes a person from a script, and nothing there is safe from the
    network either.
    """
    mode, dest = (value_of(request.head, name) for name in (b"sec-fetch-mode", b"sec-fetch-dest"))
    if mode is None and dest is None:
        return origin.startswith("http:")
    return mode == b"navigate" and dest == b"document"


def maker_of(request: Request | Asked) -> Maker:
    """Return what the request says about the page that made it; headers that occur twice are ignored."""
    names = (b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest")
    values = (value_of(request.head, name) for name in names)
    return Maker(*(None if value is None else value.decode("latin-1") for value in values))


def accepts_html(request: Request | Asked) -> bool:
    """Return whether Accept lists `text/html` by name; every program sends `*/*`."""
    accepted = (value_of(request.head, b"accept") or b"").lower()
    if b"text/html" not in accepted:
        return False
    ranges = accepted.split(b",", _MOST_RANGES)[:_MOST_RANGES]
    return any(part.partition(b";")[0].strip() == b"text/html" for part in ranges)
