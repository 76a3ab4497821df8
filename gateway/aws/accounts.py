"""Account operations of a user pool: sign-up, confirmation, and password reset and change.

Unsigned operations only, open to anyone who may use the app client. Invariant: the destination of a code is
not returned, since Cognito reveals it for existing accounts only.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.aws.cognito_client import CognitoClient
from gateway.aws.phrases import session_over
from gateway.aws.values import CognitoRefused, PoolAddress


@dataclass(frozen=True, slots=True)
class SignedUp:
    """A new account. Unless it is confirmed, a code was sent."""

    confirmed: bool
    # With it the confirmation leads to a sign-in; empty where the app client does not allow USER_AUTH.
    session: str = field(repr=False)


class Accounts:
    """One user pool and one of its app clients. Methods raise GatewayError; CognitoRefused if Cognito
    refuses."""

    def __init__(self, address: PoolAddress) -> None:
        self._connection = CognitoClient(address, "password")

    def seen_from(self, client: str) -> Accounts:
        """Return a copy for one user, whose IP address is sent to Cognito (threat protection)."""
        other = copy.copy(self)
        other._connection = self._connection.seen_from(client)
        return other

    def sign_up(self, username: str, password: str, attributes: Mapping[str, str]) -> SignedUp:
        given = [{"Name": name, "Value": value} for name, value in attributes.items()]
        answer = self._call("sign_up", username, Password=password, UserAttributes=given)
        return SignedUp(bool(answer.get("UserConfirmed")), answer.get("Session", ""))

    def confirm(self, username: str, code: str, session: str = "") -> str:
        """Return a session for the first sign-in if `session` is the sign-up's, else an empty string."""
        if session:
            try:
                answer = self._call("confirm_sign_up", username, ConfirmationCode=code, Session=session)
                return str(answer.get("Session", ""))
            except CognitoRefused as refused:
                # Too late for the session, not for the code.
                if refused.code != "NotAuthorizedException" or not session_over(refused.message):
                    raise
        self._call("confirm_sign_up", username, ConfirmationCode=code)
        return ""

    def resend(self, username: str) -> None:
        self._call("resend_confirmation_code", username)

    def forgot_password(self, username: str) -> None:
        self._call("forgot_password", username)

    def reset_password(self, username: str, code: str, password: str) -> None:
        self._call("confirm_forgot_password", username, ConfirmationCode=code, Password=password)

    def change_password(self, access_token: str, old: str, new: str) -> None:
        self._connection.call(
            "change_password", AccessToken=access_token, PreviousPassword=old, ProposedPassword=new
        )

    def _call(self, method: str, username: str, **request: Any) -> Mapping[str, Any]:
        client_id = self._connection.address.client_id
        hashed = self._connection.secret_hash(username, "SecretHash")
        return self._connection.call(method, ClientId=client_id, Username=username, **hashed, **request)
