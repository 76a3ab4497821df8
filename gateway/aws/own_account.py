"""Operations of signed-in users on their own account, authorized by their access token.

Unsigned operations only. They need the scope `aws.cognito.signin.user.admin`, which every token of our own
pages has. Invariant: nothing is read or changed but the account of the token's user.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from gateway.aws.cognito_client import CognitoClient
from gateway.aws.values import Passkey, PoolAddress

# Developer guide, "Passkey": at most 20 for each user; ListWebAuthnCredentials returns as many at once.
_MOST_PASSKEYS = 20


class OwnAccount:
    """One user pool and one of its app clients. Methods raise GatewayError; CognitoRefused if Cognito
    refuses."""

    def __init__(self, address: PoolAddress) -> None:
        self._connection = CognitoClient(address, "password")

    def seen_from(self, client: str) -> OwnAccount:
        """Return a copy for one user, whose IP address is sent to Cognito (threat protection)."""
        other = copy.copy(self)
        other._connection = self._connection.seen_from(client)
        return other

    # --- passkeys ---

    def passkeys(self, access_token: str) -> list[Passkey]:
        answer = self._connection.call(
            "list_web_authn_credentials", AccessToken=access_token, MaxResults=_MOST_PASSKEYS
        )
        return [_passkey(each) for each in answer.get("Credentials") or ()]

    def begin_passkey(self, access_token: str) -> Mapping[str, Any]:
        """Return PublicKeyCredentialCreationOptionsJSON (WebAuthn level 3) for the browser."""
        answer = self._connection.call("start_web_authn_registration", AccessToken=access_token)
        options: Mapping[str, Any] = answer["CredentialCreationOptions"]
        return options

    def finish_passkey(self, access_token: str, credential: Mapping[str, Any]) -> None:
        """Register the browser's RegistrationResponseJSON."""
        self._connection.call(
            "complete_web_authn_registration", AccessToken=access_token, Credential=credential
        )

    def delete_passkey(self, access_token: str, passkey_id: str) -> None:
        self._connection.call(
            "delete_web_authn_credential", AccessToken=access_token, CredentialId=passkey_id
        )


def _passkey(given: Mapping[str, Any]) -> Passkey:
    return Passkey(
        id=given["CredentialId"],
        name=given.get("FriendlyCredentialName") or "",
        roaming=given.get("AuthenticatorAttachment") == "cross-platform",
        created=given["CreatedAt"].timestamp(),
    )
