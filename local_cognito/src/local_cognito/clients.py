"""Operations on app clients, and what an app client allows.

Invariant: a client's settings are always complete; as in Cognito, UpdateUserPoolClient resets every omitted
member to its default.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from local_cognito.client_oauth import check_oauth
from local_cognito.errors import invalid_parameter, not_authorized
from local_cognito.identity_providers import check_supported
from local_cognito.pages import page
from local_cognito.state import Client, Pool, State, new_client_id, new_client_secret

Request = Mapping[str, Any]
Answer = dict[str, Any]

CLIENT_TOKEN = "ALLOW_CLIENT_TOKEN_AUTH"  # noqa: S105  a flow, not a password
_DEFAULT_FLOWS = ["ALLOW_CUSTOM_AUTH", "ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH"]
_SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
# kind: (member, default value, default unit, minimum and maximum in seconds). Developer guide, "token
# validity": access and ID tokens 5 minutes to 1 day, refresh tokens 1 hour to 10 years.
_VALIDITY = {
    "AccessToken": ("AccessTokenValidity", 1, "hours", 300, 86400),
    "IdToken": ("IdTokenValidity", 1, "hours", 300, 86400),
    "RefreshToken": ("RefreshTokenValidity", 30, "days", 3600, 315360000),
}


def create_client(state: State, request: Request, now: float, client_id: str | None = None) -> Answer:
    """CreateUserPoolClient. `client_id`: from the seed; None generates one in Cognito's form."""
    pool = state.pool(request["UserPoolId"])
    if request.get("GenerateSecret") and "ClientSecret" in request:
        raise invalid_parameter("ClientSecret and GenerateSecret cannot be given together.")
    secret = request.get("ClientSecret") or (new_client_secret() if request.get("GenerateSecret") else None)
    settings = _settings(request)
    check_oauth(pool, settings, secret)
    check_supported(pool, settings.get("SupportedIdentityProviders", ()))
    _check_user_context(settings, secret)
    _check_client_token(settings, secret)
    client = Client(client_id or new_client_id(), secret, settings, now, now)
    pool.clients[client.id] = client
    return {"UserPoolClient": _describe(pool, client)}


def describe_client(state: State, request: Request, now: float) -> Answer:
    pool, client = state.client(request["ClientId"], request["UserPoolId"])
    return {"UserPoolClient": _describe(pool, client)}


def update_client(state: State, request: Request, now: float) -> Answer:
    pool, client = state.client(request["ClientId"], request["UserPoolId"])
    settings = _settings({"ClientName": client.settings["ClientName"], **request})
    check_oauth(pool, settings, client.secret)
    check_supported(pool, settings.get("SupportedIdentityProviders", ()))
    _check_user_context(settings, client.secret)
    _check_client_token(settings, client.secret)
    client.settings = settings
    client.modified = now
    return {"UserPoolClient": _describe(pool, client)}


def delete_client(state: State, request: Request, now: float) -> Answer:
    """DeleteUserPoolClient. The client's sign-in sessions end; its tokens become invalid."""
    pool, client = state.client(request["ClientId"], request["UserPoolId"])
    pool.sessions = {key: one for key, one in pool.sessions.items() if one.client_id != client.id}
    del pool.clients[client.id]
    return {}


