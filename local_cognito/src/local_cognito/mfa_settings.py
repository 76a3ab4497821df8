"""MFA settings of pools and preferences of users.

Invariant: a user's preferred factor is set up, and a pool requires only factors that it offers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_cognito.errors import AwsError, invalid_parameter
from local_cognito.mfa import EMAIL_OTP, SMS_MFA, SOFTWARE_TOKEN, enabled_methods
from local_cognito.passkeys import MULTI_FACTOR, satisfy_mfa
from local_cognito.pools import check_mfa
from local_cognito.state import Pool, State, User, get_user
from local_cognito.tokens import read_access_token

Request = Mapping[str, Any]
Answer = dict[str, Any]

_SETTINGS = {
    "SMSMfaSettings": SMS_MFA,
    "SoftwareTokenMfaSettings": SOFTWARE_TOKEN,
    "EmailMfaSettings": EMAIL_OTP,
}
_ATTRIBUTES = {SMS_MFA: "phone_number", EMAIL_OTP: "email"}


def set_user_pool_mfa_config(state: State, request: Request, now: float) -> Answer:
    """SetUserPoolMfaConfig: replaces all settings; omitted factors are turned off."""
    pool = state.pool(request["UserPoolId"])
    setting = request.get("MfaConfiguration", "OFF")
    sms, email = request.get("SmsMfaConfiguration"), request.get("EmailMfaConfiguration")
    token = request.get("SoftwareTokenMfaConfiguration", {}).get("Enabled", False)
    settings = {name: value for name, value in pool.settings.items() if name != "SmsConfiguration"}
    if sms is not None:
        settings["SmsConfiguration"] = sms.get("SmsConfiguration") or pool.settings.get("SmsConfiguration")
        if settings["SmsConfiguration"] is None:
            raise invalid_parameter("SMS configuration is required to turn on SMS MFA.")
        if "SmsAuthenticationMessage" in sms:
            settings["SmsAuthenticationMessage"] = sms["SmsAuthenticationMessage"]
    if setting == "OFF" and (sms is not None or email is not None or token):
        raise invalid_parameter(
            "Invalid MFA configuration given, can't turn off MFA and configure an MFA together."
        )
    if email is not None:
        _check_email(pool)
    settings["MfaConfiguration"] = setting
    webauthn = _webauthn(pool, request.get("WebAuthnConfiguration", {}))
    check_mfa(settings, webauthn, offered=sms is not None or email is not None or token)
    pool.settings, pool.webauthn = settings, webauthn
    pool.software_token_mfa, pool.email_mfa, pool.modified = token, email, now
    return get_user_pool_mfa_config(state, request, now)


def _webauthn(pool: Pool, given: Mapping[str, Any]) -> dict[str, Any]:
    multi = given.get("FactorConfiguration") == MULTI_FACTOR
    if multi and pool.settings["UserPoolTier"] == "LITE":
        raise AwsError(
            "FeatureUnavailableInTierException", "Passkeys as MFA need the Essentials tier or higher."
        )
    return {"UserVerification": "required" if multi else "preferred", **given} if given else {}


def _check_email(pool: Pool) -> None:
    # Developer guide, "email message MFA": Essentials tier or higher, and the operator's own SES
    # configuration.
    if pool.settings["UserPoolTier"] == "LITE":
        raise AwsError("FeatureUnavailableInTierException", "Email MFA needs the Essentials tier or higher.")
    if pool.settings.get("EmailConfiguration", {}).get("EmailSendingAccount") != "DEVELOPER":
        raise invalid_parameter("Email MFA needs an EmailConfiguration with EmailSendingAccount DEVELOPER.")


def get_user_pool_mfa_config(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    answer: Answer = {"MfaConfiguration": pool.settings["MfaConfiguration"]}
    if "SmsConfiguration" in pool.settings:
        sms = {"SmsConfiguration": pool.settings["SmsConfiguration"]}
        if "SmsAuthenticationMessage" in pool.settings:
            sms["SmsAuthenticationMessage"] = pool.settings["SmsAuthenticationMessage"]
        answer["SmsMfaConfiguration"] = sms
    if pool.software_token_mfa:
        answer["SoftwareTokenMfaConfiguration"] = {"Enabled": True}
    if pool.email_mfa is not None:
        answer["EmailMfaConfiguration"] = pool.email_mfa
    if pool.webauthn:
        answer["WebAuthnConfiguration"] = pool.webauthn
    return answer


def set_user_mfa_preference(state: State, request: Request, now: float) -> Answer:
    pool, user, _ = read_access_token(state, request["AccessToken"], now)
    return _prefer(pool, user, request, now)


def admin_set_user_mfa_preference(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    return _prefer(pool, get_user(pool, request["Username"]), request, now)


def _prefer(pool: Pool, user: User, request: Request, now: float) -> Answer:
    """Update a user's preferences; omitted members stay unchanged (API reference, SetUserMFAPreference)."""
    methods, preferred = set(user.mfa), user.preferred_mfa
    named = [method for member, method in _SETTINGS.items() if request.get(member, {}).get("PreferredMfa")]
    if len(named) > 1:
        raise invalid_parameter("Only one MFA method can be preferred.")
    for member, method in _SETTINGS.items():
        given = request.get(member)
        if given is None:
            continue
        if given.get("Enabled", False):
            _check_ready(pool, user, method)
            methods.add(method)
            if not given.get("PreferredMfa", False) and preferred == method:
                preferred = None
        else:
            if given.get("PreferredMfa", False):
                raise invalid_parameter(f"{method} cannot be preferred while it is not enabled.")
            methods.discard(method)
            preferred = None if preferred == method else preferred
    passkey = request.get("WebAuthnMfaSettings", {}).get("Enabled", user.passkey_mfa)
    if passkey and not user.passkey_mfa and not satisfy_mfa(pool):
        raise invalid_parameter("Passkeys do not satisfy MFA in this user pool.")
    # API reference, WebAuthnMfaSettingsType: one more method, so that nobody is locked out.
    if passkey and not methods:
        raise invalid_parameter("Passkey MFA needs at least one other MFA method.")
    user.mfa, user.preferred_mfa = methods, named[0] if named else preferred
    user.passkey_mfa = passkey
    user.modified = now
    return {}


def _check_ready(pool: Pool, user: User, method: str) -> None:
    if method not in enabled_methods(pool):
        raise invalid_parameter(f"{method} is not enabled for the user pool.")
    if method == SOFTWARE_TOKEN:
        if user.totp_secret is None:
            raise invalid_parameter("User has not verified software token mfa")
    elif not user.attributes.get(_ATTRIBUTES[method]):
        raise invalid_parameter(f"User does not have delivery config set to turn on {method}")
