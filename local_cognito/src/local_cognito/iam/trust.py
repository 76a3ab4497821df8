"""Evaluation of a role's trust policy for an identity of an identity pool.

Pure. Invariant: fails closed; an unknown operator, key or form grants nothing.
Source: developer guide, "IAM roles", trust policies for cognito-identity.amazonaws.com.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

_FEDERATED = "cognito-identity.amazonaws.com"
_ACTIONS = ("sts:AssumeRoleWithWebIdentity", "sts:*", "*")
_LIKE = ("StringLike", "ForAnyValue:StringLike")
_EQUAL = ("StringEquals", "ForAnyValue:StringEquals")


def trusts(policy: str, *, pool_id: str, identity_id: str, amr: str) -> bool:
    """Return whether the policy, a JSON document, trusts the identity; `amr`: (un)authenticated."""
    context = {f"{_FEDERATED}:aud": [pool_id], f"{_FEDERATED}:sub": [identity_id], f"{_FEDERATED}:amr": [amr]}
    statements = _list(json.loads(policy).get("Statement", []))
    fitting = [one for one in statements if isinstance(one, dict) and _fits(one, context)]
    if any(one.get("Effect") != "Allow" for one in fitting):
        return False
    return bool(fitting)


def trust_policy(pool_id: str) -> dict[str, Any]:
    """Return the trust policy that AWS's guide gives for an identity pool's signed-in users."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": _FEDERATED},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {f"{_FEDERATED}:aud": pool_id},
                    "ForAnyValue:StringLike": {f"{_FEDERATED}:amr": "authenticated"},
                },
            }
        ],
    }


def _fits(statement: Mapping[str, Any], context: Mapping[str, list[str]]) -> bool:
    principal = statement.get("Principal")
    federated = _list(principal.get("Federated", [])) if isinstance(principal, dict) else []
    if _FEDERATED not in federated:
        return False
    if not any(action in _ACTIONS for action in _list(statement.get("Action", []))):
        return False
    conditions = statement.get("Condition", {})
    return isinstance(conditions, dict) and all(
        _holds(operator, key, _list(wanted), context)
        for operator, keys in conditions.items()
        for key, wanted in (keys.items() if isinstance(keys, dict) else [("", [])])
    )


def _holds(operator: str, key: str, wanted: list[Any], context: Mapping[str, list[str]]) -> bool:
    values = context.get(key, [])
    if operator in _EQUAL:
        return any(value in wanted for value in values)
    if operator in _LIKE:
        # IAM wildcards are * and ? only, no brackets.
        patterns = [str(one).replace("[", "[[]") for one in wanted]
        return any(fnmatchcase(value, pattern) for value in values for pattern in patterns)
    return False


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