def list_clients(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    items = [
        {"ClientId": client.id, "UserPoolId": pool.id, "ClientName": client.settings["ClientName"]}
        for client in pool.clients.values()
        if request.get("ClientType", _kind(client)) == _kind(client)
    ]
    size = request.get("MaxResults", 60)
    return page(items, size, request.get("NextToken"), names=("UserPoolClients", "NextToken"))


def lifetime(client: Client, kind: str) -> int:
    """Return the lifetime in seconds of a token of this kind (AccessToken, IdToken, RefreshToken)."""
    return _lifetime(client.settings, kind)


def flow_enabled(client: Client, *names: str) -> bool:
    return any(name in client.settings["ExplicitAuthFlows"] for name in names)


def refresh_enabled(client: Client) -> bool:
    """Return whether the client may refresh; always with the legacy flow names, which have no ALLOW_
    prefix."""
    flows = client.settings["ExplicitAuthFlows"]
    return "ALLOW_REFRESH_TOKEN_AUTH" in flows or not any(flow.startswith("ALLOW_") for flow in flows)


def readable(client: Client, attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes that this client may read, in tokens and from GetUser.

    API reference, CreateUserPoolClient: without ReadAttributes, the standard attributes only.
    """
    chosen = client.settings.get("ReadAttributes")
    if chosen:
        return {name: value for name, value in attributes.items() if name in chosen}
    return {name: value for name, value in attributes.items() if not name.startswith("custom:")}


def check_writable(client: Client, attributes: Mapping[str, str]) -> None:
    """Raise NotAuthorizedException if this client may not write one of the attributes.

    API reference, CreateUserPoolClient: without WriteAttributes, the standard attributes only.
    """
    chosen = client.settings.get("WriteAttributes")
    for name in attributes:
        allowed = name in chosen if chosen else not name.startswith("custom:")
        # Developer guide: only Cognito itself or an administrator marks an attribute as verified.
        if not allowed or name in ("email_verified", "phone_number_verified"):
            raise not_authorized("A client attempted to write unauthorized attribute")


def check_secret_hash(client: Client, username: str, given: str | None) -> None:
    """Raise NotAuthorizedException unless it is Base64(HMAC-SHA256(client secret, username + client ID))."""
    if client.secret is None:
        if given is not None:
            raise not_authorized(f"Unable to verify secret hash for client {client.id}")
        return
    if given is None:
        raise not_authorized(f"Client {client.id} is configured with secret but SECRET_HASH was not received")
    digest = hmac.digest(client.secret.encode(), (username + client.id).encode(), hashlib.sha256)
    if not hmac.compare_digest(base64.b64encode(digest), given.encode()):
        raise not_authorized(f"Unable to verify secret hash for client {client.id}")


def rotation(client: Client) -> int | None:
    """Return the grace period in seconds of refresh token rotation; None without rotation."""
    setting = client.settings.get("RefreshTokenRotation", {})
    return setting.get("RetryGracePeriodSeconds", 0) if setting.get("Feature") == "ENABLED" else None


def hides_users(client: Client) -> bool:
    return bool(client.settings["PreventUserExistenceErrors"] == "ENABLED")


def _check_user_context(settings: Mapping[str, Any], secret: str | None) -> None:
    """Check that a client which may propagate user context has a secret (API reference,
    CreateUserPoolClient)."""
    if settings["EnablePropagateAdditionalUserContextData"] and secret is None:
        raise invalid_parameter(
            "EnablePropagateAdditionalUserContextData can only be enabled for a client with a secret."
        )


def _check_client_token(settings: Mapping[str, Any], secret: str | None) -> None:
    """Check a client for GetClientToken: a secret, and no other flow (API reference, GetClientToken)."""
    flows = settings["ExplicitAuthFlows"]
    if CLIENT_TOKEN not in flows:
        return
    if len(flows) > 1:
        raise invalid_parameter(f"{CLIENT_TOKEN} must be the only one of ExplicitAuthFlows.")
    if secret is None:
        raise invalid_parameter(f"{CLIENT_TOKEN} can only be enabled for a client with a secret.")


def _settings(request: Request) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "AllowedOAuthFlowsUserPoolClient": False,
        "AuthSessionValidity": 3,
        "EnablePropagateAdditionalUserContextData": False,
        "EnableTokenRevocation": True,
        "PreventUserExistenceErrors": "LEGACY",
        "TokenValidityUnits": {},
    }
    dropped = {"UserPoolId", "ClientId", "GenerateSecret", "ClientSecret"}
    settings.update({name: value for name, value in request.items() if name not in dropped})
    # 0 and an omitted member both mean the default.
    settings["RefreshTokenValidity"] = settings.get("RefreshTokenValidity") or 30
    settings["ExplicitAuthFlows"] = settings.get("ExplicitAuthFlows") or _DEFAULT_FLOWS
    _check_flows(settings["ExplicitAuthFlows"])
    if settings.get("RefreshTokenRotation", {}).get("Feature") == "ENABLED":
        _check_rotation(settings)
    for kind, (member, _, _, least, most) in _VALIDITY.items():
        if not least <= _lifetime(settings, kind) <= most:
            raise invalid_parameter(
                f"Invalid range for token validity: {member} is {least} to {most} seconds."
            )
    return settings


def _lifetime(settings: Mapping[str, Any], kind: str) -> int:
    member, value, unit, _, _ = _VALIDITY[kind]
    return int(settings.get(member, value)) * _SECONDS[settings["TokenValidityUnits"].get(kind, unit)]


def _check_flows(flows: list[str]) -> None:
    old = [flow for flow in flows if not flow.startswith("ALLOW_")]
    if old and len(old) != len(flows):
        raise invalid_parameter(
            "Invalid ExplicitAuthFlows: flows with and without the ALLOW_ prefix cannot be mixed."
        )


def _check_rotation(settings: dict[str, Any]) -> None:
    # Developer guide, "refresh token rotation": REFRESH_TOKEN_AUTH cannot return a new refresh token.
    if "ALLOW_REFRESH_TOKEN_AUTH" in settings["ExplicitAuthFlows"]:
        raise invalid_parameter(
            "Refresh token rotation cannot be enabled while ALLOW_REFRESH_TOKEN_AUTH is in ExplicitAuthFlows."
        )
    settings["RefreshTokenRotation"] = {"RetryGracePeriodSeconds": 0, **settings["RefreshTokenRotation"]}


def _kind(client: Client) -> str:
    return "DCR" if client.registered else "REGULAR"


def _describe(pool: Pool, client: Client) -> Answer:
    answer = {
        **client.settings,
        "UserPoolId": pool.id,
        "ClientId": client.id,
        "ClientType": _kind(client),
        "CreationDate": client.created,
        "LastModifiedDate": client.modified,
    }
    if client.secret is not None:
        answer["ClientSecret"] = client.secret
    return answer
