"""The adapter over boto3's cognito-idp: sign in at a user pool, answer its challenges.

Between the commands and AWS. Invariant: no exception of boto3 leaves this module, and no token, password or
secret is in the text of those that do.

Whose credentials: only the admin flow signs. It uses AWS's usual chain (environment, profile, container,
instance). An endpoint on loopback is a local Cognito, which believes every signature: there requests are
signed with the placeholder `local` unless a profile is named, so that real credentials are neither needed nor
used.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import boto3
from botocore import UNSIGNED
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError

from gateway.aws.sentences import CognitoRefused, explain, refused
from gateway.errors import GatewayError

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient

__all__ = ["Challenge", "CognitoRefused", "Flow", "PoolAddress", "Tokens", "UserPool"]

Flow = Literal["admin", "password"]


@dataclass(frozen=True, slots=True)
class PoolAddress:
    """Which pool and client, and how to reach them; `region` None: the pool ID's."""

    user_pool_id: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    region: str | None = None
    profile: str | None = None
    endpoint_url: str | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a sign-in yields; `expires_in` is the access token's life in seconds."""

    access: str = field(repr=False)
    id: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_in: int


@dataclass(frozen=True, slots=True)
class Challenge:
    """What Cognito wants to know before it gives tokens; `username` is the internal one answers must name."""

    name: str
    username: str
    session: str = field(repr=False)
    parameters: Mapping[str, str] = field(repr=False)


class UserPool:
    """One user pool, seen by one app client. All of it raises GatewayError; refusals are CognitoRefused."""

    def __init__(self, address: PoolAddress, flow: Flow) -> None:
        self._address = address
        self._flow = flow
        try:
            self._client = _connect(address, signed=flow == "admin")
        except (BotoCoreError, ValueError) as error:
            raise explain(error, endpoint=address.endpoint_url) from error

    def sign_in(self, username: str, password: str) -> Tokens | Challenge:
        parameters = {"USERNAME": username, "PASSWORD": password, **self._secret_hash(username)}
        if self._flow == "admin":
            return self._call(
                username,
                "admin_initiate_auth",
                UserPoolId=self._address.user_pool_id,
                AuthFlow="ADMIN_USER_PASSWORD_AUTH",
                AuthParameters=parameters,
            )
        return self._call(username, "initiate_auth", AuthFlow="USER_PASSWORD_AUTH", AuthParameters=parameters)

    def answer(self, challenge: Challenge, answers: Mapping[str, str]) -> Tokens | Challenge:
        """`answers` without USERNAME and SECRET_HASH."""
        name = challenge.username
        request: dict[str, Any] = {
            "ChallengeName": challenge.name,
            "Session": challenge.session,
            "ChallengeResponses": {"USERNAME": name, **answers, **self._secret_hash(name)},
        }
        if self._flow == "admin":
            pool_id = self._address.user_pool_id
            return self._call(name, "admin_respond_to_auth_challenge", UserPoolId=pool_id, **request)
        return self._call(name, "respond_to_auth_challenge", **request)

    def _call(self, username: str, method: str, **request: Any) -> Tokens | Challenge:
        try:
            answer = getattr(self._client, method)(ClientId=self._address.client_id, **request)
        except ClientError as error:
            raise refused(error, client_id=self._address.client_id, flow=self._flow) from None
        except BotoCoreError as error:
            raise explain(error, endpoint=self._address.endpoint_url) from None
        return _outcome(username, answer)

    def _secret_hash(self, username: str) -> dict[str, str]:
        secret = self._address.client_secret
        if secret is None:
            return {}
        message = (username + self._address.client_id).encode()
        return {
            "SECRET_HASH": base64.b64encode(hmac.digest(secret.encode(), message, hashlib.sha256)).decode()
        }


def _outcome(username: str, answer: Mapping[str, Any]) -> Tokens | Challenge:
    result = answer.get("AuthenticationResult")
    if result:
        return Tokens(
            access=result["AccessToken"],
            id=result.get("IdToken", ""),
            refresh=result.get("RefreshToken", ""),
            expires_in=result["ExpiresIn"],
        )
    if not answer.get("ChallengeName"):
        raise GatewayError("Cognito answered with neither tokens nor a challenge")
    parameters = answer.get("ChallengeParameters", {})
    # The internal name when Cognito tells it: later answers must not use an alias.
    internal = parameters.get("USER_ID_FOR_SRP", username)
    return Challenge(answer["ChallengeName"], internal, answer.get("Session", ""), parameters)


def _connect(address: PoolAddress, *, signed: bool) -> CognitoIdentityProviderClient:
    local = address.endpoint_url is not None and is_loopback(address.endpoint_url)
    region = address.region or address.user_pool_id.partition("_")[0]
    config = ClientConfig(
        connect_timeout=5,
        read_timeout=15,
        # A second try for a lost connection; more would count as failed sign-ins of the user's.
        retries={"total_max_attempts": 2, "mode": "standard"},
        # Environment proxies are for the way out of this machine, not for loopback.
        proxies={} if local else None,
        signature_version=None if signed else UNSIGNED,
    )
    session = boto3.Session(profile_name=address.profile, region_name=region)
    placeholder = "local" if signed and local and address.profile is None else None
    return session.client(
        "cognito-idp",
        endpoint_url=address.endpoint_url,
        config=config,
        aws_access_key_id=placeholder,
        aws_secret_access_key=placeholder,
    )


def is_loopback(url: str) -> bool:
    """Whether the URL's host is `localhost` or a loopback address; names are not resolved."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
