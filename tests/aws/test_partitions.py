"""Roles, ARNs and domains in AWS GovCloud, as its user guide has them, and everywhere else."""

from __future__ import annotations

import json

import pytest

from gateway.aws.clients import Where
from gateway.aws.partitions import managed_login_url, partition_of
from gateway.aws.provision.wanted import Wanted, trust_policy
from gateway.commands.checkup.identity_findings import judge_trust
from gateway.commands.setup import print_iam_policy

REGIONS = {
    "eu-central-1": ("aws", "cognito-identity.amazonaws.com", "auth"),
    "us-gov-west-1": ("aws-us-gov", "cognito-identity-us-gov.amazonaws.com", "auth-fips"),
    "us-gov-east-1": ("aws-us-gov", "cognito-identity.us-gov-east-1.amazonaws.com", "auth-fips"),
    "eusc-de-east-1": ("aws-eusc", "cognito-identity.amazonaws.com", "auth"),
}


@pytest.mark.parametrize("region", REGIONS)
def test_each_region_has_its_names(region: str, capsys: pytest.CaptureFixture[str]) -> None:
    partition, principal, kind = REGIONS[region]
    assert partition_of(region) == partition
    assert managed_login_url("orders", region) == f"https://orders.{kind}.{region}.amazoncognito.com"
    assert print_iam_policy(Wanted("orders"), Where(region)) == 0
    statement = json.loads(capsys.readouterr().out)["Statement"][1]
    assert statement["Resource"] == f"arn:{partition}:iam::*:role/orders-authenticated"
    pool = f"{region}:11111111-0000-4000-8000-000000000000"
    (trust,) = trust_policy(pool)["Statement"]
    assert trust["Principal"] == {"Federated": principal}
    assert trust["Condition"]["StringEquals"] == {f"{principal}:aud": pool}
    assert trust["Condition"]["ForAnyValue:StringLike"] == {f"{principal}:amr": "authenticated"}


@pytest.mark.parametrize("region", REGIONS)
def test_the_doctor_knows_them(region: str) -> None:
    pool = f"{region}:11111111-0000-4000-8000-000000000000"
    role = {"RoleName": "r", "AssumeRolePolicyDocument": trust_policy(pool)}
    assert [finding.level for finding in judge_trust(role, pool)] == ["good"]
    # What another partition's identity pools would take.
    document = json.dumps(trust_policy(pool)).replace('"cognito-identity', '"cognito-identity-other')
    role = {"RoleName": "r", "AssumeRolePolicyDocument": json.loads(document)}
    assert [finding.level for finding in judge_trust(role, pool)] == ["broken"]
