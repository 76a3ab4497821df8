"""A user's own passkeys: registering, listing and deleting them; and the factors a user can sign in with.

Invariant: a passkey is registered for the challenge that the same user asked for with the same client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_cognito.errors import AwsError, not_found
from local_cognito.mfa import SOFTWARE_TOKEN
from local_cognito.pages import page
from local_cognito.passkeys import (
    check_attestation,
    creation_options,
    is_credential_id,
    new_challenge,
    usable,
)
from local_cognito.state import Passkey, PasskeyRequest, Pool, State, User
from local_cognito.state_sign_in import Grant
from local_cognito.tokens import read_access_token
from local_cognito.users import mfa_of

Request = Mapping[str, Any]
Answer = dict[str, Any]

# Developer guide, "passkeys": as many for each user.
_MOST = 20
_CHALLENGE_SECONDS = 180


def start_web_authn_registration(state: State, request: Request, now: float) -> Answer:
    pool, user, grant = _holder(state, request, now)
    _check_room(user)
    challenge = new_challenge()
    options = creation_options(pool, user, challenge)
    user.passkey_request = PasskeyRequest(challenge, grant.client_id, now + _CHALLENGE_SECONDS)
    return {"CredentialCreationOptions": options}


def complete_web_authn_registration(state: State, request: Request, now: float) -> Answer:
    pool, user, grant = _holder(state, request, now)
    pending = user.passkey_request
    if pending is None or now >= pending.expires:
        raise AwsError("WebAuthnChallengeNotFoundException", "The challenge of the credential has expired.")
    if pending.client_id != grant.client_id:
        raise AwsError(
            "WebAuthnClientMismatchException", "The registration was started with another app client."
        )
    _check_room(user)
    passkey = check_attestation(pool, pending.challenge, request["Credential"], now)
    if any(passkey.id in other.passkeys for other in pool.users.values()):
        raise AwsError("WebAuthnCredentialNotSupportedException", "The credential is registered already.")
    user.passkey_request = None
    user.passkeys[passkey.id] = passkey
    user.modified = now
    return {}


def list_web_authn_credentials(state: State, request: Request, now: float) -> Answer:
    _, user, _ = read_access_token(state, request["AccessToken"], now)
    items = [_described(passkey) for passkey in user.passkeys.values()]
    size = request.get("MaxResults") or _MOST
    return page(items, size, request.get("NextToken"), names=("Credentials", "NextToken"))


def delete_web_authn_credential(state: State, request: Request, now: float) -> Answer:
    _, user, _ = read_access_token(state, request["AccessToken"], now)
    named = request["CredentialId"]
    if not is_credential_id(named) or user.passkeys.pop(named, None) is None:
        raise not_found("Passkey does not exist.")
    user.modified = now
    return {}


def get_user_auth_factors(state: State, request: Request, now: float) -> Answer:
    pool, user, _ = read_access_token(state, request["AccessToken"], now)
    factors = ["PASSWORD"] if user.password is not None else []
    for name, attribute in (("EMAIL_OTP", "email"), ("SMS_OTP", "phone_number")):
        if name in pool.first_factors and user.attributes.get(f"{attribute}_verified") == "true":
            factors.append(name)
    if "WEB_AUTHN" in pool.first_factors and usable(pool, user):
        factors.append("WEB_AUTHN")
    if SOFTWARE_TOKEN in user.mfa:
        factors.append("SOFTWARE_TOKEN")
    return {"Username": user.username, **mfa_of(user), "ConfiguredUserAuthFactors": factors}


def _holder(state: State, request: Request, now: float) -> tuple[Pool, User, Grant]:
    pool, user, grant = read_access_token(state, request["AccessToken"], now)
    if "WEB_AUTHN" not in pool.first_factors:
        raise AwsError("WebAuthnNotEnabledException", "Passkeys are not enabled for the user pool.")
    return pool, user, grant


def _check_room(user: User) -> None:
    if len(user.passkeys) >= _MOST:
        raise AwsError("LimitExceededException", f"A user can have {_MOST} passkeys.")


def _described(passkey: Passkey) -> dict[str, Any]:
    attachment = {"AuthenticatorAttachment": passkey.attachment} if passkey.attachment else {}
    return {
        "CredentialId": passkey.id,
        "FriendlyCredentialName": "Passkey",
        "RelyingPartyId": passkey.relying_party,
        **attachment,
        "AuthenticatorTransports": passkey.transports,
        "CreatedAt": passkey.created,
    }
