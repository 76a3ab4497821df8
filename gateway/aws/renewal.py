"""Token refresh, revocation and global sign-out at the user pool.

Unsigned operations only. Invariant: a refresh token is sent only to Cognito.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from gateway.aws.cognito_client import CognitoClient
from gateway.aws.values import CognitoRefused, PoolAddress, Tokens
from gateway.errors import GatewayError

# Errors for which the older operation is no fallback: the token is used up, Cognito is throttling or failing,
# or a firewall or Lambda trigger refused. With rotation, the older operation's own refusal would hide the
# cause.
_NO_FALLBACK = frozenset(
    {
        "ForbiddenException",
        "InternalErrorException",
        "InvalidLambdaResponseException",
        "LimitExceededException",
        "RefreshTokenReuseException",
        "TooManyRequestsException",
        "UnexpectedLambdaException",
        "UserLambdaValidationException",
    }
)


class Renewal:
    """One user pool and one of its app clients. Methods raise GatewayError; CognitoRefused if Cognito
    refuses."""

    def __init__(self, address: PoolAddress, connection: CognitoClient | None = None) -> None:
        self._connection = connection or CognitoClient(address, "password")

    def renew(self, refresh_token: str, username: str, device_key: str = "") -> Tokens:
        """Return new tokens. `refresh` is the rotated refresh token, or the old one without rotation.

        `device_key`: the confirmed device's; empty if the sign-in was given none."""
        address = self._connection.address
        secret = {} if address.client_secret is None else {"ClientSecret": address.client_secret}
        try:
            # API reference: the only operation that works with refresh token rotation.
            answer = self._connection.call(
                "get_tokens_from_refresh_token",
                RefreshToken=refresh_token,
                ClientId=address.client_id,
                **({"DeviceKey": device_key} if device_key else {}),
                **secret,
            )
        except CognitoRefused as refused:
            if refused.code in _NO_FALLBACK:
                raise
            answer = self._by_flow(refresh_token, username, device_key)
        return _tokens(answer, refresh_token, device_key)

    def _by_flow(self, refresh_token: str, username: str, device_key: str) -> Mapping[str, Any]:
        """Refresh with REFRESH_TOKEN_AUTH: older emulators, and clients of older pools, support only this."""
        parameters = {
            "REFRESH_TOKEN": refresh_token,
            **({"DEVICE_KEY": device_key} if device_key else {}),
            **self._connection.secret_hash(username),
        }
        return self._connection.call(
            "initiate_auth",
            ClientId=self._connection.address.client_id,
            AuthFlow="REFRESH_TOKEN_AUTH",
            AuthParameters=parameters,
        )

    def forget_device(self, access_token: str, device_key: str) -> None:
        """Remove a session's device from the user's list, before the access token is revoked."""
        # Impossible once the access token has expired: the list then shows one device too many.
        with contextlib.suppress(CognitoRefused):
            self._connection.call("forget_device", AccessToken=access_token, DeviceKey=device_key)

    def revoke(self, refresh_token: str) -> None:
        """Revoke the refresh token and the access tokens issued from it (RFC 7009)."""
        address = self._connection.address
        secret = {} if address.client_secret is None else {"ClientSecret": address.client_secret}
        self._connection.call("revoke_token", Token=refresh_token, ClientId=address.client_id, **secret)

    def sign_out_everywhere(self, access_token: str) -> None:
        """Revoke all tokens of the user (GlobalSignOut)."""
        self._connection.call("global_sign_out", AccessToken=access_token)


def _tokens(answer: Mapping[str, Any], refresh_token: str, device_key: str) -> Tokens:
    result = answer.get("AuthenticationResult") or {}
    if not result.get("AccessToken") or not result.get("IdToken"):
        raise GatewayError("Cognito answered a refresh without tokens")
    return Tokens(
        access=result["AccessToken"],
        id=result["IdToken"],
        refresh=result.get("RefreshToken") or refresh_token,
        expires_in=result.get("ExpiresIn", 0),
        device_key=device_key,
    )
