"""AssociateSoftwareToken and VerifySoftwareToken: the key of an authenticator app.

Invariant: a key becomes active only after a code made with it was verified.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_cognito import totp
from local_cognito.errors import AwsError, invalid_parameter, not_authorized
from local_cognito.sessions import Turn, check_alive, open_session
from local_cognito.state import Pool, State, User
from local_cognito.state_sign_in import AuthSession
from local_cognito.tokens import read_access_token

Request = Mapping[str, Any]
Answer = dict[str, Any]


def associate_software_token(state: State, request: Request, now: float) -> Answer:
    pool, user, session = _who(state, request, now)
    if not pool.software_token_mfa:
        raise AwsError(
            "SoftwareTokenMFANotFoundException", "Software Token MFA has not been enabled by the userPool."
        )
    user.totp_pending = totp.new_secret()
    return {"SecretCode": user.totp_pending, **_next(state, pool, session, now, verified=False)}


def verify_software_token(state: State, request: Request, now: float) -> Answer:
    pool, user, session = _who(state, request, now)
    if user.totp_pending is None:
        raise invalid_parameter("There is no software token to verify: call AssociateSoftwareToken first.")
    step = totp.matching_step(user.totp_pending, request["UserCode"], now)
    if step is None:
        if session is not None:
            session.failures += 1
        raise AwsError("EnableSoftwareTokenMFAException", "Code mismatch")
    user.totp_secret, user.totp_pending, user.totp_step = user.totp_pending, None, step
    user.totp_name = request.get("FriendlyDeviceName")
    return {"Status": "SUCCESS", **_next(state, pool, session, now, verified=True)}


def _who(state: State, request: Request, now: float) -> tuple[Pool, User, AuthSession | None]:
    """Return pool, user and session, by access token or by the session of an MFA_SETUP challenge."""
    token, key = request.get("AccessToken"), request.get("Session")
    if (token is None) == (key is None):
        raise invalid_parameter("Give either AccessToken or Session")
    if token is not None:
        pool, user, _ = read_access_token(state, token, now)
        return pool, user, None
    for pool in state.pools.values():
        session = pool.sessions.get(key or "")
        if session is None or session.challenge != "MFA_SETUP":
            continue
        check_alive(session, now)
        found = pool.users.get(pool.fold(session.username))
        if found is not None and found.enabled:
            return pool, found, session
    raise not_authorized("Invalid session for the user.")


def _next(
    state: State, pool: Pool, session: AuthSession | None, now: float, *, verified: bool
) -> dict[str, str]:
    """Return a new session that replaces the used one."""
    if session is None:
        return {}
    session.used = True
    turn = Turn(state, pool, pool.clients[session.client_id], now)
    return {"Session": open_session(turn, session.username, "MFA_SETUP", verified=verified)}
