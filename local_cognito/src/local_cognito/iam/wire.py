"""IAM and STS over HTTP: one POST in the Query protocol.

Invariant: every error becomes AWS-shaped XML.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from local_cognito.errors import AwsError
from local_cognito.iam import query, roles, sts
from local_cognito.iam.sigv4 import Signed, access_key
from local_cognito.state import State

ROLE_ACTIONS: dict[str, Callable[[State, Mapping[str, str], float], dict[str, Any] | None]] = {
    "CreateRole": roles.create_role,
    "GetRole": roles.get_role,
    "DeleteRole": roles.delete_role,
    "UpdateAssumeRolePolicy": roles.update_assume_role_policy,
    "PutRolePolicy": roles.put_role_policy,
    "GetRolePolicy": roles.get_role_policy,
    "DeleteRolePolicy": roles.delete_role_policy,
    "ListRolePolicies": roles.list_role_policies,
    "ListAttachedRolePolicies": roles.list_attached_role_policies,
    "TagRole": roles.tag_role,
    "ListRoleTags": roles.list_role_tags,
}
STS_ACTIONS = ("GetCallerIdentity",)
# The Version field distinguishes the services, which share one address here.
_IAM, _STS = "2010-05-08", "2011-06-15"
_NAMESPACES = {
    _IAM: "https://iam.amazonaws.com/doc/2010-05-08/",
    _STS: "https://sts.amazonaws.com/doc/2011-06-15/",
}


def answer(state: State, request: Signed, now: float) -> tuple[int, str]:
    """Return status and XML of the response."""
    request_id, version = str(uuid.uuid4()), ""
    try:
        fields = query.parse(request.body)
        version, action = fields.get("Version", ""), fields.get("Action", "")
        result = _run(state, request, fields, now)
        return 200, query.answer(action, _NAMESPACES[version], result, request_id)
    except AwsError as error:
        return error.status, query.refusal(error, _NAMESPACES.get(version, _NAMESPACES[_STS]), request_id)


def _run(state: State, request: Signed, fields: Mapping[str, str], now: float) -> dict[str, Any] | None:
    version, action = fields.get("Version", ""), fields.get("Action", "")
    if version == _STS and action in STS_ACTIONS:
        return sts.get_caller_identity(state, request, now)
    if version != _IAM or action not in ROLE_ACTIONS:
        raise AwsError("InvalidAction", f"The local Cognito does not have the action {action} of {version}")
    # As for user pools, any signature is accepted.
    access_key(request)
    return ROLE_ACTIONS[action](state, fields, now)
