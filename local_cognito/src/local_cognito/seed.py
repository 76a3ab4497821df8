"""The seed file: pools, clients, groups and users with fixed IDs, in the API's own terms.

Invariant: everything passes the operations' own checks, so a seed cannot contain what the API refuses.
The format is described in docs/local-cognito.md.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from local_cognito import fields, groups, operations
from local_cognito import fields_identity as identity
from local_cognito.clients import create_client
from local_cognito.errors import AwsError, SeedRefused, invalid_parameter
from local_cognito.iam.roles import create_role
from local_cognito.iam.trust import trust_policy
from local_cognito.identity.pools import create_identity_pool
from local_cognito.passwords import check_policy
from local_cognito.pools import create_user_pool
from local_cognito.shapes import Field, check
from local_cognito.state import (
    CONFIRMED,
    FORCE_CHANGE_PASSWORD,
    RESET_REQUIRED,
    UNCONFIRMED,
    Pool,
    State,
)
from local_cognito.users import add_user, set_password

DEMO = Path(__file__).with_name("demo_seed.yaml")

_STRUCTURES = Field(list, item=Field(dict))
_POOL = {
    "Id": fields.POOL_ID,
    "Domain": Field(str),
    "Mfa": Field(dict),
    "ResourceServers": _STRUCTURES,
    "IdentityProviders": _STRUCTURES,
    "Clients": _STRUCTURES,
    "Groups": _STRUCTURES,
    "Users": _STRUCTURES,
}
_IDENTITY_POOL = {"Id": identity.IDENTITY_POOL_ID, "AuthenticatedRole": Field(str)}
_USER: fields.Fields = {
    "Username": fields.USERNAME,
    "Password": fields.PASSWORD,
    "Sub": Field(str),
    "Status": Field(str, values=(CONFIRMED, UNCONFIRMED, FORCE_CHANGE_PASSWORD, RESET_REQUIRED)),
    "Enabled": Field(bool),
    "Attributes": Field(dict, item=Field(str, maximum=2048)),
    "Groups": Field(list, item=Field(str)),
}


def read(path: Path) -> dict[str, Any]:
    """Parse a seed file; its contents are checked later. Raises SeedRefused."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SeedRefused(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SeedRefused(f"{path}: is not UTF-8 text") from error
    except RecursionError as error:
        raise SeedRefused(f"{path}: is nested too deeply") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise SeedRefused(f"{path}{line}: is not YAML: {getattr(error, 'problem', error)}") from error
    except (ValueError, AttributeError) as error:
        # PyYAML's own errors, for malformed dates and numbers.
        raise SeedRefused(f"{path}: a value is not a valid date or number: quote it ({error})") from error
    keys = set(document) if isinstance(document, dict) else set()
    if (
        not isinstance(document, dict)
        or keys - {"UserPools", "IdentityPools"}
        or not document.get("UserPools")
    ):
        raise SeedRefused(f"{path}: must contain UserPools, a list, and may contain IdentityPools")
    return document


def apply(state: State, document: Mapping[str, Any], now: float) -> None:
    """Create everything in the seed. Raises SeedRefused, naming the first item that is refused."""
    for place, given in _each("UserPools", document["UserPools"]):
        with _at(place):
            pool = _add_pool(state, given, now)
        for what, add in _ADD.items():
            for inner, one in _each(f"{place}.{what}", given.get(what) or []):
                with _at(inner):
                    add(state, pool, one, now)
    for place, given in _each("IdentityPools", document.get("IdentityPools") or []):
        with _at(place):
            _add_identity_pool(state, given, now)


def _add_identity_pool(state: State, given: Mapping[str, Any], now: float) -> None:
    request = check({**identity.CREATE_POOL, **_IDENTITY_POOL}, given)
    pool_id, role = request.pop("Id"), request.pop("AuthenticatedRole", None)
    if pool_id in state.identity_pools:
        raise invalid_parameter(f"Id {pool_id} is taken")
    create_identity_pool(state, request, now, pool_id)
    if role is None:
        return
    made = create_role(
        state, {"RoleName": role, "AssumeRolePolicyDocument": json.dumps(trust_policy(pool_id))}, now
    )
    roles = {"authenticated": (made or {})["Role"]["Arn"]}
    operations.call(state, "SetIdentityPoolRoles", {"IdentityPoolId": pool_id, "Roles": roles}, now)


