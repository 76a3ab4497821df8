"""InitiateAuth and AdminInitiateAuth: dispatch by flow, and the flows that an app client allows.

Invariant: the checks run in the order flow, secret hash, lockout, first factor, account state, second factor;
a client that does not know the password learns nothing about the account.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from local_cognito import step_up
from local_cognito.clients import check_secret_hash, flow_enabled
from local_cognito.errors import AwsError, invalid_parameter
from local_cognito.first_factor import after_sign_up, begin_srp, by_password, custom_auth, known
from local_cognito.mfa import answer_of
from local_cognito.refreshing import refresh
from local_cognito.sessions import Turn
from local_cognito.state import State

Request = Mapping[str, Any]
Answer = dict[str, Any]

_ADMIN_FLOWS = ("ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH")
_REFRESH_FLOWS = ("REFRESH_TOKEN_AUTH", "REFRESH_TOKEN")
# Flow → the client settings that allow it, including the legacy name.
_ALLOWED_BY = {
    "USER_PASSWORD_AUTH": ("ALLOW_USER_PASSWORD_AUTH", "USER_PASSWORD_AUTH"),
    "USER_SRP_AUTH": ("ALLOW_USER_SRP_AUTH",),
    "USER_AUTH": ("ALLOW_USER_AUTH",),
    "CUSTOM_AUTH": ("ALLOW_CUSTOM_AUTH", "CUSTOM_AUTH_FLOW_ONLY"),
}


def initiate_auth(state: State, request: Request, now: float) -> Answer:
    pool, client = state.client(request["ClientId"])
    if request["AuthFlow"] in _ADMIN_FLOWS:
        raise invalid_parameter("Initiate Auth method not supported.")
    return _initiate(Turn(state, pool, client, now), request)


def admin_initiate_auth(state: State, request: Request, now: float) -> Answer:
    pool, client = state.client(request["ClientId"], request["UserPoolId"])
    return _initiate(Turn(state, pool, client, now), request)


def _initiate(turn: Turn, request: Request) -> Answer:
    flow, parameters = request["AuthFlow"], request.get("AuthParameters", {})
    if flow in _REFRESH_FLOWS:
        return refresh(turn.state, turn.pool, turn.client, parameters, turn.now)
    _check_flow(turn, flow)
    turn = replace(turn, device=parameters.get("DEVICE_KEY", ""))
    name = answer_of(parameters, "USERNAME")
    check_secret_hash(turn.client, name, parameters.get("SECRET_HASH"))
    if flow == "CUSTOM_AUTH":
        return custom_auth()
    if flow == "USER_SRP_AUTH":
        client_public = answer_of(parameters, "SRP_A")
        return begin_srp(turn, name, known(turn, name), client_public)
    if flow == "USER_AUTH" and "Session" in request:
        return after_sign_up(turn, name, known(turn, name), parameters, request["Session"])
    if flow == "USER_AUTH":
        return step_up.begin(turn, name, known(turn, name), parameters)
    password = answer_of(parameters, "PASSWORD")
    return by_password(turn, name, known(turn, name), password)


def _check_flow(turn: Turn, flow: str) -> None:
    if flow in _ADMIN_FLOWS:
        if not flow_enabled(turn.client, "ALLOW_ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH"):
            raise invalid_parameter("Auth flow not enabled for this client")
    elif not flow_enabled(turn.client, *_ALLOWED_BY[flow]):
        raise invalid_parameter(f"{flow} flow not enabled for this client")
    if flow == "USER_AUTH" and turn.pool.settings["UserPoolTier"] == "LITE":
        raise AwsError("FeatureUnavailableInTierException", "USER_AUTH needs the Essentials tier or higher.")
