"""Same-origin check of requests by Origin and Sec-Fetch-Site (Fetch standard). Pure.

Browsers write both headers themselves; a page cannot. Invariant: an unsafe request of unknown origin counts
as cross-origin.
"""

from __future__ import annotations

from typing import NamedTuple

# RFC 9110 section 9.2.1; TRACE is refused earlier.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# `none`: typed, bookmarked or opened from another program; no other site was involved.
_OURS = frozenset({"same-origin", "none"})


class Maker(NamedTuple):
    """What a request's headers say about the page that made it (`Origin` and Fetch metadata)."""

    origin: str | None = None
    site: str | None = None
    mode: str | None = None
    dest: str | None = None


def same_origin(maker: Maker, own: str | None) -> bool:
    """Return whether a page of `own` made the request: by Origin, or by Sec-Fetch-Site if that is missing."""
    if maker.origin is None:
        return maker.site in _OURS
    if maker.origin == "null":
        # Sent by sandboxed frames, after redirects across origins, and for every form on a page with
        # `Referrer-Policy: no-referrer` (Fetch standard, append a request Origin header); the browser calls
        # that last one same-origin. It may call a sandboxed frame in one of our pages so too, but what that
        # requests does not become the window's document.
        return maker[1:] == ("same-origin", "navigate", "document")
    return own is not None and normal(maker.origin) == normal(own)


def normal(origin: str) -> str:
    """Return the origin in lower case without a default port (RFC 6454 section 6.2)."""
    lower = origin.lower()
    for scheme, port in (("https://", ":443"), ("http://", ":80")):
        if lower.startswith(scheme):
            return lower.removesuffix(port)
    return lower
