"""Sessions and users that were signed out here, whatever their cookies or a store say.

Invariant: an entry lasts until `_MOST` others were added after it; no token is kept here.
"""

from __future__ import annotations

from collections import OrderedDict

from gateway.sessions.session import Session

# Entries for sessions and for users, each about 150 bytes. The oldest are dropped first.
_MOST = 20_000


class Ended:
    """The sign-outs of one process. Outlives reloads."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()
        # (user pool, subject) → the time of the last global sign-out.
        self._users: OrderedDict[tuple[str, str], float] = OrderedDict()

    def add(self, session_id: str) -> None:
        self._ids[session_id] = None
        while len(self._ids) > _MOST:
            self._ids.popitem(last=False)

    def add_user(self, pool_id: str, subject: str, *, at: float) -> None:
        """Add all sessions of this user that began before `at` (Unix time)."""
        key = pool_id, subject
        self._users[key] = max(at, self._users.get(key, at))
        self._users.move_to_end(key)
        while len(self._users) > _MOST:
            self._users.popitem(last=False)

    def covers(self, session: Session) -> bool:
        if session.id in self._ids:
            return True
        at = self._users.get((session.pool_id, session.subject))
        return at is not None and session.created < at
