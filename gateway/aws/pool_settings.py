"""Partial updates of user pools and app clients, whose API replaces all settings at once.

UpdateUserPool and UpdateUserPoolClient reset omitted members (docs.aws.amazon.com, UpdateUserPool: "If you
don't provide a value for an attribute, Amazon Cognito sets it to its default value"). So the settings are
read first, and everything that the update accepts is sent back.

Invariant: `update_of` includes every member of the update operation that the description has, and changes
only what is asked for.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from gateway.aws.clients import Aws

Settings = Mapping[str, Any]


def describe_pool(aws: Aws, pool_id: str) -> dict[str, Any]:
    answer = aws.call("cognito-idp", "DescribeUserPool", UserPoolId=pool_id)
    return dict(answer["UserPool"])


def mfa_config(aws: Aws, pool_id: str) -> dict[str, Any]:
    """Return the settings of second factors and passkeys."""
    return aws.call("cognito-idp", "GetUserPoolMfaConfig", UserPoolId=pool_id)


def describe_client(aws: Aws, pool_id: str, client_id: str) -> dict[str, Any]:
    answer = aws.call("cognito-idp", "DescribeUserPoolClient", UserPoolId=pool_id, ClientId=client_id)
    return dict(answer["UserPoolClient"])


def update_pool(aws: Aws, described: Settings, changes: Settings) -> None:
    """Change these settings of a user pool and no others; nested structures are merged."""
    request = update_of(_input(aws, "UpdateUserPool"), described, changes)
    # Members that have other names in descriptions than in updates.
    request |= {"UserPoolId": described["Id"], "PoolName": described["Name"]}
    _drop_deprecated(request)
    aws.call("cognito-idp", "UpdateUserPool", **request)


def update_client(aws: Aws, described: Settings, changes: Settings) -> None:
    request = update_of(_input(aws, "UpdateUserPoolClient"), described, changes)
    aws.call("cognito-idp", "UpdateUserPoolClient", **request)


def update_of(shape: StructureShape, described: Settings, changes: Settings) -> dict[str, Any]:
    """Return the update request that keeps everything in `described` except for `changes`. Pure."""
    request: dict[str, Any] = _kept(shape, described)
    for name, value in changes.items():
        before = request.get(name)
        merge = isinstance(before, dict) and isinstance(value, Mapping)
        request[name] = {**before, **value} if merge and before is not None else copy.deepcopy(value)
    return request


def _kept(shape: Shape, value: Any) -> Any:
    """Return the part of a value that this shape accepts: descriptions have members that updates do not."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        return {name: _kept(shape.members[name], value[name]) for name in shape.members if name in value}
    if isinstance(shape, ListShape):
        return [_kept(shape.member, each) for each in value]
    if isinstance(shape, MapShape):
        return {name: _kept(shape.value, each) for name, each in value.items()}
    return value


def _drop_deprecated(request: dict[str, Any]) -> None:
    # AWS refuses both together; the second replaced the first (AdminCreateUserConfigType).
    policy = request.get("Policies", {}).get("PasswordPolicy", {})
    if policy.get("TemporaryPasswordValidityDays"):
        request.get("AdminCreateUserConfig", {}).pop("UnusedAccountValidityDays", None)


def _input(aws: Aws, operation: str) -> StructureShape:
    shape: StructureShape = (
        aws.client("cognito-idp").meta.service_model.operation_model(operation).input_shape
    )
    return shape
