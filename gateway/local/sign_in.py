"""InitiateAuth and AdminInitiateAuth: password and refresh flows.

Invariant: the order of the checks is flow, secret hash, lockout, password, state of the account; who does not
know the password learns nothing about the account.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from gateway.local import passwords
from gateway.local.accounts import check_account, check_lock, settle_attempt
from gateway.local.attributes import required_and_missing
from gateway.local.clients import check_secret_hash, flow_enabled, hides_users
from gateway.local.errors import AwsError, invalid_parameter, not_authorized, wrong_password
from gateway.local.refreshing import refresh
from gateway.local.state import (
    FORCE_CHANGE_PASSWORD,
    AuthSession,
    Client,
    Pool,
    State,
    User,
    find_user,
)
from gateway.local.tokens import authentication_result, new_grant

Request = Mapping[str, Any]
Answer = dict[str, Any]

_ADMIN_FLOWS = ("ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH")
_REFRESH_FLOWS = ("REFRESH_TOKEN_AUTH", "REFRESH_TOKEN")


def initiate_auth(state: State, request: Request, now: float) -> Answer:
    pool, client = state.client(request["ClientId"])
    if request["AuthFlow"] in _ADMIN_FLOWS:
        raise invalid_parameter("Initiate Auth method not supported.")
    return _initiate(state, pool, client, request, now)


def admin_initiate_auth(state: State, request: Request, now: float) -> Answer:
    pool, client = state.client(request["ClientId"], request["UserPoolId"])
    return _initiate(state, pool, client, request, now)


def _initiate(state: State, pool: Pool, client: Client, request: Request, now: float) -> Answer:
    flow = request["AuthFlow"]
    parameters = request.get("AuthParameters", {})
    if flow in _REFRESH_FLOWS:
        return refresh(state, pool, client, parameters, now)
    _check_flow(client, flow)
    return _password(state, pool, client, parameters, now)


def _check_flow(client: Client, flow: str) -> None:
    if flow in _ADMIN_FLOWS:
        if not flow_enabled(client, "ALLOW_ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH"):
            raise invalid_parameter("Auth flow not enabled for this client")
    elif flow == "USER_PASSWORD_AUTH":
        if not flow_enabled(client, "ALLOW_USER_PASSWORD_AUTH", "USER_PASSWORD_AUTH"):
            raise invalid_parameter("USER_PASSWORD_AUTH flow not enabled for this client")
    else:
        names = {"CUSTOM_AUTH": ("ALLOW_CUSTOM_AUTH", "CUSTOM_AUTH_FLOW_ONLY")}
        if not flow_enabled(client, *names.get(flow, (f"ALLOW_{flow}",))):
            raise invalid_parameter(f"{flow} flow not enabled for this client")
        raise invalid_parameter(f"{flow} is not supported by the local Cognito")


def _password(state: State, pool: Pool, client: Client, parameters: Mapping[str, str], now: float) -> Answer:
    username = _parameter(parameters, "USERNAME")
    check_secret_hash(client, username, parameters.get("SECRET_HASH"))
    password = _parameter(parameters, "PASSWORD")
    user = find_user(pool, username)
    if user is None and not hides_users(client):
        raise AwsError("UserNotFoundException", "User does not exist.")
    # A name nobody has is counted as well: otherwise the lockout would tell which names exist.
    _check_password(pool, user.username if user else username, user, password, now)
    if user is None:
        raise wrong_password()
    check_account(user)
    if user.status == FORCE_CHANGE_PASSWORD:
        if user.temporary_until is not None and now >= user.temporary_until:
            raise not_authorized("Temporary password has expired and must be reset by an administrator.")
        return _new_password_required(pool, client, user, now)
    return signed_in(state, pool, client, user, now)


def _check_password(pool: Pool, name: str, user: User | None, password: str, now: float) -> None:
    check_lock(pool, name, now)
    right = passwords.matches(user.password if user else None, password)
    settle_attempt(pool, name, now, right=right)


def _new_password_required(pool: Pool, client: Client, user: User, now: float) -> Answer:
    missing = [f"userAttributes.{name}" for name in required_and_missing(pool, user)]
    return {
        "ChallengeName": "NEW_PASSWORD_REQUIRED",
        "Session": open_session(pool, client, user, "NEW_PASSWORD_REQUIRED", now),
        "ChallengeParameters": {
            "USER_ID_FOR_SRP": user.username,
            "requiredAttributes": json.dumps(missing),
            "userAttributes": json.dumps(user.attributes),
        },
    }


def open_session(pool: Pool, client: Client, user: User, challenge: str, now: float) -> str:
    session = secrets.token_urlsafe(192)
    expires = now + client.settings["AuthSessionValidity"] * 60
    pool.sessions[session] = AuthSession(user.username, client.id, challenge, expires)
    return session


def signed_in(state: State, pool: Pool, client: Client, user: User, now: float) -> Answer:
    """The end of every sign-in: a new grant and its tokens."""
    grant = new_grant(pool, client, user, now)
    result = authentication_result(state, pool, client, user, grant, now=now)
    return {
        "ChallengeParameters": {},
        "AuthenticationResult": {**result, "RefreshToken": grant.refresh_token},
    }


def _parameter(parameters: Mapping[str, str], name: str) -> str:
    value = parameters.get(name)
    if not value:
        raise invalid_parameter(f"Missing required parameter {name}")
    return value
