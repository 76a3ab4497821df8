"""Sessions that are over though their cookies, or a store, still speak for them; as this process knows it.

Invariant: what was added is covered until so many others were added after it; no token is kept here.
"""

from __future__ import annotations

from collections import OrderedDict

from gateway.sessions.session import Session

# Of sessions and of users each; about 150 bytes. The oldest are forgotten first.
_MOST = 20_000


class Ended:
    """Outlives reloads."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()
        # (user pool, subject) → the time of the last sign-out everywhere.
        self._users: OrderedDict[tuple[str, str], float] = OrderedDict()

    def add(self, session_id: str) -> None:
        self._ids[session_id] = None
        while len(self._ids) > _MOST:
            self._ids.popitem(last=False)

    def add_user(self, pool_id: str, subject: str, *, at: float) -> None:
        """All sessions of this user that began before `at` (Unix time)."""
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
