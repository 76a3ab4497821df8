"""Sealed short-lived cookies of a signed-in user's account pages: an address that awaits its code, an
authenticator's key until it is verified.

Invariant: what is read back is what was stored in this same session, or nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from gateway.pages.turn import Turn
from gateway.sessions.session import Session

# Seconds. Cognito's code for a changed address lives a day, but then the address is typed again.
_LIFE = 3600.0


def keep(turn: Turn, session: Session, name: str, values: Mapping[str, str]) -> None:
    page = turn.page
    sealed = turn.portal.sealers.challenge.seal(
        json.dumps(dict(values)).encode(), until=page.now + _LIFE, binding=_binding(session, name)
    )
    page.set_cookies += page.cookies.set_split(name, sealed, max_age=_LIFE)


def kept(turn: Turn, session: Session, name: str) -> dict[str, str]:
    """Return the values; empty if there are none."""
    sealed = turn.page.cookies.joined(name)
    if sealed is None:
        return {}
    data = turn.portal.sealers.challenge.open(sealed, now=turn.page.now, binding=_binding(session, name))
    return {} if data is None else dict(json.loads(data))


def forget(turn: Turn, name: str) -> None:
    page = turn.page
    page.set_cookies += page.cookies.clear_split(name)


def _binding(session: Session, name: str) -> bytes:
    return f"{name} {session.id}".encode("ascii")
