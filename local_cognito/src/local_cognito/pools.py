"""Operations on user pools.

Invariant: a pool's settings are always complete; as in Cognito, UpdateUserPool resets every omitted member to
its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_cognito.attributes import schema_of
from local_cognito.errors import AwsError, invalid_parameter
from local_cognito.levels import acr_names
from local_cognito.pages import page
from local_cognito.passkeys import MULTI_FACTOR
from local_cognito.passwords import PasswordPolicy
from local_cognito.state import Pool, State, new_pool_id

Request = Mapping[str, Any]
Answer = dict[str, Any]

# Immutable after creation.
# DcrConfiguration's defaults (API reference, DcrConfigurationType).
_REGISTRATION: dict[str, Any] = {
    "EnableStatus": "Enabled",
    "OpenDcrEnabled": False,
    "AuthenticatedGrantTypes": ["code", "client_credentials"],
    "OpenDcrGrantTypes": ["code"],
    "AllowedScopes": [],
}
_FIXED = ("AliasAttributes", "UsernameAttributes", "UsernameConfiguration")


def create_user_pool(state: State, request: Request, now: float, pool_id: str | None = None) -> Answer:
    """CreateUserPool. `pool_id`: from the seed; None generates one in Cognito's form."""
    fixed = {name: request[name] for name in _FIXED if name in request}
    if fixed.get("AliasAttributes") and fixed.get("UsernameAttributes"):
        raise invalid_parameter(
            "Only one of the aliasAttributes or usernameAttributes can be set in a user pool."
        )
    settings = _settings(request)
    _check_registration(settings)
    check_mfa(settings, {}, offered="SmsConfiguration" in settings)
    pool = Pool(
        id=pool_id or new_pool_id(state.region),
        name=request["PoolName"],
        settings=settings,
        fixed=fixed,
        policy=_policy(request),
        schema=schema_of(request.get("Schema", [])),
        keys=state.new_keys(),
        created=now,
        modified=now,
    )
    state.pools[pool.id] = pool
    return {"UserPool": _describe(pool)}


def describe_user_pool(state: State, request: Request, now: float) -> Answer:
    return {"UserPool": _describe(state.pool(request["UserPoolId"]))}


