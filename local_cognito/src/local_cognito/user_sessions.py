"""Listing and revoking a user's sessions.

Invariant: a user cannot revoke the session of the access token in use, and nobody can revoke a session
through another user.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_cognito.errors import invalid_parameter, not_found
from local_cognito.pages import page
from local_cognito.session_settings import require_tracking
from local_cognito.session_tracking import end_sso, sso_sessions, token_sessions
from local_cognito.state import Pool, State, User, get_user
from local_cognito.state_sign_in import Grant, Tracked
from local_cognito.tokens import read_access_token, revoke

Request = Mapping[str, Any]
Answer = dict[str, Any]

# API reference, AdminListUserSessions: "a single page of up to 125 sessions".
_PAGE = 125


def list_user_sessions(state: State, request: Request, now: float) -> Answer:
    pool, user, grant = read_access_token(state, request["AccessToken"], now)
    return _listed(pool, user, request, now, current=grant)


def admin_list_user_sessions(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    return _listed(pool, get_user(pool, request["Username"]), request, now, current=None)


def revoke_user_session(state: State, request: Request, now: float) -> Answer:
    pool, user, grant = read_access_token(state, request["AccessToken"], now)
    return _revoke(pool, user, request, now, current=grant)


def admin_revoke_user_session(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    return _revoke(pool, get_user(pool, request["Username"]), request, now, current=None)


def _listed(pool: Pool, user: User, request: Request, now: float, *, current: Grant | None) -> Answer:
    require_tracking(pool)
    tokens = [
        _described(grant.tracked, "TOKEN", current=grant is current)
        for grant in token_sessions(pool, user.username, now)
    ]
    browsers = [
        _described(session.tracked, "SSO", current=False)
        for session in sso_sessions(pool, user.username, now)
    ]
    return page(tokens + browsers, _PAGE, request.get("NextToken"), names=("Sessions", "NextToken"))


def _described(tracked: Tracked | None, kind: str, *, current: bool) -> Answer:
    if tracked is None:
        return {}
    return {
        "SessionId": tracked.id,
        "SessionType": kind,
        "ClientId": tracked.client_id,
        "CreateDate": tracked.created,
        "LastActiveDate": tracked.active,
        "DeviceType": tracked.device,
        **({"LastIPAddress": tracked.address} if tracked.address else {}),
        **({"OriginSessionId": tracked.origin} if tracked.origin else {}),
        "IsCurrentSession": current,
    }


def _revoke(pool: Pool, user: User, request: Request, now: float, *, current: Grant | None) -> Answer:
    require_tracking(pool)
    session_id = request["SessionId"]
    linked = request.get("RevokeAssociatedSessions") == "LINKED"
    grants = {_id(grant): grant for grant in token_sessions(pool, user.username, now)}
    browsers = {one.tracked.id for one in sso_sessions(pool, user.username, now) if one.tracked is not None}
    if session_id in grants:
        ended = [grants[session_id]]
        origins = {_origin(grants[session_id])} if linked else set()
    elif session_id in browsers:
        ended = [grant for grant in grants.values() if _origin(grant) == session_id] if linked else []
        origins = {session_id}
    else:
        raise not_found("Session does not exist.")
    if current in ended:
        raise invalid_parameter("The session of the access token in use cannot be revoked.")
    for grant in ended:
        revoke(grant)
    for origin in origins & browsers:
        end_sso(pool, origin)
    return {}


def _id(grant: Grant) -> str | None:
    return grant.tracked.id if grant.tracked is not None else None


def _origin(grant: Grant) -> str | None:
    return grant.tracked.origin if grant.tracked is not None else None
