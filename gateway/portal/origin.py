"""Whether a request was made by a page of this site (Fetch standard, Origin and Sec-Fetch-Site). Pure.

Browsers write both headers themselves; a page cannot. Invariant: an unsafe request whose maker is unknown
counts as somebody else's.
"""

from __future__ import annotations

# RFC 9110 section 9.2.1; TRACE is refused before anybody gets here.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# `none`: typed, bookmarked, opened from another program; no other site had a hand in it.
_OURS = frozenset({"same-origin", "none"})


def same_origin(origin: str | None, fetch_site: str | None, own: str | None) -> bool:
    """Whether `origin` (of the header) is `own`; where the header is missing, Sec-Fetch-Site decides."""
    if origin is not None:
        # `null` is what sandboxed frames and redirects across origins send: nobody in particular.
        return own is not None and normal(origin) == normal(own)
    return fetch_site in _OURS


def normal(origin: str) -> str:
    """Scheme and host have no case; a default port is the same as none (RFC 6454 section 6.2)."""
    lower = origin.lower()
    for scheme, port in (("https://", ":443"), ("http://", ":80")):
        if lower.startswith(scheme):
            return lower.removesuffix(port)
    return lower
