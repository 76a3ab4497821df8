"""Settings of session tracking, of pools and of app clients.

Invariant: a lifetime of SSO sessions can only be set where the pool tracks sessions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_cognito.errors import AwsError
from local_cognito.state import Client, Pool, State

Request = Mapping[str, Any]
Answer = dict[str, Any]


def get_user_pool_session_configuration(state: State, request: Request, now: float) -> Answer:
    return _pool_settings(state.pool(request["UserPoolId"]))


def set_user_pool_session_configuration(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    _check_tier(pool)
    pool.tracks_sessions = request["UserSessionTracking"] == "ENABLED"
    pool.sessions_per_user = request["TokenSession"]["MaxPerUser"]
    return _pool_settings(pool)


def get_user_pool_client_session_configuration(state: State, request: Request, now: float) -> Answer:
    pool, client = state.client(request["ClientId"], request["UserPoolId"])
    return _client_settings(pool, client)


def set_user_pool_client_session_configuration(state: State, request: Request, now: float) -> Answer:
    pool, client = state.client(request["ClientId"], request["UserPoolId"])
    _check_tier(pool)
    require_tracking(pool)
    client.sso_minutes = request["SSOSession"]["MaxValidityMinutes"]
    return _client_settings(pool, client)


def require_tracking(pool: Pool) -> None:
    """Raise OperationNotEnabledException unless the pool tracks sessions."""
    if not pool.tracks_sessions:
        raise AwsError(
            "OperationNotEnabledException", "User session tracking is not enabled for the user pool."
        )


def _check_tier(pool: Pool) -> None:
    if pool.settings["UserPoolTier"] == "LITE":
        raise AwsError(
            "FeatureUnavailableInTierException", "Session tracking needs the Essentials tier or higher."
        )


def _pool_settings(pool: Pool) -> Answer:
    return {
        "UserPoolId": pool.id,
        "UserSessionTracking": "ENABLED" if pool.tracks_sessions else "DISABLED",
        "TokenSession": {"MaxPerUser": pool.sessions_per_user},
    }


def _client_settings(pool: Pool, client: Client) -> Answer:
    return {
        "UserPoolId": pool.id,
        "ClientId": client.id,
        "SSOSession": {"MaxValidityMinutes": client.sso_minutes},
    }
