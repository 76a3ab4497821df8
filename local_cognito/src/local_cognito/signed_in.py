"""GetUser, global sign-out and RevokeToken.

Invariant: ending a sign-in invalidates all of its tokens, including refreshed ones.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from local_cognito.attributes import as_list
from local_cognito.clients import readable
from local_cognito.errors import AwsError
from local_cognito.session_tracking import end_sso
from local_cognito.state import State, get_user
from local_cognito.tokens import is_signed_token, read_access_token, revoke, revoke_all
from local_cognito.users import mfa_of

Request = Mapping[str, Any]
Answer = dict[str, Any]


def read_user(state: State, request: Request, now: float) -> Answer:
    """GetUser."""
    pool, user, grant = read_access_token(state, request["AccessToken"], now)
    attributes = readable(pool.clients[grant.client_id], user.attributes)
    return {
        "Username": user.username,
        "UserAttributes": as_list({"sub": user.sub, **attributes}),
        **mfa_of(user),
    }


def global_sign_out(state: State, request: Request, now: float) -> Answer:
    pool, user, _ = read_access_token(state, request["AccessToken"], now)
    revoke_all(pool, user)
    return {}


def admin_user_global_sign_out(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    revoke_all(pool, get_user(pool, request["Username"]))
    return {}


def revoke_token(state: State, request: Request, now: float, document: str = "") -> Answer:
    """RevokeToken. `document`: the URL that is the client's ID at managed login, if it is one."""
    pool, client = state.client(request["ClientId"])
    if not hmac.compare_digest((client.secret or "").encode(), request.get("ClientSecret", "").encode()):
        raise AwsError("UnauthorizedException", "Invalid client secret")
    if not client.settings["EnableTokenRevocation"]:
        raise AwsError("UnsupportedOperationException", "Token revocation is not enabled for this client")
    if is_signed_token(request["Token"]):
        raise AwsError("UnsupportedTokenTypeException", "Only refresh tokens can be revoked")
    grant = pool.refresh_tokens.get(request["Token"])
    # RFC 7009 section 2.2: an unknown or expired token gets the same answer as a revoked one.
    if grant is None:
        return {}
    # RFC 7009 section 2.1: a client can revoke only its own tokens.
    if (grant.client_id, grant.document) != (client.id, document):
        raise AwsError("UnauthorizedException", "The token was not issued to this client")
    revoke(grant)
    # API reference, RevokeToken: only the SSO session, not the other token sessions that came through it.
    if request.get("RevokeAssociatedSessions") == "LINKED" and grant.tracked is not None:
        end_sso(pool, grant.tracked.origin)
    return {}
