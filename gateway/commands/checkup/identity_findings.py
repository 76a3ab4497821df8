"""An identity pool and the role it hands out, against what the configuration expects. Pure.

Invariant: descriptions are only read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.aws.partitions import identity_principal
from gateway.commands.checkup.finding import Finding, broken, good, warning
from gateway.config.model import UserPool

Described = Mapping[str, Any]


def judge_identity_pool(described: Described, roles: Described, pool: UserPool) -> Iterator[Finding]:
    """Whether signed-in people of this pool, and only they, get credentials."""
    about = f"identity pool {pool.identity_pool_id}"
    yield good(about, f"exists, called {described.get('IdentityPoolName')}")
    name = f"cognito-idp.{pool.region}.amazonaws.com/{pool.id}"
    providers = [
        each for each in described.get("CognitoIdentityProviders", []) if each.get("ProviderName") == name
    ]
    unknown = set(pool.client_ids) - {each.get("ClientId") for each in providers}
    if unknown:
        yield broken(
            about,
            f"does not take tokens of {', '.join(sorted(unknown))}",
            "people who signed in with it get no AWS credentials",
            "cognito-gateway setup --identity-pool --fix, or add the provider in the console",
        )
    if any(not each.get("ServerSideTokenCheck") for each in providers):
        yield warning(
            about,
            "does not ask the user pool about tokens",
            "signed-out and disabled users get AWS credentials until their token expires",
            "switch ServerSideTokenCheck on: cognito-gateway setup --identity-pool --fix",
        )
    if described.get("AllowUnauthenticatedIdentities"):
        yield warning(
            about,
            "gives AWS credentials to anyone",
            "unauthenticated identities are allowed",
            "switch guest access off, unless strangers are meant to have its role",
        )
    if not roles.get("Roles", {}).get("authenticated"):
        yield broken(
            about,
            "has no role for signed-in people",
            "GetCredentialsForIdentity answers InvalidIdentityPoolConfigurationException",
            "cognito-gateway setup --identity-pool",
        )


def judge_trust(role: Described, identity_pool_id: str) -> Iterator[Finding]:
    """Whether the role can be taken through this identity pool, and through no other."""
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
            "does not trust this identity pool alone",
            "its aud condition names another or is missing: credentials are refused, or anyone gets them",
            "cognito-gateway setup --identity-pool --fix",
        )
    elif all(_values(each, f"{whom}:amr") != {"authenticated"} for each in ours):
        yield warning(
            about,
            "can be taken by people who did not sign in",
            "its trust policy has no amr condition for authenticated identities",
            "cognito-gateway setup --identity-pool --fix",
        )
    else:
        yield good(about, "trusts signed-in people of this identity pool")


def _federated(statement: Any, whom: str) -> bool:
    principal = statement.get("Principal", {}) if isinstance(statement, Mapping) else {}
    return isinstance(principal, Mapping) and principal.get("Federated") == whom


def _values(statement: Mapping[str, Any], key: str) -> set[str]:
    """What the conditions on this key let through, whatever their operator."""
    found: set[str] = set()
    for tests in statement.get("Condition", {}).values():
        value = tests.get(key)
        found |= {value} if isinstance(value, str) else set(value or ())
    return found
