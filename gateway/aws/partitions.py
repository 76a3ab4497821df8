"""AWS partitions: names that differ outside the commercial Regions. Pure.

Source: AWS GovCloud (US) user guide, "Amazon Cognito in AWS GovCloud (US)"; the partitions of botocore's
endpoint rules. Invariant: a Region that is not listed is a commercial one.
"""

from __future__ import annotations

# Prefixes of Regions, and the partition in their ARNs. China has no user pools.
_PARTITIONS = {"us-gov-": "aws-us-gov", "eusc-": "aws-eusc", "cn-": "aws-cn"}
# Service principals of identity pools, which also prefix the condition keys in trust policies.
_PRINCIPALS = {
    "us-gov-west-1": "cognito-identity-us-gov.amazonaws.com",
    "us-gov-east-1": "cognito-identity.us-gov-east-1.amazonaws.com",
}


def partition_of(region: str) -> str:
    """Return the partition of a Region: `aws`, `aws-us-gov`, …"""
    return next((name for start, name in _PARTITIONS.items() if region.startswith(start)), "aws")


def identity_principal(identity_pool_id: str) -> str:
    return _PRINCIPALS.get(identity_pool_id.partition(":")[0], "cognito-identity.amazonaws.com")


def managed_login_url(prefix: str, region: str) -> str:
    """Return the URL of a prefix domain; GovCloud has only the FIPS name."""
    kind = "auth-fips" if partition_of(region) == "aws-us-gov" else "auth"
    return f"https://{prefix}.{kind}.{region}.amazoncognito.com"