def update_user_pool(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    settings = _settings(request)
    # API reference, UpdateUserPool: omitted, it stays as it is.
    if "DcrConfiguration" not in request and "DcrConfiguration" in pool.settings:
        settings["DcrConfiguration"] = pool.settings["DcrConfiguration"]
    _check_registration(settings)
    offered = pool.software_token_mfa or pool.email_mfa is not None or "SmsConfiguration" in settings
    check_mfa(settings, pool.webauthn, offered=offered)
    pool.name = request.get("PoolName", pool.name)
    pool.settings = settings
    pool.policy = _policy(request)
    pool.modified = now
    return {}


def delete_user_pool(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    if pool.settings["DeletionProtection"] == "ACTIVE":
        raise invalid_parameter(
            "The user pool cannot be deleted because deletion protection is activated. "
            "Deletion protection must be inactivated first."
        )
    del state.pools[pool.id]
    return {}


def list_user_pools(state: State, request: Request, now: float) -> Answer:
    items = [
        {
            "Id": pool.id,
            "Name": pool.name,
            "LambdaConfig": {},
            "LastModifiedDate": pool.modified,
            "CreationDate": pool.created,
        }
        for pool in state.pools.values()
    ]
    return page(items, request["MaxResults"], request.get("NextToken"), names=("UserPools", "NextToken"))


def _settings(request: Request) -> dict[str, Any]:
    dropped = {"PoolName", "UserPoolId", "Schema", "Policies", *_FIXED}
    policy = request.get("Policies", {}).get("SignInPolicy", {})
    settings: dict[str, Any] = {
        "DeletionProtection": "INACTIVE",
        "EmailConfiguration": {"EmailSendingAccount": "COGNITO_DEFAULT"},
        "IssuerConfiguration": {"Type": "ORIGINAL"},
        "VerificationMessageTemplate": {"DefaultEmailOption": "CONFIRM_WITH_CODE"},
        "LambdaConfig": {},
        "MfaConfiguration": "OFF",
        "SignInPolicy": {"AllowedFirstAuthFactors": policy.get("AllowedFirstAuthFactors") or ["PASSWORD"]},
        "UserPoolTags": {},
        "UserPoolTier": "ESSENTIALS",
    }
    settings.update({name: value for name, value in request.items() if name not in dropped})
    settings["AcrConfiguration"] = acr_names(settings.get("AcrConfiguration", {}), settings["UserPoolTier"])
    if "DcrConfiguration" in settings:
        settings["DcrConfiguration"] = {**_REGISTRATION, **settings["DcrConfiguration"]}
    kept = settings.get("UserAttributeUpdateSettings", {}).get(
        "AttributesRequireVerificationBeforeUpdate", []
    )
    if not set(kept) <= set(settings.get("AutoVerifiedAttributes", [])):
        raise invalid_parameter(
            "All attributes in AttributesRequireVerificationBeforeUpdate must exist in AutoVerifiedAttributes"
        )
    create = settings.get("AdminCreateUserConfig", {})
    days = request.get("Policies", {}).get("PasswordPolicy", {}).get("TemporaryPasswordValidityDays")
    # DescribeUserPool returns both; an update with both is refused.
    if days is not None and "UnusedAccountValidityDays" in create:
        raise invalid_parameter(
            "Please use TemporaryPasswordValidityDays in PasswordPolicy instead of UnusedAccountValidityDays"
        )
    settings["AdminCreateUserConfig"] = {
        "AllowAdminCreateUserOnly": False,
        "UnusedAccountValidityDays": days or 7,
        **create,
    }
    return settings


def check_mfa(settings: Mapping[str, Any], webauthn: Mapping[str, Any], *, offered: bool) -> None:
    """Check that MFA has a method, and that required MFA excludes passwordless sign-in."""
    setting = settings["MfaConfiguration"]
    if setting != "OFF" and not offered:
        raise invalid_parameter(f"MfaConfiguration {setting} needs at least one MFA method.")
    factors = settings["SignInPolicy"]["AllowedFirstAuthFactors"]
    if "PASSWORD" not in factors:
        raise invalid_parameter("AllowedFirstAuthFactors must include PASSWORD.")
    # Passkeys that verify the user may count as two factors (API reference, WebAuthnConfigurationType).
    if webauthn.get("FactorConfiguration") == MULTI_FACTOR:
        factors = [factor for factor in factors if factor != "WEB_AUTHN"]
    if setting == "ON" and factors != ["PASSWORD"]:
        raise invalid_parameter(
            "MFA cannot be required where AllowedFirstAuthFactors allow passwordless sign-in."
        )


def _check_registration(settings: Mapping[str, Any]) -> None:
    on = settings.get("DcrConfiguration", {}).get("EnableStatus") == "Enabled"
    if on and settings["UserPoolTier"] == "LITE":
        raise AwsError(
            "FeatureUnavailableInTierException", "Client registration needs the Essentials tier or higher."
        )


def _policy(request: Request) -> PasswordPolicy:
    given = request.get("Policies", {}).get("PasswordPolicy")
    # The older name of the same setting.
    unused = request.get("AdminCreateUserConfig", {}).get("UnusedAccountValidityDays")
    if given is None:
        return PasswordPolicy(temporary_days=unused or 7)
    # A given policy requires only what it names.
    return PasswordPolicy(
        minimum_length=given.get("MinimumLength", 8),
        uppercase=given.get("RequireUppercase", False),
        lowercase=given.get("RequireLowercase", False),
        numbers=given.get("RequireNumbers", False),
        symbols=given.get("RequireSymbols", False),
        # 0 means "not set" at Cognito as well.
        temporary_days=given.get("TemporaryPasswordValidityDays") or unused or 7,
    )


def _describe(pool: Pool) -> Answer:
    policy = pool.policy
    return {
        **{name: value for name, value in pool.settings.items() if name != "SignInPolicy"},
        **pool.fixed,
        "Id": pool.id,
        "Name": pool.name,
        "Arn": pool.arn,
        "Policies": {
            "PasswordPolicy": {
                "MinimumLength": policy.minimum_length,
                "RequireUppercase": policy.uppercase,
                "RequireLowercase": policy.lowercase,
                "RequireNumbers": policy.numbers,
                "RequireSymbols": policy.symbols,
                "TemporaryPasswordValidityDays": policy.temporary_days,
            },
            "SignInPolicy": pool.settings["SignInPolicy"],
        },
        **({"Domain": pool.domain} if pool.domain is not None else {}),
        "SchemaAttributes": list(pool.schema.values()),
        "EstimatedNumberOfUsers": len(pool.users),
        "CreationDate": pool.created,
        "LastModifiedDate": pool.modified,
    }
