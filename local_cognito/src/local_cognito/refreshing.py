"""Refresh tokens: REFRESH_TOKEN_AUTH, GetTokensFromRefreshToken, and rotation.

Invariant: with rotation, a replaced refresh token is accepted only during its grace period.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from local_cognito.accounts import check_account
from local_cognito.clients import check_secret_hash, refresh_enabled, rotation
from local_cognito.devices import check_device
from local_cognito.errors import AwsError, invalid_parameter, not_authorized
from local_cognito.session_tracking import touch
from local_cognito.state import Client, Pool, State, User, find_user
from local_cognito.state_sign_in import Grant
from local_cognito.tokens import authentication_result, new_refresh_token

Request = Mapping[str, Any]
Answer = dict[str, Any]


def refresh(state: State, pool: Pool, client: Client, parameters: Mapping[str, str], now: float) -> Answer:
    """Refresh by the flow REFRESH_TOKEN_AUTH."""
    # API reference: with rotation, only GetTokensFromRefreshToken refreshes.
    if not refresh_enabled(client) or rotation(client) is not None:
        raise invalid_parameter("Auth flow not enabled for this client")
    token = parameters.get("REFRESH_TOKEN")
    if not token:
        raise invalid_parameter("Missing required parameter REFRESH_TOKEN")
    grant = pool.refresh_tokens.get(token)
    if grant is None or grant.client_id != client.id:
        # Without a grant there is no username to compute the hash for.
        if client.secret is not None and "SECRET_HASH" not in parameters:
            check_secret_hash(client, "", None)
        raise not_authorized("Invalid Refresh Token")
    check_secret_hash(client, grant.username, parameters.get("SECRET_HASH"))
    user = refreshable(pool, client, token, now)[1]
    check_device(pool, user, grant, parameters.get("DEVICE_KEY"), now)
    touch(state, grant.tracked, now)
    return {
        "ChallengeParameters": {},
        "AuthenticationResult": authentication_result(state, pool, client, user, grant, now=now),
    }


def get_tokens_from_refresh_token(state: State, request: Request, now: float) -> Answer:
    pool, client = state.client(request["ClientId"])
    if not hmac.compare_digest((client.secret or "").encode(), request.get("ClientSecret", "").encode()):
        raise not_authorized(f"Unable to verify the secret of client {client.id}")
    grant, user = refreshable(pool, client, request["RefreshToken"], now)
    check_device(pool, user, grant, request.get("DeviceKey"), now)
    touch(state, grant.tracked, now)
    result = authentication_result(state, pool, client, user, grant, now=now)
    new = rotate(pool, client, grant, request["RefreshToken"], now)
    return {"AuthenticationResult": {**result, **({"RefreshToken": new} if new else {})}}


def rotate(pool: Pool, client: Client, grant: Grant, used: str, now: float) -> str | None:
    """Return a new refresh token that replaces the used one, if the client rotates; its expiry stays the
    same."""
    grace = rotation(client)
    if grace is None:
        return None
    grant.rotated.setdefault(used, now + grace)
    grant.refresh_token = new_refresh_token()
    pool.refresh_tokens[grant.refresh_token] = grant
    return grant.refresh_token


def refreshable(
    pool: Pool, client: Client, token: str, now: float, *, document: str = ""
) -> tuple[Grant, User]:
    """Return the grant of a refresh token of this client, and its user. Raises AwsError as Cognito does.

    `document`: the URL that is the client's ID, if it is one."""
    grant = pool.refresh_tokens.get(token)
    if grant is None or (grant.client_id, grant.document) != (client.id, document):
        raise not_authorized("Invalid Refresh Token")
    if grant.revoked:
        raise not_authorized("Refresh Token has been revoked")
    if now >= grant.refresh_expires:
        raise not_authorized("Refresh Token has expired")
    if now >= grant.rotated.get(token, float("inf")):
        raise AwsError("RefreshTokenReuseException", "Refresh token has already been used.")
    user = find_user(pool, grant.username)
    if user is None:
        raise not_authorized("Invalid Refresh Token")
    check_account(user)
    return grant, user
