"""A software authenticator: real ES256 attestations and assertions, as a browser's JSON."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.cose import ES256
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData

ORIGIN = "http://localhost:8000"


class Authenticator:
    """One passkey. `verifies`: whether it verifies its user, by a PIN or biometrics."""

    def __init__(self, *, origin: str = ORIGIN, verifies: bool = True, attachment: str = "platform") -> None:
        self.origin, self.verifies, self.attachment = origin, verifies, attachment
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = secrets.token_bytes(32)
        self.counter = 0
        self.handle: str | None = None

    def create(self, options: Mapping[str, Any], *, rp: str | None = None) -> dict[str, Any]:
        """Return a RegistrationResponseJSON for PublicKeyCredentialCreationOptionsJSON."""
        self.handle = options["user"]["id"]
        point = self.key.public_key().public_numbers()
        public = ES256({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32), -3: point.y.to_bytes(32)})
        made = AttestedCredentialData.create(b"\0" * 16, self.id, public)
        data = self._data(rp or options["rp"]["id"], made)
        attestation = AttestationObject.create("none", data, {})
        return self._credential(
            {
                "clientDataJSON": self._client_data("webauthn.create", options["challenge"]),
                "attestationObject": websafe_encode(cbor.encode(dict(_plain(attestation)))),
                "transports": ["internal", "hybrid"],
            }
        )

    def get(self, options: str) -> str:
        """Return the JSON text of an AuthenticationResponseJSON for CREDENTIAL_REQUEST_OPTIONS."""
        asked = json.loads(options)
        client_data = self._client_data("webauthn.get", asked["challenge"])
        data = self._data(asked["rpId"], None)
        signed = bytes(data) + hashlib.sha256(websafe_decode(client_data)).digest()
        signature = self.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        return json.dumps(
            self._credential(
                {
                    "clientDataJSON": client_data,
                    "authenticatorData": websafe_encode(data),
                    "signature": websafe_encode(signature),
                    "userHandle": self.handle,
                }
            )
        )

    def _credential(self, response: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": websafe_encode(self.id),
            "rawId": websafe_encode(self.id),
            "type": "public-key",
            "authenticatorAttachment": self.attachment,
            "clientExtensionResults": {},
            "response": dict(response),
        }

    def _client_data(self, kind: str, challenge: str) -> str:
        data = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return websafe_encode(json.dumps(data).encode())

    def _data(self, rp: str, credential: AttestedCredentialData | None) -> AuthenticatorData:
        self.counter += 1
        flags = AuthenticatorData.FLAG.UP
        if self.verifies:
            flags |= AuthenticatorData.FLAG.UV
        if credential is not None:
            flags |= AuthenticatorData.FLAG.AT
        party = hashlib.sha256(rp.encode()).digest()
        made: AuthenticatorData = AuthenticatorData.create(party, flags, self.counter, credential or b"")
        return made


def _plain(attestation: AttestationObject) -> dict[str, Any]:
    return {"fmt": attestation.fmt, "authData": bytes(attestation.auth_data), "attStmt": {}}
