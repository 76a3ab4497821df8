"""GetId and GetCredentialsForIdentity: an ID token's identity, and the role it gets.

Invariant: credentials are issued only for a verified token, to that token's identity, and for a role that
exists and trusts this pool.
"""

from __future__ import annotations

import secrets
import string
import uuid
from collections.abc import Mapping
from typing import Any

from local_cognito.errors import AwsError, invalid_parameter, not_authorized, not_found
from local_cognito.iam.trust import trusts
from local_cognito.identity.pools import existing
from local_cognito.state import State
from local_cognito.state_identity import Credentials, Identity, IdentityPool
from local_cognito.tokens import read_id_token

Request = Mapping[str, Any]
Answer = dict[str, Any]

# Seconds. Developer guide, "identity pools authentication flow": credentials of the enhanced flow.
_SECONDS = 3600
_LETTERS = string.ascii_uppercase + string.digits


def get_id(state: State, request: Request, now: float) -> Answer:
    pool = existing(state, request["IdentityPoolId"])
    logins = request.get("Logins", {})
    if not logins:
        if not pool.settings["AllowUnauthenticatedIdentities"]:
            raise not_authorized("Unauthenticated access is not supported for this identity pool.")
        return {"IdentityId": _new_identity(state, pool, None)}
    provider, claims = _verified(state, pool, logins, now)
    key = (provider, claims["sub"])
    for name, identity in pool.identities.items():
        if identity.login == key:
            return {"IdentityId": name}
    return {"IdentityId": _new_identity(state, pool, key)}


def _new_identity(state: State, pool: IdentityPool, login: tuple[str, str] | None) -> str:
    name = f"{state.region}:{uuid.uuid4()}"
    pool.identities[name] = Identity(login)
    return name


def _verified(
    state: State, pool: IdentityPool, logins: Mapping[str, str], now: float
) -> tuple[str, dict[str, Any]]:
    """Return the provider and the verified claims. Raises NotAuthorizedException."""
    if len(logins) != 1:
        raise invalid_parameter("The local Cognito takes one login at a time")
    ((provider, token),) = logins.items()
    accepted = [
        one for one in pool.settings["CognitoIdentityProviders"] if one.get("ProviderName") == provider
    ]
    if not accepted:
        raise not_authorized("Token is not from a supported provider of this identity pool.")
    claims, alive = read_id_token(state, provider.rpartition("/")[2], token, now)
    settings = next((one for one in accepted if one.get("ClientId") == claims["aud"]), None)
    if settings is None:
        raise not_authorized("Token is not from a supported provider of this identity pool.")
    # API reference, CognitoIdentityProvider: checks at the user pool whether the user is signed out or
    # deleted.
    if settings["ServerSideTokenCheck"] and not alive:
        raise not_authorized("Invalid login token. Token has been revoked.")
    return provider, claims


def get_credentials_for_identity(state: State, request: Request, now: float) -> Answer:
    name = request["IdentityId"]
    pool = next((one for one in state.identity_pools.values() if name in one.identities), None)
    if pool is None:
        raise not_found(f"Identity '{name}' not found.")
    login, logins = pool.identities[name].login, request.get("Logins", {})
    forbidden = not_authorized(f"Access to Identity '{name}' is forbidden.")
    if (login is None) != (not logins):
        raise forbidden
    kind, provider = "unauthenticated", ""
    claims: dict[str, Any] = {}
    if logins:
        provider, claims = _verified(state, pool, logins, now)
        if login != (provider, claims["sub"]):
            raise forbidden
        kind = "authenticated"
    arn = _role(pool, kind, provider, claims, request.get("CustomRoleArn"))
    return {"IdentityId": name, "Credentials": _issue(state, pool, name, kind=kind, arn=arn, now=now)}


def _role(
    pool: IdentityPool, kind: str, provider: str, claims: Mapping[str, Any], custom: str | None
) -> str | None:
    """Return the role's ARN: from the mapping for this provider and client, else the pool's for this kind."""
    mapping = pool.role_mappings.get(f"{provider}:{claims.get('aud')}")
    if custom is not None:
        # API reference, CustomRoleArn: one of the token's roles, if the mapping is by token.
        if mapping is None or mapping["Type"] != "Token" or custom not in claims.get("cognito:roles", ()):
            raise not_authorized("CustomRoleArn is not one of the roles in the token.")
        return custom
    if mapping is None:
        return pool.roles.get(kind)
    found = claims.get("cognito:preferred_role") if mapping["Type"] == "Token" else _by_rules(mapping, claims)
    # Developer guide, "role-based access control": no match, and several roles without a preferred one.
    if found is None and mapping["AmbiguousRoleResolution"] == "Deny":
        raise not_authorized("Access denied: no role of the role mapping fits the token.")
    return found or pool.roles.get(kind)


def _by_rules(mapping: Mapping[str, Any], claims: Mapping[str, Any]) -> str | None:
    """Return the role of the first rule that matches."""
    for rule in mapping["RulesConfiguration"]["Rules"]:
        value, wanted = claims.get(rule["Claim"]), rule["Value"]
        if value is None:
            continue
        text = str(value)
        matches = {
            "Equals": text == wanted,
            "NotEqual": text != wanted,
            "StartsWith": text.startswith(wanted),
            "Contains": wanted in (value if isinstance(value, list) else text),
        }
        if matches[rule["MatchType"]]:
            return str(rule["RoleARN"])
    return None


def _issue(
    state: State, pool: IdentityPool, identity: str, *, kind: str, arn: str | None, now: float
) -> dict[str, Any]:
    role = next((one for one in state.roles.values() if one.arn == arn), None)
    if role is None or not trusts(role.trust, pool_id=pool.id, identity_id=identity, amr=kind):
        raise AwsError(
            "InvalidIdentityPoolConfigurationException",
            "Invalid identity pool configuration. Check assigned IAM roles for this pool.",
        )
    # Expired credentials are dropped an hour later.
    state.credentials = {key: one for key, one in state.credentials.items() if one.expires + _SECONDS > now}
    key = "ASIA" + "".join(secrets.choice(_LETTERS) for _ in range(16))
    made = Credentials(secrets.token_urlsafe(30), secrets.token_urlsafe(600), now + _SECONDS, role.name)
    state.credentials[key] = made
    return {
        "AccessKeyId": key,
        "SecretKey": made.secret,
        "SessionToken": made.session_token,
        "Expiration": made.expires,
    }
