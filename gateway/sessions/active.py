"""The state of one session in this process: its newest tokens, their validity, and a renewal in progress.

Several requests, and several cookies of one browser, share it. Invariant: after `ended` it authenticates
nobody, and at most one renewal of it is in progress in this process.
"""

from __future__ import annotations

import asyncio

from gateway.sessions.session import Session


class Live:
    __slots__ = ("__weakref__", "_bearer", "_ends", "due", "id", "renewal", "retry_at", "session", "ticket")

    def __init__(self, session: Session, ticket: str, *, uses_id: bool, ends: float, checked: float) -> None:
        """`uses_id`: the pool accepts ID tokens only; `ends`: by sign_in.session.max_age.

        `checked` is the time until which the store need not be asked again.
        """
        self.id = session.id
        self._ends = ends
        self.renewal: asyncio.Task[None] | None = None
        # No renewal before this time, after a failed one.
        self.retry_at = 0.0
        self.take(session, ticket, uses_id=uses_id, checked=checked)

    def take(self, session: Session, ticket: str, *, uses_id: bool, checked: float) -> None:
        """Use these tokens from now on."""
        self.session: Session | None = session
        self.ticket = ticket
        # In the form the authenticator takes: values of Authorization headers.
        self._bearer = [b"Bearer " + (session.id_token if uses_id else session.access).encode("ascii")]
        self.wait_until(min(checked, self.renew_at))

    @property
    def renew_at(self) -> float:
        """The time from which new tokens should be requested."""
        session = self.session
        if session is None or not session.refresh:
            return float("inf")
        return max(session.refresh_at, self.retry_at)

    def wait_until(self, moment: float) -> None:
        """Set the time before which, while the tokens are valid, nothing has to be awaited."""
        if self.session is not None:
            self.due = min(moment, self.session.expires, self._ends)

    def alive(self, now: float) -> bool:
        return self.session is not None and now < self.session.expires and now < self._ends

    def may_come_back(self, now: float) -> bool:
        """Return whether it may still be renewed; until then it may authenticate nobody."""
        return self.session is not None and bool(self.session.refresh) and now < self._ends

    def authorization(self, now: float) -> list[bytes] | None:
        """Return the Authorization values, if nothing has to be awaited at `now`."""
        return self._bearer if now < self.due and self.session is not None else None

    @property
    def bearer(self) -> list[bytes]:
        return self._bearer

    def ended(self) -> None:
        self.session = None
        self.due = 0.0

    def __repr__(self) -> str:
        state = "ended" if self.session is None else "renewing" if self.renewal is not None else "live"
        return f"<Live {self.id} {state}>"
