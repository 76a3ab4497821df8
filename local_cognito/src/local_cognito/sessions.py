"""Sessions between two steps of a sign-in.

Invariant: a session answers one challenge, of one user, at one client, once; anything else is refused before
the answer is checked.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from local_cognito.errors import not_authorized
from local_cognito.state import Client, Pool, State
from local_cognito.state_sign_in import AuthSession

# Wrong codes per session: enough for typos, too few for guessing.
_TRIES = 5
# The step that a session of ConfirmSignUp is for: a first sign-in.
CONFIRMED_SIGN_UP = "ConfirmSignUp"


@dataclass(frozen=True, slots=True)
class Turn:
    """The context of one step of a sign-in."""

    state: State
    pool: Pool
    client: Client
    now: float
    # Managed login: the sign-in ends with a browser session, not with tokens.
    managed: bool = False
    # Whether the password was proved by SRP: Cognito tracks the device only then.
    by_srp: bool = False
    # The key of the device that the client presents, and of the one that has proved itself.
    device: str = ""
    known_device: str = ""
    # What was proved so far (`levels`), and the level that the sign-in has to reach.
    methods: tuple[str, ...] = ()
    target: int = 0

    def proved(self, method: str) -> Turn:
        return replace(self, methods=(*self.methods, method))


def open_session(turn: Turn, name: str, challenge: str, key: str | None = None, **more: Any) -> str:
    """Open a session and return its key. `name`: the internal username; `more`: fields of AuthSession."""
    key = key or secrets.token_urlsafe(192)
    expires = turn.now + turn.client.settings["AuthSessionValidity"] * 60
    kept: dict[str, Any] = {"by_srp": turn.by_srp, "methods": turn.methods, "target": turn.target}
    kept |= {"device": turn.device, "known_device": turn.known_device}
    turn.pool.sessions[key] = AuthSession(name, turn.client.id, challenge, expires, **kept, **more)
    return key


def open_device_session(turn: Turn, name: str) -> None:
    """Open the session of DEVICE_SRP_AUTH, which Cognito's own clients answer without naming one."""
    open_session(turn, name, "DEVICE_SRP_AUTH", key=_device_session(turn, name, turn.device))


def _device_session(turn: Turn, name: str, device: str) -> str:
    return f"device {turn.client.id} {turn.pool.fold(name)} {device}"


def find_session(turn: Turn, request: Mapping[str, Any], username: str) -> AuthSession:
    """Return the session that this answers. Raises NotAuthorizedException."""
    # At Cognito, PASSWORD_VERIFIER after USER_SRP_AUTH has no session; the secret block identifies it.
    answers = request.get("ChallengeResponses", {})
    named = answers.get("PASSWORD_CLAIM_SECRET_BLOCK", "")
    if request["ChallengeName"] == "DEVICE_SRP_AUTH":
        named = _device_session(turn, username, answers.get("DEVICE_KEY", ""))
    session = turn.pool.sessions.get(request.get("Session", named))
    if (
        session is None
        or session.client_id != turn.client.id
        or session.challenge != request["ChallengeName"]
    ):
        raise not_authorized("Invalid session for the user.")
    # API reference, AdminRespondToAuthChallenge: USERNAME is the username (USER_ID_FOR_SRP), not an alias.
    names = {turn.pool.fold(session.username), turn.pool.fold(session.called or session.username)}
    if turn.pool.fold(username) not in names:
        raise not_authorized("Invalid session for the user.")
    check_alive(session, turn.now)
    return session


def session_of(turn: Turn, key: str, challenge: str, username: str) -> AuthSession:
    """Return the session with this key, for steps other than challenges. Raises NotAuthorizedException."""
    session = turn.pool.sessions.get(key)
    if session is None or (session.client_id, session.challenge, session.username) != (
        turn.client.id,
        challenge,
        username,
    ):
        raise not_authorized("Invalid session for the user.")
    check_alive(session, turn.now)
    return session


def check_alive(session: AuthSession, now: float) -> None:
    if session.used:
        raise not_authorized("Invalid session for the user, session can only be used once.")
    if now >= session.expires or session.failures >= _TRIES:
        raise not_authorized("Invalid session for the user, session is expired.")
