"""Checks of an identity pool and its role against the configuration. Pure.

Invariant: descriptions are not modified.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.aws.partitions import identity_principal
from gateway.commands.checkup.finding import Finding, broken, good, warning
from gateway.config.model import UserPool

Described = Mapping[str, Any]


def judge_identity_pool(described: Described, roles: Described, pool: UserPool) -> Iterator[Finding]:
    """Check that signed-in users of this pool, and only they, get credentials."""
    about = f"identity pool {pool.identity_pool_id}"
    yield good(about, f"exists with the name {described.get('IdentityPoolName')}")
    name = f"cognito-idp.{pool.region}.amazonaws.com/{pool.id}"
    providers = [
        each for each in described.get("CognitoIdentityProviders", []) if each.get("ProviderName") == name
    ]
    unknown = set(pool.client_ids) - {each.get("ClientId") for each in providers}
    if unknown:
        yield broken(
            about,
            f"does not accept tokens of {', '.join(sorted(unknown))}",
            "users who signed in with that client get no AWS credentials",
            "cognito-gateway setup --identity-pool --fix, or add the provider in the console",
        )
    if any(not each.get("ServerSideTokenCheck") for each in providers):
        yield warning(
            about,
            "does not check tokens with the user pool",
            "signed-out and disabled users get AWS credentials until their tokens expire",
            "enable ServerSideTokenCheck: cognito-gateway setup --identity-pool --fix",
        )
    if described.get("AllowUnauthenticatedIdentities"):
        yield warning(
            about,
            "gives AWS credentials to anyone",
            "unauthenticated identities are allowed",
            "disable guest access, unless anonymous users are meant to have its role",
        )
    if not roles.get("Roles", {}).get("authenticated"):
        yield broken(
            about,
            "has no role for authenticated users",
            "GetCredentialsForIdentity answers InvalidIdentityPoolConfigurationException",
            "cognito-gateway setup --identity-pool",
        )


def judge_trust(role: Described, identity_pool_id: str) -> Iterator[Finding]:
    """Check that the role can be assumed through this identity pool, and through no other."""
    about = f"IAM role {role.get('RoleName')}"
    document = role.get("AssumeRolePolicyDocument")
    statements = document.get("Statement", []) if isinstance(document, Mapping) else []
    if isinstance(statements, Mapping):
        statements = [statements]
    whom = identity_principal(identity_pool_id)
    ours = [
        each
        for each in statements
        if _federated(each, whom) and _values(each, f"{whom}:aud") == {identity_pool_id}
    ]
    if not ours:
        yield broken(
            about,
            "does not trust only this identity pool",
            "its aud condition is missing or names another: credentials are refused, or anyone gets them",
            "cognito-gateway setup --identity-pool --fix",
        )
    elif all(_values(each, f"{whom}:amr") != {"authenticated"} for each in ours):
        yield warning(
            about,
            "can be assumed without signing in",
            "its trust policy has no amr condition for authenticated identities",
            "cognito-gateway setup --identity-pool --fix",
        )
    else:
        yield good(about, "trusts authenticated users of this identity pool")


def _federated(statement: Any, whom: str) -> bool:
    principal = statement.get("Principal", {}) if isinstance(statement, Mapping) else {}
    return isinstance(principal, Mapping) and principal.get("Federated") == whom


def _values(statement: Mapping[str, Any], key: str) -> set[str]:
    """Return the values that the conditions on this key accept, whatever their operator."""
    found: set[str] = set()
    for tests in statement.get("Condition", {}).values():
        value = tests.get(key)
        found |= {value} if isinstance(value, str) else set(value or ())
    return found
