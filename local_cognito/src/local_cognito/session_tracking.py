"""Session tracking: records of token sessions and SSO sessions, and the limit of token sessions per user.

Invariant: a session is recorded only if the pool tracked sessions when it began, and a user never begins more
token sessions than the pool allows. Sources: API reference, SetUserPoolSessionConfiguration and
SessionDescriptionType; developer guide, "Managing user sessions".
"""

from __future__ import annotations

import secrets
import string

from local_cognito.callers import device_of
from local_cognito.state import Client, Pool, State
from local_cognito.state_sign_in import BrowserSession, Grant, Tracked
from local_cognito.tokens import revoke

_CHARACTERS = string.ascii_lowercase + string.digits


def begin_token_session(
    state: State, pool: Pool, grant: Grant, now: float, *, origin: str | None = None
) -> None:
    """Record a new sign-in; at the limit, end the user's least recently used token sessions first."""
    if not pool.tracks_sessions:
        return
    others = sorted(token_sessions(pool, grant.username, now), key=lambda one: _active(one.tracked))
    for evicted in others[: max(0, len(others) + 1 - pool.sessions_per_user)]:
        revoke(evicted)
    grant.tracked = Tracked(_new_id("tkn"), grant.client_id, now, origin=origin)
    touch(state, grant.tracked, now)
    for session in pool.browsers.values():
        if session.tracked is not None and session.tracked.id == origin:
            touch(state, session.tracked, now)


def begin_sso_session(state: State, pool: Pool, client: Client, session: BrowserSession, now: float) -> None:
    """Record a new browser session of managed login."""
    if pool.tracks_sessions:
        session.tracked = Tracked(_new_id("sso"), client.id, now)
        touch(state, session.tracked, now)


def touch(state: State, tracked: Tracked | None, now: float) -> None:
    """Record an activity: when, from where, with what."""
    if tracked is not None:
        tracked.active, tracked.address = now, state.caller.address
        tracked.device = device_of(state.caller.agent)


def token_sessions(pool: Pool, username: str, now: float) -> list[Grant]:
    """Return the user's active token sessions."""
    return [
        grant
        for grant in pool.grants.values()
        if grant.tracked is not None
        and grant.username == username
        and not grant.revoked
        and now < grant.refresh_expires
    ]


def sso_sessions(pool: Pool, username: str, now: float) -> list[BrowserSession]:
    """Return the user's active SSO sessions."""
    return [
        session
        for session in pool.browsers.values()
        if session.tracked is not None and session.username == username and now < session.expires
    ]


def end_sso(pool: Pool, session_id: str | None) -> None:
    """End the SSO session with this ID: its cookie signs nobody in any more."""
    pool.browsers = {
        cookie: session
        for cookie, session in pool.browsers.items()
        if session.tracked is None or session.tracked.id != session_id
    }


def _active(tracked: Tracked | None) -> float:
    return tracked.active if tracked is not None else 0.0


def _new_id(kind: str) -> str:
    return kind + "".join(secrets.choice(_CHARACTERS) for _ in range(25))
