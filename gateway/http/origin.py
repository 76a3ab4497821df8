"""Whether a request was made by a page of this site (Fetch standard, Origin and Sec-Fetch-Site). Pure.

Browsers write both headers themselves; a page cannot. Invariant: an unsafe request whose maker is unknown
counts as somebody else's.
"""

from __future__ import annotations

from typing import NamedTuple

# RFC 9110 section 9.2.1; TRACE is refused before anybody gets here.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# `none`: typed, bookmarked, opened from another program; no other site had a hand in it.
_OURS = frozenset({"same-origin", "none"})


class Maker(NamedTuple):
    """What a request's headers say of the page that made it (`Origin` and Fetch metadata)."""

    origin: str | None = None
    site: str | None = None
    mode: str | None = None
    dest: str | None = None


def same_origin(maker: Maker, own: str | None) -> bool:
    """Whether a page of `own` made the request: by Origin; where that is missing, by Sec-Fetch-Site."""
    if maker.origin is None:
        return maker.site in _OURS
    if maker.origin == "null":
        # Nobody in particular: sandboxed frames send it, and redirects across origins. And so does every form
        # of a page with `Referrer-Policy: no-referrer` (Fetch standard, append a request Origin header); the
        # browser then calls it same-origin. A sandboxed frame in one of our pages may be called so too, but
        # what it asks for does not become the window's own document.
        return maker[1:] == ("same-origin", "navigate", "document")
    return own is not None and normal(maker.origin) == normal(own)


def normal(origin: str) -> str:
    """Scheme and host have no case; a default port is the same as none (RFC 6454 section 6.2)."""
    lower = origin.lower()
    for scheme, port in (("https://", ":443"), ("http://", ":80")):
        if lower.startswith(scheme):
            return lower.removesuffix(port)
    return lower
