"""IAM's role operations, as far as an identity pool needs them.

Invariant: a role's policies are JSON documents with statements; a role with policies cannot be deleted.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from local_cognito.errors import AwsError
from local_cognito.iam.query import items, required
from local_cognito.state import ACCOUNT, State
from local_cognito.state_identity import Role

Fields = Mapping[str, str]
Result = dict[str, Any] | None

_NAME = re.compile(r"[\w+=,.@-]{1,64}")
_POLICY_NAME = re.compile(r"[\w+=,.@-]{1,128}")
_PATH = re.compile(r"/|/[\x21-\x7e]+/")


def create_role(state: State, fields: Fields, now: float) -> Result:
    name, path = required(fields, "RoleName"), fields.get("Path", "/")
    if _NAME.fullmatch(name) is None or _PATH.fullmatch(path) is None:
        raise AwsError("ValidationError", "1 validation error detected: RoleName or Path is not well formed")
    if name in state.roles:
        raise AwsError("EntityAlreadyExists", f"Role with name {name} already exists.", 409)
    session = fields.get("MaxSessionDuration", "3600")
    if re.fullmatch(r"[0-9]{4,5}", session) is None or not 3600 <= int(session) <= 43200:
        raise AwsError("ValidationError", "MaxSessionDuration is 3600 to 43200 seconds")
    role = Role(
        name=name,
        arn=f"arn:aws:iam::{ACCOUNT}:role{path}{name}",
        role_id="AROA" + secrets.token_hex(8).upper() + "0",
        path=path,
        trust=_document(required(fields, "AssumeRolePolicyDocument")),
        description=fields.get("Description"),
        max_session=int(session),
        created=now,
        tags=_tags(fields),
    )
    state.roles[name] = role
    return {"Role": _describe(role)}


def get_role(state: State, fields: Fields, now: float) -> Result:
    return {"Role": _describe(_role(state, fields))}


def delete_role(state: State, fields: Fields, now: float) -> Result:
    role = _role(state, fields)
    if role.policies:
        raise AwsError("DeleteConflict", "Cannot delete entity, must delete policies first.", 409)
    del state.roles[role.name]
    return None


def update_assume_role_policy(state: State, fields: Fields, now: float) -> Result:
    _role(state, fields).trust = _document(required(fields, "PolicyDocument"))
    return None


def put_role_policy(state: State, fields: Fields, now: float) -> Result:
    role, name = _role(state, fields), required(fields, "PolicyName")
    if _POLICY_NAME.fullmatch(name) is None:
        raise AwsError("ValidationError", "1 validation error detected: PolicyName is not well formed")
    role.policies[name] = _document(required(fields, "PolicyDocument"))
    return None


def get_role_policy(state: State, fields: Fields, now: float) -> Result:
    role, name = _policy(state, fields)
    # IAM returns documents percent-encoded (RFC 3986).
    return {"RoleName": role.name, "PolicyName": name, "PolicyDocument": quote(role.policies[name], safe="")}


def delete_role_policy(state: State, fields: Fields, now: float) -> Result:
    role, name = _policy(state, fields)
    del role.policies[name]
    return None


def list_role_policies(state: State, fields: Fields, now: float) -> Result:
    return {"PolicyNames": sorted(_role(state, fields).policies), "IsTruncated": False}


def list_attached_role_policies(state: State, fields: Fields, now: float) -> Result:
    """ListAttachedRolePolicies: managed policies are not emulated, so none are attached."""
    _role(state, fields)
    return {"AttachedPolicies": [], "IsTruncated": False}


def tag_role(state: State, fields: Fields, now: float) -> Result:
    _role(state, fields).tags.update(_tags(fields))
    return None


def list_role_tags(state: State, fields: Fields, now: float) -> Result:
    tags = [{"Key": key, "Value": value} for key, value in _role(state, fields).tags.items()]
    return {"Tags": tags, "IsTruncated": False}


def _role(state: State, fields: Fields) -> Role:
    name = required(fields, "RoleName")
    role = state.roles.get(name)
    if role is None:
        raise AwsError("NoSuchEntity", f"The role with name {name} cannot be found.", 404)
    return role


def _policy(state: State, fields: Fields) -> tuple[Role, str]:
    role, name = _role(state, fields), required(fields, "PolicyName")
    if name not in role.policies:
        raise AwsError("NoSuchEntity", f"The role policy with name {name} cannot be found.", 404)
    return role, name


def _document(text: str) -> str:
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError):
        policy = None
    if not isinstance(policy, dict) or not policy.get("Statement"):
        raise AwsError("MalformedPolicyDocument", "The policy is not JSON with a Statement.")
    return text


def _tags(fields: Fields) -> dict[str, str]:
    return {one.get("Key", ""): one.get("Value", "") for one in items(fields, "Tags")}


def _describe(role: Role) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.role_id,
        "Arn": role.arn,
        "CreateDate": f"{datetime.fromtimestamp(role.created, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "AssumeRolePolicyDocument": quote(role.trust, safe=""),
        "MaxSessionDuration": role.max_session,
    }
    if role.description is not None:
        answer["Description"] = role.description
    if role.tags:
        answer["Tags"] = [{"Key": key, "Value": value} for key, value in role.tags.items()]
    return answer