def _add_resource_server(state: State, pool: Pool, given: Mapping[str, Any], now: float) -> None:
    operations.call(state, "CreateResourceServer", {**given, "UserPoolId": pool.id}, now)


def _each(place: str, items: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(items, list):
        raise SeedRefused(f"seed: {place}: must be a list")
    for number, item in enumerate(items, 1):
        if not isinstance(item, dict):
            raise SeedRefused(f"seed: {place}.{number}: must be a map")
        yield f"{place}.{number}", item


@contextmanager
def _at(place: str) -> Iterator[None]:
    try:
        yield
    except AwsError as error:
        raise SeedRefused(f"seed: {place}: {error.message}") from error


def _add_pool(state: State, given: Mapping[str, Any], now: float) -> Pool:
    request = check({**fields.CREATE_USER_POOL, **_POOL}, given)
    pool_id = request["Id"]
    if pool_id in state.pools:
        raise invalid_parameter(f"Id {pool_id} is taken")
    create_user_pool(
        state, {name: value for name, value in request.items() if name not in _POOL}, now, pool_id
    )
    if "Domain" in request:
        domain = {"UserPoolId": pool_id, "Domain": request["Domain"]}
        operations.call(state, "CreateUserPoolDomain", domain, now)
    if "Mfa" in request:
        operations.call(state, "SetUserPoolMfaConfig", {**request["Mfa"], "UserPoolId": pool_id}, now)
    return state.pools[pool_id]


def _add_provider(state: State, pool: Pool, given: Mapping[str, Any], now: float) -> None:
    request = {"ProviderDetails": {}, **given, "UserPoolId": pool.id}
    operations.call(state, "CreateIdentityProvider", request, now)


def _add_client(state: State, pool: Pool, given: Mapping[str, Any], now: float) -> None:
    request = check({**fields.CREATE_CLIENT, "ClientId": fields.CLIENT_ID}, {**given, "UserPoolId": pool.id})
    client_id = request.pop("ClientId")
    if any(client_id in other.clients for other in state.pools.values()):
        raise invalid_parameter(f"ClientId {client_id} is taken")
    create_client(state, request, now, client_id)


def _add_group(state: State, pool: Pool, given: Mapping[str, Any], now: float) -> None:
    operations.call(state, "CreateGroup", {**given, "UserPoolId": pool.id}, now)


def _add_user(state: State, pool: Pool, given: Mapping[str, Any], now: float) -> None:
    request = check(_USER, given)
    user = add_user(pool, request["Username"], request.get("Attributes", {}), now, sub=_sub(request))
    password = request.get("Password")
    if password is not None:
        check_policy(pool.policy, password)
        set_password(pool, user, password, now, permanent=True)
    user.status = request.get("Status", CONFIRMED if password is not None else FORCE_CHANGE_PASSWORD)
    if user.status == FORCE_CHANGE_PASSWORD:
        user.temporary_until = now + pool.policy.temporary_days * 86400
    user.enabled = request.get("Enabled", True)
    for group in request.get("Groups", []):
        groups.admin_add_user_to_group(
            state, {"UserPoolId": pool.id, "Username": user.username, "GroupName": group}, now
        )


def _sub(request: Mapping[str, Any]) -> str | None:
    given = request.get("Sub")
    if given is None:
        return None
    try:
        return str(uuid.UUID(given))
    except ValueError:
        raise invalid_parameter("Sub is not a UUID") from None


# In this order: clients may use scopes of resource servers and providers, and users belong to groups.
_ADD = {
    "ResourceServers": _add_resource_server,
    "IdentityProviders": _add_provider,
    "Clients": _add_client,
    "Groups": _add_group,
    "Users": _add_user,
}
