"""Operations on identity pools and their roles.

Invariant: UpdateIdentityPool replaces all settings, as at AWS; settings without effect here are refused.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from local_cognito.errors import AwsError, invalid_parameter, not_found
from local_cognito.pages import page
from local_cognito.state import ACCOUNT, State
from local_cognito.state_identity import IdentityPool

Request = Mapping[str, Any]
Answer = dict[str, Any]


def create_identity_pool(state: State, request: Request, now: float, pool_id: str | None = None) -> Answer:
    """CreateIdentityPool. `pool_id`: from the seed; None generates one."""
    pool = IdentityPool(pool_id or f"{state.region}:{uuid.uuid4()}", _settings(request))
    pool.tags = dict(request.get("IdentityPoolTags", {}))
    state.identity_pools[pool.id] = pool
    return _describe(pool)


def describe_identity_pool(state: State, request: Request, now: float) -> Answer:
    return _describe(existing(state, request["IdentityPoolId"]))


def update_identity_pool(state: State, request: Request, now: float) -> Answer:
    pool = existing(state, request["IdentityPoolId"])
    pool.settings = _settings(request)
    if "IdentityPoolTags" in request:
        pool.tags = dict(request["IdentityPoolTags"])
    return _describe(pool)


def delete_identity_pool(state: State, request: Request, now: float) -> Answer:
    del state.identity_pools[existing(state, request["IdentityPoolId"]).id]
    return {}


def list_identity_pools(state: State, request: Request, now: float) -> Answer:
    items = [
        {"IdentityPoolId": pool.id, "IdentityPoolName": pool.settings["IdentityPoolName"]}
        for pool in state.identity_pools.values()
    ]
    size, token = request["MaxResults"], request.get("NextToken")
    return page(items, size, token, names=("IdentityPools", "NextToken"))


def set_identity_pool_roles(state: State, request: Request, now: float) -> Answer:
    pool = existing(state, request["IdentityPoolId"])
    unknown = set(request["Roles"]) - {"authenticated", "unauthenticated"}
    if unknown:
        raise invalid_parameter(f"Roles: {min(unknown)} is neither authenticated nor unauthenticated")
    for mapping in request.get("RoleMappings", {}).values():
        if (mapping["Type"] == "Rules") != ("RulesConfiguration" in mapping):
            raise invalid_parameter("RulesConfiguration belongs to the type Rules, and to it only")
        if "AmbiguousRoleResolution" not in mapping:
            raise invalid_parameter("AmbiguousRoleResolution is required for role mappings")
    pool.roles, pool.role_mappings = dict(request["Roles"]), dict(request.get("RoleMappings", {}))
    return {}


def get_identity_pool_roles(state: State, request: Request, now: float) -> Answer:
    pool = existing(state, request["IdentityPoolId"])
    answer: Answer = {"IdentityPoolId": pool.id, "Roles": pool.roles}
    return {**answer, "RoleMappings": pool.role_mappings} if pool.role_mappings else answer


def existing(state: State, pool_id: str) -> IdentityPool:
    pool = state.identity_pools.get(pool_id)
    if pool is None:
        raise not_found(f"IdentityPool '{pool_id}' not found.")
    return pool


def arn_of(state: State, pool: IdentityPool) -> str:
    return f"arn:aws:cognito-identity:{state.region}:{ACCOUNT}:identitypool/{pool.id}"


def _by_arn(state: State, arn: str) -> IdentityPool:
    for pool in state.identity_pools.values():
        if arn_of(state, pool) == arn:
            return pool
    raise not_found(f"Resource '{arn}' not found.")


def tag_resource(state: State, request: Request, now: float) -> Answer:
    _by_arn(state, request["ResourceArn"]).tags.update(request["Tags"])
    return {}


def untag_resource(state: State, request: Request, now: float) -> Answer:
    pool = _by_arn(state, request["ResourceArn"])
    pool.tags = {name: value for name, value in pool.tags.items() if name not in request["TagKeys"]}
    return {}


def list_tags_for_resource(state: State, request: Request, now: float) -> Answer:
    return {"Tags": _by_arn(state, request["ResourceArn"]).tags}


def _settings(request: Request) -> dict[str, Any]:
    settings = {
        name: value for name, value in request.items() if name not in ("IdentityPoolId", "IdentityPoolTags")
    }
    providers = settings.get("CognitoIdentityProviders", [])
    if len({(one["ProviderName"], one.get("ClientId")) for one in providers}) < len(providers):
        raise AwsError("InvalidParameterException", "A provider is named twice in CognitoIdentityProviders")
    # False is AWS's default.
    settings["CognitoIdentityProviders"] = [{"ServerSideTokenCheck": False, **one} for one in providers]
    return settings


def _describe(pool: IdentityPool) -> Answer:
    answer = {"IdentityPoolId": pool.id, **pool.settings}
    return {**answer, "IdentityPoolTags": pool.tags} if pool.tags else answer
