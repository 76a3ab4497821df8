"""The deny list: sign-ins and users that Cognito no longer accepts. Pure, bounded, and without tokens.

Invariant: an entry stays until every token it covers has expired, unless there are more than `MAX_DENIED`:
then the oldest are dropped, and checked again when they are used.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from gateway.tokens.claims import Claims

# Cognito's longest lifetime of an access or ID token is a day. A denied family gets no new tokens.
LONGEST_LIFE = 86_400.0
# An entry takes 250 bytes: 16 MB at most, for as many sign-outs a day.
MAX_DENIED = 65_536
# Longer than Cognito's IDs, which have 36 characters; longer IDs are truncated.
_LONGEST_ID = 256


class Denial(NamedTuple):
    """The cause and, for a user, the Unix time up to which issued tokens are denied."""

    cause: str
    issued_until: float


def family_key(claims: Claims) -> str:
    """Return the key of what is revoked together: the sign-in, else the token, else the user.

    AWS, "Revoking tokens": all tokens of one refresh token share its origin_jti; they have none if revocation
    is off for the app client.
    """
    return family_of(claims.pool_id, claims.subject, claims.origin_jti, claims.jti)


def family_of(pool_id: str, subject: str, origin_jti: str | None, jti: str | None) -> str:
    """Return the same key, from the claims that it is made of."""
    if origin_jti:
        return f"{pool_id}/origin_jti/{origin_jti[:_LONGEST_ID]}"
    if jti:
        return f"{pool_id}/jti/{jti[:_LONGEST_ID]}"
    return subject_key(pool_id, subject)


def subject_key(pool_id: str, subject: str) -> str:
    return f"{pool_id}/sub/{subject[:_LONGEST_ID]}"


class DenyList:
    """Family or user → denial. `now` is monotonic time, the times of issue are Unix time."""

    def __init__(self, *, most: int = MAX_DENIED) -> None:
        self._most = most
        # Ordered by expiry, which is the order of insertion: all entries live equally long.
        self._entries: OrderedDict[str, tuple[Denial, float]] = OrderedDict()

    def deny(self, key: str, denial: Denial, now: float, leeway: float = 0.0) -> bool:
        """Add an entry; return whether it is new. `leeway`: seconds for which expired tokens are accepted."""
        self._expire(now)
        news = self._entries.pop(key, None) is None
        self._entries[key] = (denial, now + LONGEST_LIFE + leeway)
        while len(self._entries) > self._most:
            self._entries.popitem(last=False)
        return news

    def find(self, claims: Claims) -> Denial | None:
        """Return why this token is denied, or None."""
        if not self._entries:
            return None
        subject = subject_key(claims.pool_id, claims.subject)
        found = self.look_up(family_key(claims), subject, claims.issued_at or 0.0)
        return None if found is None else found[1]

    def look_up(self, family: str, subject: str, issued_at: float) -> tuple[str, Denial] | None:
        """Return the key under which a token is denied and why, or None."""
        entry = self._entries.get(family)
        if entry is not None:
            return family, entry[0]
        entry = self._entries.get(subject)
        # A user who was enabled again signs in again: only older tokens stay denied.
        if entry is not None and issued_at <= entry[0].issued_until:
            return subject, entry[0]
        return None

    def _expire(self, now: float) -> None:
        while self._entries:
            key, (_, until) = next(iter(self._entries.items()))
            if until > now:
                return
            del self._entries[key]

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<DenyList of {len(self._entries)}>"
