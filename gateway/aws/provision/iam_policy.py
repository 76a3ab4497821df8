"""What the person who runs `setup` must be allowed to do, as an IAM policy.

Invariant: exactly the actions that `setup`, `--plan`, `--fix`, `--destroy`, `sign-up` and `doctor` call, and
iam:PassRole, which SetIdentityPoolRoles asks for; tests record the calls and hold the two equal.
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
    "cognito-idp:ListUserPoolClients",
    "cognito-idp:ListUserPools",
    "cognito-idp:UpdateUserPool",
    "cognito-idp:UpdateUserPoolClient",
)
# A tag in a create call asks for the right to tag (AWS, "Actions for Cognito").
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
# Asked for by AWS besides what is called.
IMPLIED = frozenset({*_TAGGING, "iam:PassRole"})


def iam_policy(role_name: str, partition: str = "aws") -> dict[str, Any]:
    """The policy document for a set-up whose role has this name; `partition` as in ARNs."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            # These name what does not exist yet, or list: AWS takes no narrower resource for them.
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
    """Every action that a policy allows."""
    return {action for statement in policy["Statement"] for action in statement["Action"]}
