"""The sessions between two steps of a sign-in.

Invariant: a session answers one challenge, of one user, at one client, once; anything else is refused before
the answer is looked at.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local_cognito.errors import not_authorized
from local_cognito.state import AuthSession, Client, Pool, State

# Wrong codes that one session survives: enough for typing errors, too few for guessing.
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Turn:
    """One step of one sign-in: where and when."""

    state: State
    pool: Pool
    client: Client
    now: float
    # Managed login: the browser gets a session at the end, and nobody tokens.
    managed: bool = False
    # Whether the password was proved by SRP: only then does Cognito track the device.
    by_srp: bool = False


def open_session(turn: Turn, name: str, challenge: str, key: str | None = None, **more: Any) -> str:
    """`name` is the internal username, or what stands for a user nobody is; `more` as in AuthSession."""
    key = key or secrets.token_urlsafe(192)
    expires = turn.now + turn.client.settings["AuthSessionValidity"] * 60
    more.setdefault("by_srp", turn.by_srp)
    turn.pool.sessions[key] = AuthSession(name, turn.client.id, challenge, expires, **more)
    return key


def find_session(turn: Turn, request: Mapping[str, Any], username: str) -> AuthSession:
    """The session this answer is for; raises NotAuthorizedException."""
    # PASSWORD_VERIFIER after USER_SRP_AUTH has no session at Cognito: the secret block stands for it.
    block = request.get("ChallengeResponses", {}).get("PASSWORD_CLAIM_SECRET_BLOCK", "")
    session = turn.pool.sessions.get(request.get("Session", block))
    if (
        session is None
        or session.client_id != turn.client.id
        or session.challenge != request["ChallengeName"]
    ):
        raise not_authorized("Invalid session for the user.")
    # API reference, AdminRespondToAuthChallenge: USERNAME is the username, not an alias (USER_ID_FOR_SRP).
    names = {turn.pool.fold(session.username), turn.pool.fold(session.called or session.username)}
    if turn.pool.fold(username) not in names:
        raise not_authorized("Invalid session for the user.")
    check_alive(session, turn.now)
    return session


def check_alive(session: AuthSession, now: float) -> None:
    if session.used:
        raise not_authorized("Invalid session for the user, session can only be used once.")
    if now >= session.expires or session.failures >= _TRIES:
        raise not_authorized("Invalid session for the user, session is expired.")
