"""Passkeys: options for authenticators, and the verification of what authenticators answer.

Invariant: a challenge is random and answered once; nothing is believed that `fido2` has not verified for the
pool's relying party. Sources: WebAuthn Level 3; API reference, StartWebAuthnRegistration, InitiateAuth.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any

from fido2.rpid import verify_rp_id
from fido2.server import Fido2Server
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    RegistrationResponse,
    UserVerificationRequirement,
)

from local_cognito.errors import AwsError, invalid_parameter, not_authorized
from local_cognito.state import Passkey, Pool, User

MULTI_FACTOR = "MULTI_FACTOR_WITH_USER_VERIFICATION"
# ES256 and RS256 (API reference, the example of StartWebAuthnRegistration).
_ALGORITHMS = (-7, -257)
_TIMEOUT = 60000
_TRANSPORTS = frozenset({"ble", "cable", "hybrid", "internal", "nfc", "smart-card", "usb"})
# WebAuthn section 6.1: IDs have at most 1023 bytes.
_LONGEST_ID = 1364
# What fido2 raises for answers that are no answers.
_MALFORMED = (
    ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
)  # fmt: skip


def new_challenge() -> bytes:
    return secrets.token_bytes(32)


def relying_party(pool: Pool) -> str:
    """Return the relying party's ID. Raises WebAuthnConfigurationMissingException."""
    found = pool.webauthn.get("RelyingPartyId")
    if found is None:
        raise AwsError(
            "WebAuthnConfigurationMissingException", "The user pool has no RelyingPartyId configured."
        )
    return str(found)


def satisfy_mfa(pool: Pool) -> bool:
    """Return whether a passkey of this pool may count as two factors."""
    return pool.webauthn.get("FactorConfiguration") == MULTI_FACTOR


def usable(pool: Pool, user: User) -> list[Passkey]:
    """Return the user's passkeys for the pool's relying party."""
    party = pool.webauthn.get("RelyingPartyId")
    return [passkey for passkey in user.passkeys.values() if passkey.relying_party == party]


def creation_options(pool: Pool, user: User, challenge: bytes) -> dict[str, Any]:
    """Return PublicKeyCredentialCreationOptionsJSON."""
    party, shown = relying_party(pool), user.attributes.get("email", user.username)
    return {
        "rp": {"id": party, "name": party},
        # The sub as text, so that no name is in the authenticator's ID of the user.
        "user": {"id": websafe_encode(user.sub.encode()), "name": shown, "displayName": shown},
        "challenge": websafe_encode(challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": alg} for alg in _ALGORITHMS],
        "timeout": _TIMEOUT,
        "excludeCredentials": [_descriptor(passkey) for passkey in usable(pool, user)],
        "authenticatorSelection": {
            "requireResidentKey": True,
            "residentKey": "required",
            "userVerification": _verification(pool),
        },
    }


def request_options(pool: Pool, user: User, challenge: bytes) -> dict[str, Any]:
    """Return PublicKeyCredentialRequestOptionsJSON."""
    return {
        "challenge": websafe_encode(challenge),
        "timeout": _TIMEOUT,
        "rpId": relying_party(pool),
        "allowCredentials": [_descriptor(passkey) for passkey in usable(pool, user)],
        "userVerification": _verification(pool),
    }


def check_attestation(pool: Pool, challenge: bytes, credential: Mapping[str, Any], now: float) -> Passkey:
    """Return the new passkey of a RegistrationResponseJSON. Raises AwsError."""
    party = relying_party(pool)
    try:
        answer = RegistrationResponse.from_dict(credential)
        data, origin = answer.response.attestation_object.auth_data, answer.response.client_data.origin
        given = answer.response.client_data.challenge
        transports = credential["response"].get("transports") or []
        offered = [one for one in _TRANSPORTS if one in transports]
    except _MALFORMED:
        raise invalid_parameter("Credential is not a RegistrationResponseJSON.") from None
    if not hmac.compare_digest(given, challenge):
        raise AwsError("WebAuthnChallengeNotFoundException", "The challenge of the credential is unknown.")
    if not verify_rp_id(party, origin):
        raise AwsError(
            "WebAuthnOriginNotAllowedException", "The credential's origin is not one of the relying party's."
        )
    server = _server(party)
    if data.rp_id_hash != server.rp.id_hash:
        raise AwsError(
            "WebAuthnRelyingPartyMismatchException", "The credential is for another relying party."
        )
    made = data.credential_data
    if made is None or made.public_key.get(3) not in _ALGORITHMS:
        raise AwsError(
            "WebAuthnCredentialNotSupportedException", "The credential's algorithm is not supported."
        )
    try:
        server.register_complete(_state(pool, challenge), answer)
    except _MALFORMED as error:
        raise invalid_parameter(f"Credential could not be verified: {error}") from None
    attachment = answer.authenticator_attachment
    return Passkey(
        id=websafe_encode(made.credential_id),
        data=bytes(made),
        relying_party=party,
        attachment=attachment.value if attachment is not None else None,
        transports=sorted(offered),
        created=now,
        counter=data.counter,
    )


def check_assertion(pool: Pool, user: User, challenge: bytes, credential: str) -> Passkey:
    """Return the passkey that an AuthenticationResponseJSON proves. Raises AwsError."""
    try:
        answer = AuthenticationResponse.from_dict(json.loads(credential))
        named = websafe_encode(answer.raw_id)
        data, handle = answer.response.authenticator_data, answer.response.user_handle
    except _MALFORMED:
        raise invalid_parameter("CREDENTIAL is not an AuthenticationResponseJSON.") from None
    known = {passkey.id: passkey for passkey in usable(pool, user)}
    try:
        credentials = [AttestedCredentialData(passkey.data) for passkey in known.values()]
        _server(relying_party(pool)).authenticate_complete(_state(pool, challenge), credentials, answer)
    except _MALFORMED:
        raise _not_proved() from None
    passkey = known[named]
    # WebAuthn section 7.2: the user handle is this user's; a counter that does not grow is a cloned key.
    if handle not in (None, b"", user.sub.encode()):
        raise _not_proved()
    if (data.counter or passkey.counter) and data.counter <= passkey.counter:
        raise _not_proved()
    passkey.counter = data.counter
    return passkey


def is_credential_id(text: str) -> bool:
    if len(text) > _LONGEST_ID:
        return False
    try:
        return websafe_encode(websafe_decode(text)) == text
    except _MALFORMED:
        return False


def _not_proved() -> AwsError:
    return not_authorized("Incorrect username or credential.")


def _server(party: str) -> Fido2Server:
    return Fido2Server(PublicKeyCredentialRpEntity(id=party, name=party))


def _state(pool: Pool, challenge: bytes) -> dict[str, Any]:
    return {
        "challenge": websafe_encode(challenge),
        "user_verification": UserVerificationRequirement(_verification(pool)),
    }


def _verification(pool: Pool) -> str:
    """Return the setting; passkeys that count as two factors always verify the user."""
    return "required" if satisfy_mfa(pool) else str(pool.webauthn.get("UserVerification", "preferred"))


def _descriptor(passkey: Passkey) -> dict[str, Any]:
    return {"type": "public-key", "id": passkey.id, "transports": passkey.transports}
