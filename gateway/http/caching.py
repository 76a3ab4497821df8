"""Cache headers for upstream responses: `Vary`, and `private` for those a session cookie authenticated. Pure.

Shared caches keep responses to requests with Authorization apart (RFC 9111 section 3.5), but not those to
requests with a cookie: one user's response would be served to the next. Invariant: a response to a request
that a cookie authenticated is private, unless the upstream states who may store it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Directives by which the upstream decides: shared (`public`, `s-maxage`) or not. Not `max-age`, which
# frameworks set without shared caches in mind; nor `private="x"`, which concerns one field.
_WORDS = rb"public|private|no-store|s-maxage\s*=\s*[\"0-9]+"
_DECIDED = re.compile(rb"(?:\A|[,\s])(?:" + _WORDS + rb")\s*(?:,|\Z)", re.IGNORECASE)
_CACHE_CONTROL = b"cache-control:"
_PRIVATE = b"Cache-Control: private\r\n"


def vary(*, cookies: bool) -> bytes:
    """Return the Vary line for a route that looks at credentials; `cookies`: sessions are among them.

    Several Vary lines form one list (RFC 9110 section 12.5.5).
    """
    return b"Vary: Authorization, Cookie\r\n" if cookies else b"Vary: Authorization\r\n"


def by_cookie(lines: Iterable[bytes]) -> bytes:
    """Return the line to add to these of a response, whose request a cookie authenticated."""
    said = [line.partition(b":")[2].strip() for line in lines if line[:14].lower() == _CACHE_CONTROL]
    return b"" if any(_DECIDED.search(each) for each in said) else _PRIVATE
