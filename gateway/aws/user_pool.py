"""Signs in at a user pool and answers its challenges, by any of the flows.

Between commands and pages, and AWS. Invariant: nothing is kept between two calls but the connection; whoever
asks holds the Challenge.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gateway.aws.cognito_client import CognitoClient
from gateway.aws.srp import SrpClient, device_password, device_verifier
from gateway.aws.values import (
    Challenge,
    CognitoRefused,
    Flow,
    NewDevice,
    PoolAddress,
    Tokens,
    Waiting,
    in_silence,
)
from gateway.errors import GatewayError

__all__ = ["Challenge", "CognitoRefused", "Flow", "PoolAddress", "Tokens", "UserPoolClient"]

# What the user's list of devices shows for a session of the gateway or for kept tokens.
_DEVICE_NAME = "cognito-gateway"


class UserPoolClient:
    """One user pool, seen by one app client. All of it raises GatewayError; refusals are CognitoRefused."""

    def __init__(self, address: PoolAddress, flow: Flow, waiting: Waiting = in_silence) -> None:
        self._address = address
        self._flow = flow
        self._connection = CognitoClient(address, flow, waiting)

    def seen_from(self, client: str) -> UserPoolClient:
        """Return the same for one user, whose IP address Cognito hears."""
        other = copy.copy(self)
        other._connection = self._connection.seen_from(client)
        return other

    # --- how a sign-in begins ---

    def sign_in(self, username: str, password: str) -> Tokens | Challenge:
        """With a password, by the flow of this pool."""
        if self._flow == "srp":
            return self._sign_in_srp(username, password)
        if self._flow == "choice":
            # API reference, InitiateAuth: USER_AUTH with a preferred challenge skips the choice.
            chosen = {"PREFERRED_CHALLENGE": "PASSWORD", "PASSWORD": password}
            return self._initiate(username, "USER_AUTH", chosen)
        if self._flow == "password":
            return self._initiate(username, "USER_PASSWORD_AUTH", {"PASSWORD": password})
        return self._call(
            username,
            "admin_initiate_auth",
            UserPoolId=self._address.user_pool_id,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters=self._parameters(username, {"PASSWORD": password}),
        )

    def begin(self, username: str) -> Tokens | Challenge:
        """Choice-based: asks what this user may prove themselves with."""
        return self._initiate(username, "USER_AUTH", {})

    def _sign_in_srp(self, username: str, password: str) -> Tokens | Challenge:
        srp = SrpClient(self._address.user_pool_id)
        outcome = self._initiate(username, "USER_SRP_AUTH", {"SRP_A": srp.srp_a})
        return self._verify_password(outcome, srp, password)

    def _initiate(self, username: str, flow: str, parameters: Mapping[str, str]) -> Tokens | Challenge:
        sent = self._parameters(username, parameters)
        return self._call(username, "initiate_auth", AuthFlow=flow, AuthParameters=sent)

    def _parameters(self, username: str, parameters: Mapping[str, str]) -> dict[str, str]:
        return {"USERNAME": username, **parameters, **self._connection.secret_hash(username)}

    # --- how it goes on ---

    def answer(self, challenge: Challenge, answers: Mapping[str, str]) -> Tokens | Challenge:
        """`answers` without USERNAME and SECRET_HASH."""
        name = challenge.username
        request: dict[str, Any] = {
            "ChallengeName": challenge.name,
            # SRP's first challenge comes without one; its secret block says the same.
            **({"Session": challenge.session} if challenge.session else {}),
            "ChallengeResponses": self._parameters(name, answers),
        }
        if self._flow == "admin":
            pool_id = self._address.user_pool_id
            return self._call(name, "admin_respond_to_auth_challenge", UserPoolId=pool_id, **request)
        return self._call(name, "respond_to_auth_challenge", **request)

    def answer_with_password(self, challenge: Challenge, password: str) -> Tokens | Challenge:
        """For PASSWORD and PASSWORD_SRP, asked for or chosen; SRP where nothing else is offered."""
        if challenge.name == "PASSWORD" or "PASSWORD" in challenge.choices:
            chosen = {"ANSWER": "PASSWORD"} if challenge.choices else {}
            return self.answer(challenge, {**chosen, "PASSWORD": password})
        srp = SrpClient(self._address.user_pool_id)
        chosen = {"ANSWER": "PASSWORD_SRP"} if challenge.choices else {}
        outcome = self.answer(challenge, {**chosen, "SRP_A": srp.srp_a})
        return self._verify_password(outcome, srp, password)

    def _verify_password(
        self, outcome: Tokens | Challenge, srp: SrpClient, password: str
    ) -> Tokens | Challenge:
        if isinstance(outcome, Tokens) or outcome.name != "PASSWORD_VERIFIER":
            return outcome
        return self.answer(outcome, srp.answers(outcome.parameters, password, datetime.now(UTC)))

    # --- MFA_SETUP ---

    def begin_authenticator(self, challenge: Challenge) -> tuple[str, Challenge]:
        """A secret for an authenticator app, and the challenge to go on with."""
        answer = self._connection.call("associate_software_token", Session=challenge.session)
        return answer["SecretCode"], replace(challenge, session=answer.get("Session", ""))

    def finish_authenticator(self, challenge: Challenge, code: str) -> Tokens | Challenge:
        """With the first code of the app."""
        return self.answer(self.verify_authenticator(challenge, code), {})

    def verify_authenticator(self, challenge: Challenge, code: str) -> Challenge:
        """From now on the secret is the user's second factor; the challenge to answer with nothing more."""
        answer = self._connection.call("verify_software_token", Session=challenge.session, UserCode=code)
        if answer.get("Status") != "SUCCESS":
            raise CognitoRefused("EnableSoftwareTokenMFAException", "the code is not right: try the next one")
        return replace(challenge, session=answer.get("Session", ""))

    # --- the device ---

    def confirm_device(self, tokens: Tokens) -> Tokens:
        """The same tokens, with the key of a confirmed device where the pool wants one: call it for all that
        are kept, or their refresh token is refused. Raises GatewayError.

        The device's password is forgotten at once: it can be refreshed with, and never stands in for a second
        factor (DEVICE_SRP_AUTH)."""
        if tokens.new_device is None:
            return tokens
        device = tokens.new_device
        self._connection.call(
            "confirm_device",
            AccessToken=tokens.access,
            DeviceKey=device.key,
            DeviceName=_DEVICE_NAME,
            DeviceSecretVerifierConfig=device_verifier(device.group_key, device.key, device_password()),
        )
        return replace(tokens, device_key=device.key, new_device=None)

    def _call(self, username: str, method: str, **request: Any) -> Tokens | Challenge:
        return _outcome(username, self._connection.call(method, ClientId=self._address.client_id, **request))


def _new_device(metadata: Mapping[str, Any]) -> NewDevice | None:
    key = metadata.get("DeviceKey")
    return NewDevice(key, metadata.get("DeviceGroupKey", "")) if key else None


def _outcome(username: str, answer: Mapping[str, Any]) -> Tokens | Challenge:
    result = answer.get("AuthenticationResult")
    if result:
        return Tokens(
            access=result["AccessToken"],
            id=result.get("IdToken", ""),
            refresh=result.get("RefreshToken", ""),
            expires_in=result["ExpiresIn"],
            new_device=_new_device(result.get("NewDeviceMetadata") or {}),
        )
    if not answer.get("ChallengeName"):
        raise GatewayError("Cognito answered with neither tokens nor a challenge")
    parameters = answer.get("ChallengeParameters", {})
    # The internal name when Cognito tells it: later answers must not use an alias.
    internal = parameters.get("USER_ID_FOR_SRP") or parameters.get("USERNAME") or username
    choices = tuple(answer.get("AvailableChallenges") or ())
    return Challenge(answer["ChallengeName"], internal, answer.get("Session", ""), parameters, choices)
