"""The IAM policy that `setup` needs.

Invariant: exactly the actions that `setup`, `--plan`, `--fix`, `--destroy`, `sign-up` and `doctor` call, and
iam:PassRole, which SetIdentityPoolRoles requires; tests record the calls and compare.
"""

from __future__ import annotations

from typing import Any

_USER_POOLS = (
    "cognito-idp:CreateUserPool",
    "cognito-idp:CreateUserPoolClient",
    "cognito-idp:CreateUserPoolDomain",
    "cognito-idp:DeleteUserPool",
    "cognito-idp:DeleteUserPoolDomain",
    "cognito-idp:DescribeUserPool",
    "cognito-idp:DescribeUserPoolClient",
    "cognito-idp:GetUserPoolMfaConfig",
    "cognito-idp:ListUserPoolClients",
    "cognito-idp:ListUserPools",
    "cognito-idp:UpdateUserPool",
    "cognito-idp:UpdateUserPoolClient",
)
# Tags in a create call need permission to tag (AWS, "Actions for Cognito").
_TAGGING = ("cognito-identity:TagResource", "cognito-idp:TagResource", "iam:TagRole")
_IDENTITY_POOLS = (
    "cognito-identity:CreateIdentityPool",
    "cognito-identity:DeleteIdentityPool",
    "cognito-identity:DescribeIdentityPool",
    "cognito-identity:GetIdentityPoolRoles",
    "cognito-identity:ListIdentityPools",
    "cognito-identity:SetIdentityPoolRoles",
    "cognito-identity:UpdateIdentityPool",
)
_ROLE = (
    "iam:CreateRole",
    "iam:DeleteRole",
    "iam:DeleteRolePolicy",
    "iam:GetRole",
    "iam:ListRolePolicies",
    "iam:PassRole",
    "iam:UpdateAssumeRolePolicy",
)
# Required by AWS though never called.
IMPLIED = frozenset({*_TAGGING, "iam:PassRole"})


def iam_policy(role_name: str, partition: str = "aws") -> dict[str, Any]:
    """Return the policy document for a set-up with this role name; `partition` as in ARNs."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            # These actions list, or create resources without an ARN yet: AWS accepts no narrower resource.
            {
                "Sid": "Pools",
                "Effect": "Allow",
                "Action": sorted((*_USER_POOLS, *_IDENTITY_POOLS, *_TAGGING[:2])),
                "Resource": "*",
            },
            {
                "Sid": "RoleOfSignedInPeople",
                "Effect": "Allow",
                "Action": sorted((*_ROLE, *_TAGGING[2:])),
                "Resource": f"arn:{partition}:iam::*:role/{role_name}",
            },
        ],
    }


def actions(policy: dict[str, Any]) -> set[str]:
    """Return every action that a policy allows."""
    return {action for statement in policy["Statement"] for action in statement["Action"]}
