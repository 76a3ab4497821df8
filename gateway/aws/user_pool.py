"""User pool client: signs users in by any flow and answers challenges.

Used by commands and pages. Invariant: no state is kept between calls except the connection; the caller holds
the Challenge.
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

# What the user's device list shows for sessions of the gateway and for cached tokens.
_DEVICE_NAME = "cognito-gateway"


class UserPoolClient:
    """One user pool and one of its app clients. Methods raise GatewayError; CognitoRefused if Cognito
    refuses."""

    def __init__(self, address: PoolAddress, flow: Flow, waiting: Waiting = in_silence) -> None:
        self._address = address
        self._flow = flow
        self._connection = CognitoClient(address, flow, waiting)

    def seen_from(self, client: str) -> UserPoolClient:
        """Return a copy for one user, whose IP address is sent to Cognito."""
        other = copy.copy(self)
        other._connection = self._connection.seen_from(client)
        return other

    # --- how a sign-in begins ---

    def sign_in(self, username: str, password: str) -> Tokens | Challenge:
        """Sign in with a password, by the flow of this client."""
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

    def begin(self, username: str, prefer: str = "", acr_values: str = "") -> Tokens | Challenge:
        """Start choice-based sign-in: Cognito returns the challenges that this user can choose from.

        `prefer`: a challenge that it returns instead, if this user has it. `acr_values`: offer only what
        reaches one of these levels; where the user can reach none, or the pool has none, offer everything."""
        chosen = {"PREFERRED_CHALLENGE": prefer} if prefer else {}
        if acr_values:
            # Developer guide, "Step-up authentication with the USER_AUTH flow".
            try:
                return self._initiate(username, "USER_AUTH", {**chosen, "TARGET_ACR_VALUES": acr_values})
            except CognitoRefused as refused:
                if refused.code != "InvalidParameterException":
                    raise
        return self._initiate(username, "USER_AUTH", chosen)

    def begin_confirmed(self, username: str, session: str) -> Tokens | Challenge:
        """Sign in with the session of a confirmation, whose code counts as the first factor."""
        sent = self._parameters(username, {})
        return self._call(
            username, "initiate_auth", AuthFlow="USER_AUTH", Session=session, AuthParameters=sent
        )

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
        """Answer a challenge. `answers`: without USERNAME and SECRET_HASH."""
        name = challenge.username
        request: dict[str, Any] = {
            "ChallengeName": challenge.name,
            # SRP's first challenge has no session; its secret block serves as one.
            **({"Session": challenge.session} if challenge.session else {}),
            "ChallengeResponses": self._parameters(name, answers),
        }
        if self._flow == "admin":
            pool_id = self._address.user_pool_id
            return self._call(name, "admin_respond_to_auth_challenge", UserPoolId=pool_id, **request)
        return self._call(name, "respond_to_auth_challenge", **request)

    def answer_with_password(self, challenge: Challenge, password: str) -> Tokens | Challenge:
        """Answer PASSWORD or PASSWORD_SRP, selected or chosen by us; SRP only if nothing else is offered."""
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
        """Return a key for an authenticator app, and the challenge to continue with."""
        answer = self._connection.call("associate_software_token", Session=challenge.session)
        return answer["SecretCode"], replace(challenge, session=answer.get("Session", ""))

    def finish_authenticator(self, challenge: Challenge, code: str) -> Tokens | Challenge:
        """Verify the app's first code and complete the challenge."""
        return self.answer(self.verify_authenticator(challenge, code), {})

    def verify_authenticator(self, challenge: Challenge, code: str) -> Challenge:
        """Verify the code, which makes the key the user's second factor; return the challenge to complete."""
        answer = self._connection.call("verify_software_token", Session=challenge.session, UserCode=code)
        if answer.get("Status") != "SUCCESS":
            raise CognitoRefused("EnableSoftwareTokenMFAException", "incorrect code: try the next one")
        return replace(challenge, session=answer.get("Session", ""))

    # --- the device ---

    def confirm_device(self, tokens: Tokens) -> Tokens:
        """Return the tokens with the key of a confirmed device, if the pool tracks devices. Raises
        GatewayError.

        Call it for all tokens that are kept: otherwise their refresh token is refused. The device's password
        is discarded at once: the device can refresh, but never replaces a second factor (DEVICE_SRP_AUTH)."""
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
    # Cognito's own name for the user, if it says so: later responses must not use an alias.
    internal = parameters.get("USER_ID_FOR_SRP") or parameters.get("USERNAME") or username
    choices = tuple(answer.get("AvailableChallenges") or ())
    return Challenge(answer["ChallengeName"], internal, answer.get("Session", ""), parameters, choices)
