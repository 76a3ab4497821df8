"""What AWS calls things elsewhere than in its commercial Regions. Pure.

Source: AWS GovCloud (US) user guide, "Amazon Cognito in AWS GovCloud (US)"; the partitions of botocore's
endpoint rules. Invariant: a Region that is not listed is one of the commercial ones.
"""

from __future__ import annotations

# How Regions begin, and the second part of ARNs there. In China there are no user pools.
_PARTITIONS = {"us-gov-": "aws-us-gov", "eusc-": "aws-eusc", "cn-": "aws-cn"}
# Who takes the roles of an identity pool, and the beginning of the condition keys in their trust policies.
_PRINCIPALS = {
    "us-gov-west-1": "cognito-identity-us-gov.amazonaws.com",
    "us-gov-east-1": "cognito-identity.us-gov-east-1.amazonaws.com",
}


def partition_of(region: str) -> str:
    """`aws`, `aws-us-gov`, …"""
    return next((name for start, name in _PARTITIONS.items() if region.startswith(start)), "aws")


def identity_principal(identity_pool_id: str) -> str:
    return _PRINCIPALS.get(identity_pool_id.partition(":")[0], "cognito-identity.amazonaws.com")


def managed_login_url(prefix: str, region: str) -> str:
    """Of a prefix domain; GovCloud answers under its FIPS name only."""
    kind = "auth-fips" if partition_of(region) == "aws-us-gov" else "auth"
    return f"https://{prefix}.{kind}.{region}.amazoncognito.com"
