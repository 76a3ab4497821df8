"""The desired settings of `setup`, as members of AWS requests. Pure.

Invariant: nothing here grants more than a gateway and a single-page application need: no client secret, no
unauthenticated access, a role that only signed-in users of this one identity pool can assume.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.aws.partitions import identity_principal

# Marks what `setup` created, with the set-up's name as its value; `--destroy` deletes nothing else.
TAG = "cognito-gateway"

# The console's first four flows plus refresh: choice-based, password, SRP, and the AWS CLI's admin flow.
AUTH_FLOWS = (
    "ALLOW_ADMIN_USER_PASSWORD_AUTH",
    "ALLOW_REFRESH_TOKEN_AUTH",
    "ALLOW_USER_AUTH",
    "ALLOW_USER_PASSWORD_AUTH",
    "ALLOW_USER_SRP_AUTH",
)
# aws.cognito.signin.user.admin: without it, Cognito cannot be asked whether a token was revoked.
_OAUTH_SCOPES = ("aws.cognito.signin.user.admin", "email", "openid", "profile")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One set-up; every resource is named after `name`."""

    name: str
    self_sign_up: bool = False
    # The domain prefix of managed login; None: our own pages.
    domain_prefix: str | None = None
    callback_urls: tuple[str, ...] = ()
    logout_urls: tuple[str, ...] = ()
    identity_pool: bool = False

    @property
    def role_name(self) -> str:
        return f"{self.name}-authenticated"


def fixed_pool_settings() -> dict[str, Any]:
    """Return what CreateUserPool decides for the life of a pool; docs/commands.md has the reasons.

    Nothing of it is left to AWS's defaults. AliasAttributes is missing because AWS refuses it beside
    UsernameAttributes.
    """
    return {
        "UsernameAttributes": ["email"],
        # AWS's default makes Jane@example.com and jane@example.com two users.
        "UsernameConfiguration": {"CaseSensitive": False},
        "Schema": [{"Name": "email", "AttributeDataType": "String", "Mutable": True, "Required": False}],
    }


def pool_settings(wanted: Wanted) -> dict[str, Any]:
    """Return settings for CreateUserPool and UpdateUserPool: Cognito verifies e-mail addresses."""
    return {
        "AutoVerifiedAttributes": ["email"],
        # The old address stays in force until the code sent to the new one is entered.
        "UserAttributeUpdateSettings": {"AttributesRequireVerificationBeforeUpdate": ["email"]},
        "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": not wanted.self_sign_up},
        "AccountRecoverySetting": {"RecoveryMechanisms": [{"Priority": 1, "Name": "verified_email"}]},
        # A deleted user pool takes all its users with it. `--destroy` asks first, then turns this off.
        "DeletionProtection": "ACTIVE",
    }


def client_settings(wanted: Wanted) -> dict[str, Any]:
    """Return CreateUserPoolClient settings for a single-page application, which cannot keep a secret."""
    settings: dict[str, Any] = {
        "ExplicitAuthFlows": list(AUTH_FLOWS),
        # The API's default, LEGACY, reveals who has an account.
        "PreventUserExistenceErrors": "ENABLED",
        "EnableTokenRevocation": True,
    }
    if wanted.domain_prefix is not None:
        settings |= {
            "AllowedOAuthFlowsUserPoolClient": True,
            "AllowedOAuthFlows": ["code"],
            "AllowedOAuthScopes": list(_OAUTH_SCOPES),
            "SupportedIdentityProviders": ["COGNITO"],
            "CallbackURLs": list(wanted.callback_urls),
            "LogoutURLs": list(wanted.logout_urls),
        }
    return settings


def identity_pool_settings(*, region: str, pool_id: str, client_id: str) -> dict[str, Any]:
    """Return CreateIdentityPool settings: this pool and client only, and tokens are checked at Cognito."""
    return {
        "AllowUnauthenticatedIdentities": False,
        # The classic flow lets the caller choose any role that trusts the pool.
        "AllowClassicFlow": False,
        "CognitoIdentityProviders": [
            {
                "ProviderName": f"cognito-idp.{region}.amazonaws.com/{pool_id}",
                "ClientId": client_id,
                # Signed-out and disabled users get no AWS credentials.
                "ServerSideTokenCheck": True,
            }
        ],
    }


def trust_policy(identity_pool_id: str) -> dict[str, Any]:
    """Return the role's trust policy: authenticated identities of this identity pool may assume it.

    Source: AWS, "IAM roles", role trust and permissions. Without both conditions, any identity pool in any
    account could use the role.
    """
    principal = identity_principal(identity_pool_id)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": principal},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {f"{principal}:aud": identity_pool_id},
                    "ForAnyValue:StringLike": {f"{principal}:amr": "authenticated"},
                },
            }
        ],
    }


def lasting(found: Mapping[str, Any]) -> list[str]:
    """Return how a pool differs from `fixed_pool_settings` where users notice it."""
    found_differences = []
    if found.get("UsernameAttributes", []) != ["email"]:
        found_differences.append("users do not sign in by email address alone")
    if is_case_sensitive(found):
        found_differences.append("user names are case-sensitive: Jane@ and jane@ are two users")
    return found_differences


def is_case_sensitive(pool: Mapping[str, Any]) -> bool:
    """Return whether a user pool, as described by AWS, distinguishes Jane@ from jane@; AWS's default."""
    return bool((pool.get("UsernameConfiguration") or {}).get("CaseSensitive", True))


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of `wanted` that differ in `found`; the order of lists does not matter."""
    return {name: value for name, value in wanted.items() if not _satisfied(value, found.get(name))}


def difference_lines(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return a clause for each difference: the value found, and the value wanted."""
    return [
        line for name, value in wanted.items() for line in _difference_lines(name, value, found.get(name))
    ]


def _difference_lines(name: str, wanted: Any, found: Any) -> Iterator[str]:
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for member, value in wanted.items():
            yield from _difference_lines(f"{name}.{member}", value, found.get(member))
    elif not _satisfied(wanted, found):
        yield f"{name} is {_shown(found)}, wanted {_shown(wanted)}"


def _satisfied(wanted: Any, found: Any) -> bool:
    """Return whether `found` meets `wanted`. It may have more members: AWS fills in defaults."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(_satisfied(v, found.get(k)) for k, v in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(found, list) or len(found) != len(wanted):
            return False
        return all(any(_satisfied(each, other) for other in found) for each in wanted)
    return bool(wanted == found)


def _shown(value: Any) -> str:
    if value is None or value == []:
        return "not set"
    if isinstance(value, list):
        return ", ".join(_shown(each) for each in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
