"""The gateway's own cookies, which hold the session, separated from those of the upstream. Pure.

Ours begin with `sign_in.session.cookie_name`, behind `__Host-` on https. Those that begin with the default
name belong to another gateway on this host and are not for an upstream either. Invariant: no spelling of
either name that a server behind us folds into it (PHP reads `cognito.gateway` as `cognito_gateway`) is
forwarded.
"""

from __future__ import annotations

import re

DEFAULT_NAME = "cognito_gateway"
# Browsers keep some 180 per site. Splitting thousands would cost as much as a hundred requests.
_MOST_COOKIES = 256


class OwnCookies:
    """Recognises the gateway's cookies under one configuration."""

    def __init__(self, name: str = DEFAULT_NAME) -> None:
        # The configured name only as a whole word: with `a`, an upstream's `abc` is not ours.
        names = {_folded(DEFAULT_NAME), _folded(name) + b"(?![A-Za-z0-9])"}
        self._mine = re.compile(b"(?i)(?:__Host-|__Secure-)?(?:%b)" % b"|".join(sorted(names)))
        # Substrings of all of our cookies: most Cookie headers have none and need no splitting.
        self._hints = tuple(
            {re.split("[^a-z0-9]", each.lower())[0].encode() for each in (DEFAULT_NAME, name)}
        )

    def part(self, value: bytes, before: int = 0) -> tuple[bytes, list[bytes]]:
        """Split a Cookie header's value (RFC 6265 section 4.2.1) into other cookies and the gateway's own.

        `before` is the number of cookies in earlier lines. Beyond the limit none is read or forwarded.
        """
        lower = value.lower()
        if not any(hint in lower for hint in self._hints):
            return value, []
        if value.count(b";") + before > _MOST_COOKIES:
            return b"", []
        mine = self._mine.match
        own: list[bytes] = []
        others: list[bytes] = []
        for each in value.split(b";"):
            pair = each.strip()
            if pair:
                (own if mine(pair) else others).append(pair)
        return b"; ".join(others), own

    def set_by(self, line: bytes) -> bool:
        """Return whether a header line sets one of our cookies, or one that a browser would send as ours.

        RFC 6265bis section 5.6: whitespace around a name is not part of it, and a cookie without a name is
        sent as its value alone, which may read `name=value`.
        """
        name, _, value = line.partition(b":")
        return name.lower() == b"set-cookie" and self._mine.match(value.lstrip(b" \t=")) is not None


def _folded(name: str) -> bytes:
    """Return a pattern for the name with any character between its words."""
    words = re.split("[^A-Za-z0-9]", name)
    return rb"[^A-Za-z0-9=;]".join(re.escape(word).encode("ascii") for word in words)
