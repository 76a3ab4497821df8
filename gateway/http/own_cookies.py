"""Which cookies of a request are the gateway's own: they hold the session, and stay with us. Pure.

Ours begin with `sign_in.session.cookie_name`, behind `__Host-` on https. Those that begin with the default
name are another gateway's on this host, and no upstream's either. Invariant: no spelling of either name that
a server behind us reads as the same one (PHP reads `cognito.gateway` as `cognito_gateway`) travels on.
"""

from __future__ import annotations

import re

DEFAULT_NAME = "cognito_gateway"
# Browsers keep some 180 for a site. To part thousands would cost as much as a hundred requests.
_MOST_COOKIES = 256


class OwnCookies:
    """Tells them apart, for one configuration."""

    def __init__(self, name: str = DEFAULT_NAME) -> None:
        # Of the configured name the whole word: with `a` an upstream's `abc` is not ours.
        names = {_folded(DEFAULT_NAME), _folded(name) + b"(?![A-Za-z0-9])"}
        self._mine = re.compile(b"(?i)(?:__Host-|__Secure-)?(?:%b)" % b"|".join(sorted(names)))
        # What stands in every one of them: most Cookie headers hold none.
        self._hints = tuple(
            {re.split("[^a-z0-9]", each.lower())[0].encode() for each in (DEFAULT_NAME, name)}
        )

    def part(self, value: bytes, before: int = 0) -> tuple[bytes, list[bytes]]:
        """A Cookie header's value without the gateway's own cookies, and those (RFC 6265 section 4.2.1).

        `before`: how many there were in the lines before this one. Of too many none is read or sent on.
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
        """Whether a response's header line sets one of them, or a browser would send it as one.

        RFC 6265bis section 5.6: blanks around a name are no part of it, and a cookie without a name is sent
        as its value alone, which may read `name=value`.
        """
        name, _, value = line.partition(b":")
        return name.lower() == b"set-cookie" and self._mine.match(value.lstrip(b" \t=")) is not None


def _folded(name: str) -> bytes:
    """A pattern for the name with whatever sign stands between its words."""
    words = re.split("[^A-Za-z0-9]", name)
    return rb"[^A-Za-z0-9=;]".join(re.escape(word).encode("ascii") for word in words)
