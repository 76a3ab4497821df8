"""What shared caches in front of the gateway may keep of the upstream's responses. Pure.

To a cache (RFC 9111 section 3.5) a request with Authorization is one person's, one with a cookie anybody's:
what a session opened would be shown to the next who asks. Invariant: a response to a request that a cookie
authenticated is private, unless the upstream says in so many words who may keep it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# The words with which an upstream decides: for everybody (`public`, `s-maxage`) or for nobody else. Not
# `max-age`, which frameworks write without a thought of shared caches; nor `private="x"`, of a field.
_WORDS = rb"public|private|no-store|s-maxage\s*=\s*[\"0-9]+"
_DECIDED = re.compile(rb"(?:\A|[,\s])(?:" + _WORDS + rb")\s*(?:,|\Z)", re.IGNORECASE)
_CACHE_CONTROL = b"cache-control:"
_PRIVATE = b"Cache-Control: private\r\n"


def vary(*, cookies: bool) -> bytes:
    """The header line of a route that looks at credentials; `cookies`: sessions are among them.

    RFC 9110 section 12.5.5; several Vary lines are one list.
    """
    return b"Vary: Authorization, Cookie\r\n" if cookies else b"Vary: Authorization\r\n"


def by_cookie(lines: Iterable[bytes]) -> bytes:
    """The header line to add to a response with these, to a request that a cookie authenticated."""
    said = [line.partition(b":")[2].strip() for line in lines if line[:14].lower() == _CACHE_CONTROL]
    return b"" if any(_DECIDED.search(each) for each in said) else _PRIVATE
