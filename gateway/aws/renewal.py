"""What a signed-in user's tokens are good for at the user pool: new tokens, and the end of them.

Unsigned operations only. Invariant: a refresh token is shown to nobody but Cognito.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from gateway.aws.cognito_client import CognitoClient
from gateway.aws.values import CognitoRefused, PoolAddress, Tokens
from gateway.errors import GatewayError

# Asking by the older operation could not help: the token was used up, Cognito wants to be left alone or is
# unwell, or a firewall or the pool's own Lambda said no. Where refresh tokens rotate the older one is refused
# as such, and that would be heard in place of the cause.
_NO_SECOND_WAY = frozenset(
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
    """One user pool, seen by one app client. All of it raises GatewayError; refusals are CognitoRefused."""

    def __init__(self, address: PoolAddress, connection: CognitoClient | None = None) -> None:
        self._connection = connection or CognitoClient(address, "password")

    def renew(self, refresh_token: str, username: str, device_key: str = "") -> Tokens:
        """New tokens; `refresh` in them is the new refresh token, or the old one where it does not rotate.

        `device_key`: that of the confirmed device; empty where the sign-in was given none."""
        address = self._connection.address
        secret = {} if address.client_secret is None else {"ClientSecret": address.client_secret}
        try:
            # API reference: the only one that works where refresh tokens rotate.
            answer = self._connection.call(
                "get_tokens_from_refresh_token",
                RefreshToken=refresh_token,
                ClientId=address.client_id,
                **({"DeviceKey": device_key} if device_key else {}),
                **secret,
            )
        except CognitoRefused as refused:
            if refused.code in _NO_SECOND_WAY:
                raise
            answer = self._by_flow(refresh_token, username, device_key)
        return _tokens(answer, refresh_token, device_key)

    def _by_flow(self, refresh_token: str, username: str, device_key: str) -> Mapping[str, Any]:
        """By the flow that was there first: older stand-ins, and clients of older pools, know only this."""
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
        """Take a session's device off the user's list; to be done before the access token is revoked."""
        # With an access token that has expired nobody can: the list then shows a device too many.
        with contextlib.suppress(CognitoRefused):
            self._connection.call("forget_device", AccessToken=access_token, DeviceKey=device_key)

    def revoke(self, refresh_token: str) -> None:
        """End the refresh token, and with it the access tokens that came of it, wherever Cognito is asked."""
        address = self._connection.address
        secret = {} if address.client_secret is None else {"ClientSecret": address.client_secret}
        self._connection.call("revoke_token", Token=refresh_token, ClientId=address.client_id, **secret)

    def sign_out_everywhere(self, access_token: str) -> None:
        """End all tokens of the user."""
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
