"""AWS clients for the commands: credentials, Region and endpoint are chosen here for all of them.

Credentials and Region come from AWS's default chain, as for the AWS CLI. An endpoint on loopback is a local
Cognito, which does not verify signatures: requests to it are signed with the placeholder `local` unless a
profile is named, so that real credentials are neither needed nor used.

Invariant: no boto3 exception leaves `Aws`, and the text of those that do contains no secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from botocore import UNSIGNED
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError

from gateway.aws.boto_egress import proxies_of, verify_of
from gateway.aws.boto_session import boto_session
from gateway.aws.cognito_client import is_loopback
from gateway.aws.sentences import explain, shown
from gateway.aws.values import CognitoRefused, Waiting, in_silence
from gateway.config.model import DIRECT, Egress
from gateway.errors import GatewayError

# Error codes of all AWS services for missing permissions.
_DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorizedException"}
)
_NO_SUCH = frozenset({"ResourceNotFoundException", "NoSuchEntity"})
_BUSY = frozenset({"TooManyRequestsException", "Throttling", "ThrottlingException", "LimitExceededException"})
_BAD_CREDENTIALS = frozenset(
    {
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
    }
)
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Where:
    """The AWS account and Region to call, as in the AWS CLI's flags; None: the default chain."""

    region: str | None = None
    profile: str | None = None
    endpoint_url: str | None = None
    egress: Egress = DIRECT

    @property
    def local(self) -> bool:
        return self.endpoint_url is not None and is_loopback(self.endpoint_url)


class Aws:
    """AWS, called by operation name. Clients are created on first use."""

    def __init__(self, where: Where, waiting: Waiting = in_silence) -> None:
        self.where = where
        self.waiting = waiting
        # The operations called, by their IAM names (cognito-idp:CreateUserPool). A set, since the gateway's
        # own instance lives as long as its process.
        self.called: set[str] = set()
        self._clients: dict[tuple[str, bool], Any] = {}
        # Any: services are chosen at run time, and the stubs have one overload for each.
        self._session: Any
        try:
            self._session = boto_session(where.profile, where.region)
        except BotoCoreError as error:
            raise explain(error, endpoint=where.endpoint_url, egress=where.egress) from None

    @property
    def region(self) -> str:
        """The Region in use. Raises GatewayError if none is configured."""
        region = self._session.region_name
        if not region:
            raise GatewayError(
                "no AWS region: name one with --region, or set AWS_REGION or the profile's region"
            )
        return str(region)

    def call(self, service: str, operation: str, *, signed: bool = True, **request: Any) -> dict[str, Any]:
        """Call an operation (`CreateUserPool`) of a service (`cognito-idp`) and return its response.

        Raises AwsRefused for an error response, GatewayError if there is no response.
        """
        client = self.client(service, signed=signed)
        self.called.add(f"{service}:{operation}")
        method = _WORDS.sub("_", operation).lower()
        try:
            with self.waiting(self._named(service)):
                answer: dict[str, Any] = getattr(client, method)(**request)
        except ClientError as error:
            raise AwsRefused.of(service, operation, error, signed=signed) from None
        except BotoCoreError as error:
            raise explain(error, endpoint=self.where.endpoint_url, egress=self.where.egress) from None
        if not answer.keys() - {"ResponseMetadata"} and _foreign(answer):
            where = self.where.endpoint_url or "the region's endpoint"
            raise GatewayError(f"what answers at {where} is not AWS: check the endpoint")
        return answer

    def pages(self, service: str, operation: str, result: str, **request: Any) -> list[dict[str, Any]]:
        """Return the items of `result` from every page. Raises as `call` does."""
        found: list[dict[str, Any]] = []
        token: dict[str, Any] = {}
        with self.waiting(self._named(service)):
            while True:
                answer = self.call(service, operation, **request, **token)
                found += answer.get(result, [])
                following = answer.get("NextToken")
                if not following:
                    return found
                token = {"NextToken": following}

    def client(self, service: str, *, signed: bool = True) -> Any:
        key = service, signed
        if key not in self._clients:
            try:
                # AWS credentials may come from the network as well.
                foreign = signed and not self.where.local
                with self.waiting("AWS credentials" if foreign else self._named(service)):
                    self._clients[key] = self._connect(service, signed=signed)
            except (BotoCoreError, ValueError) as error:
                raise explain(error, endpoint=self.where.endpoint_url, egress=self.where.egress) from None
        return self._clients[key]

    def _named(self, service: str) -> str:
        name = "Cognito" if service.startswith("cognito") else service.upper()
        return f"{name} ({self.where.endpoint_url or self.region})"

    def _connect(self, service: str, *, signed: bool) -> Any:
        where = self.where
        config = ClientConfig(
            connect_timeout=5,
            read_timeout=30,
            # IAM and Cognito throttle clients that create a pool and everything in it at once.
            retries={"total_max_attempts": 5, "mode": "standard"},
            proxies=proxies_of(where.egress, local=where.local),
            signature_version=None if signed else UNSIGNED,
        )
        placeholder = "local" if signed and where.local and where.profile is None else None
        return self._session.client(
            service,
            endpoint_url=where.endpoint_url,
            config=config,
            verify=verify_of(where.egress),
            # IAM is global but still needs a Region.
            region_name=self.region,
            aws_access_key_id=placeholder,
            aws_secret_access_key=placeholder,
        )


def _foreign(answer: dict[str, Any]) -> bool:
    """Return whether a response without members is not from AWS: botocore parses any web page as empty."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    kind = headers.get("content-type", "")
    # An empty body is an empty response, whatever its media type (moto).
    return headers.get("content-length") != "0" and bool(kind) and "json" not in kind and "xml" not in kind


class AwsRefused(CognitoRefused):
    """An error response of AWS; `code` is its error code."""

    @classmethod
    def of(cls, service: str, operation: str, error: ClientError, *, signed: bool) -> AwsRefused:
        details = error.response.get("Error", {})
        code, message = str(details.get("Code", "unknown")), str(details.get("Message", ""))
        return cls(code, _sentence(f"{service}:{operation}", code, message, signed))

    @property
    def missing(self) -> bool:
        """Whether the resource does not exist."""
        return self.code in _NO_SUCH


def _sentence(action: str, code: str, message: str, signed: bool) -> str:
    text = shown(message)
    # An unsigned request was refused for the user's token, and AWS says why.
    if code in _DENIED and signed:
        return (
            f"these AWS credentials may not do {action}: `cognito-gateway setup --iam-policy` prints the "
            "policy they need"
        )
    if code in _BAD_CREDENTIALS:
        return "the AWS credentials are not valid: check --profile, AWS_ACCESS_KEY_ID and the clock"
    if code in {"ExpiredToken", "ExpiredTokenException"}:
        return "the AWS credentials have expired: get new ones"
    if code in _BUSY:
        return f"AWS is throttling {action}: run this again in a minute"
    return f"AWS refused {action}: {code}: {text}".rstrip(": ")
