"""boto3's cognito-idp client for one app client of one pool, with errors as sentences.

Invariant: no boto3 exception leaves `call`, and the text of those that do contains no token, password or
secret.

Only the admin flow signs its requests, with AWS's default credential chain (environment, profile, container,
instance). An endpoint on loopback is a local Cognito, which does not verify signatures: requests to it are
signed with the placeholder `local` unless a profile is named, so that real credentials are neither needed nor
used.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore import UNSIGNED
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError

from gateway.aws.boto_egress import proxies_of, verify_of
from gateway.aws.boto_session import boto_session
from gateway.aws.sentences import explain, refused
from gateway.aws.values import Flow, PoolAddress, Waiting, in_silence

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient


# Operations that take the user's address, for threat protection (API reference: UserContextDataType).
_WITH_USER_CONTEXT = frozenset(
    {
        "confirm_forgot_password",
        "confirm_sign_up",
        "forgot_password",
        "initiate_auth",
        "resend_confirmation_code",
        "respond_to_auth_challenge",
        "sign_up",
    }
)


class CognitoClient:
    """The client. Methods raise GatewayError; CognitoRefused if Cognito refuses. Thread-safe."""

    def __init__(self, address: PoolAddress, flow: Flow, waiting: Waiting = in_silence) -> None:
        self.address = address
        self.flow = flow
        self._waiting = waiting
        self._waits_for = f"Cognito ({address.endpoint_url or _region(address)})"
        self._user_context: dict[str, Any] = {}
        try:
            # AWS credentials may come from the network as well.
            foreign = flow == "admin" and not (address.endpoint_url and is_loopback(address.endpoint_url))
            with waiting("AWS credentials" if foreign else self._waits_for):
                self._client = _connect(address, signed=flow == "admin")
        except (BotoCoreError, ValueError) as error:
            raise explain(error, endpoint=address.endpoint_url, egress=address.egress, flow=flow) from error

    def seen_from(self, client: str) -> CognitoClient:
        """Return a copy for one user, whose IP address is sent to Cognito."""
        other = copy.copy(self)
        other._user_context = {"UserContextData": {"IpAddress": client}}
        return other

    def call(self, method: str, **request: Any) -> Mapping[str, Any]:
        """Call an operation by its boto3 name and return the response."""
        if method in _WITH_USER_CONTEXT:
            request |= self._user_context
        try:
            with self._waiting(self._waits_for):
                answer: Mapping[str, Any] = getattr(self._client, method)(**request)
        except ClientError as error:
            raise refused(error, client_id=self.address.client_id, flow=self.flow) from None
        except BotoCoreError as error:
            raise explain(
                error, endpoint=self.address.endpoint_url, egress=self.address.egress, flow=self.flow
            ) from None
        return answer

    def secret_hash(self, username: str, name: str = "SECRET_HASH") -> dict[str, str]:
        """Return the member that app clients with a secret must send; empty for the others (SECRET_HASH)."""
        secret = self.address.client_secret
        if secret is None:
            return {}
        message = (username + self.address.client_id).encode()
        return {name: base64.b64encode(hmac.digest(secret.encode(), message, hashlib.sha256)).decode()}


def _connect(address: PoolAddress, *, signed: bool) -> CognitoIdentityProviderClient:
    local = address.endpoint_url is not None and is_loopback(address.endpoint_url)
    config = ClientConfig(
        connect_timeout=5,
        read_timeout=15,
        # One retry for a lost connection; more would count as failed sign-ins of the user.
        retries={"total_max_attempts": 2, "mode": "standard"},
        proxies=proxies_of(address.egress, local=local),
        signature_version=None if signed else UNSIGNED,
    )
    session = boto_session(address.profile, _region(address))
    placeholder = "local" if signed and local and address.profile is None else None
    return session.client(
        "cognito-idp",
        endpoint_url=address.endpoint_url,
        config=config,
        verify=verify_of(address.egress),
        aws_access_key_id=placeholder,
        aws_secret_access_key=placeholder,
    )


def _region(address: PoolAddress) -> str:
    return address.region or address.user_pool_id.partition("_")[0]


def is_loopback(url: str) -> bool:
    """Return whether the URL's host is `localhost` or a loopback address; names are not resolved."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
