"""Steps of `setup`: the identity pool, the IAM role of signed-in users, and their association.

Invariant: the role trusts only the authenticated identities of one identity pool.
"""

from __future__ import annotations

import json
from typing import Any

from gateway.aws.clients import Aws, AwsRefused
from gateway.aws.provision import wanted as w
from gateway.aws.provision.step import PAGE, Made, StepState, only
from gateway.aws.provision.wanted import TAG, Wanted


class IdentityPoolStep:
    title = "identity pool"

    def __init__(self, aws: Aws, wanted: Wanted) -> None:
        self._aws, self._wanted = aws, wanted

    def look(self, made: Made) -> StepState:
        name = self._wanted.name
        pools = self._aws.pages("cognito-identity", "ListIdentityPools", "IdentityPools", MaxResults=PAGE)
        found = only([each["IdentityPoolId"] for each in pools if each["IdentityPoolName"] == name], name)
        if found is None:
            return StepState(name, None)
        made.identity_pool_id = found
        pool = self._aws.call("cognito-identity", "DescribeIdentityPool", IdentityPoolId=found)
        pool.pop("ResponseMetadata", None)
        differences = w.difference_lines(self._settings(made), pool)
        ours = pool.get("IdentityPoolTags", {}).get(TAG) == name
        return StepState(name, found, differences, ours, pool)

    def make(self, made: Made) -> str:
        pool = self._aws.call(
            "cognito-identity",
            "CreateIdentityPool",
            IdentityPoolName=self._wanted.name,
            IdentityPoolTags={TAG: self._wanted.name},
            **self._settings(made),
        )
        made.identity_pool_id = pool["IdentityPoolId"]
        return str(pool["IdentityPoolId"])

    def fix(self, made: Made, finding: StepState) -> None:
        # An update removes what it leaves out, as for user pools: everything is sent back.
        self._aws.call("cognito-identity", "UpdateIdentityPool", **finding.described | self._settings(made))

    def _settings(self, made: Made) -> dict[str, Any]:
        # In a plan, pool and client may not exist yet; then any value counts as different.
        return w.identity_pool_settings(
            region=self._aws.region, pool_id=made.pool_id or "", client_id=made.client_id or ""
        )

    def destroy(self, finding: StepState) -> None:
        self._aws.call("cognito-identity", "DeleteIdentityPool", IdentityPoolId=finding.found)


class Role:
    """The IAM role of signed-in users. It has no permissions yet: those are for the API's owner to grant."""

    title = "IAM role"

    def __init__(self, aws: Aws, wanted: Wanted) -> None:
        self._aws, self._wanted = aws, wanted

    def look(self, made: Made) -> StepState:
        name = self._wanted.role_name
        try:
            role = self._aws.call("iam", "GetRole", RoleName=name)["Role"]
        except AwsRefused as refused:
            if not refused.missing:
                raise
            return StepState(name, None)
        made.role_arn = role["Arn"]
        tags = {tag["Key"]: tag["Value"] for tag in role.get("Tags", [])}
        trusts = role.get("AssumeRolePolicyDocument")
        same = trusts == w.trust_policy(made.identity_pool_id or "")
        differences = [] if same else ["its trust policy is not that of this identity pool"]
        return StepState(name, role["Arn"], differences, tags.get(TAG) == self._wanted.name)

    def make(self, made: Made) -> str:
        role = self._aws.call(
            "iam",
            "CreateRole",
            RoleName=self._wanted.role_name,
            # IAM's default; it cannot be changed later.
            Path="/",
            AssumeRolePolicyDocument=json.dumps(w.trust_policy(made.identity_pool_id or "")),
            Description="For people who signed in at the user pool of the same name (cognito-gateway setup)",
            Tags=[{"Key": TAG, "Value": self._wanted.name}],
        )["Role"]
        made.role_arn = role["Arn"]
        return str(role["Arn"])

    def fix(self, made: Made, finding: StepState) -> None:
        self._aws.call(
            "iam",
            "UpdateAssumeRolePolicy",
            RoleName=finding.name,
            PolicyDocument=json.dumps(w.trust_policy(made.identity_pool_id or "")),
        )

    def destroy(self, finding: StepState) -> None:
        name = finding.name
        for policy in self._aws.call("iam", "ListRolePolicies", RoleName=name)["PolicyNames"]:
            self._aws.call("iam", "DeleteRolePolicy", RoleName=name, PolicyName=policy)
        self._aws.call("iam", "DeleteRole", RoleName=name)


class AuthenticatedRole:
    """The role that the identity pool gives to signed-in users."""

    title = "role of signed-in people"

    def __init__(self, aws: Aws, wanted: Wanted) -> None:
        self._aws, self._wanted = aws, wanted

    def look(self, made: Made) -> StepState:
        name = self._wanted.role_name
        if made.identity_pool_id is None:
            return StepState(name, None)
        roles = self._aws.call(
            "cognito-identity", "GetIdentityPoolRoles", IdentityPoolId=made.identity_pool_id
        )
        found = roles.get("Roles", {}).get("authenticated")
        if found is None:
            return StepState(name, None)
        described = {member: roles[member] for member in roles if member in {"Roles", "RoleMappings"}}
        differences = [] if found == made.role_arn else [f"it is {found}, wanted {name}"]
        return StepState(found.rpartition("/")[2], found, differences, described=described)

    def make(self, made: Made) -> str:
        self._set(made, {})
        return self._wanted.role_name

    def fix(self, made: Made, finding: StepState) -> None:
        self._set(made, finding.described)

    def _set(self, made: Made, described: dict[str, Any]) -> None:
        roles = {**described.get("Roles", {}), "authenticated": made.role_arn}
        self._aws.call(
            "cognito-identity",
            "SetIdentityPoolRoles",
            **{**described, "IdentityPoolId": made.identity_pool_id, "Roles": roles},
        )
