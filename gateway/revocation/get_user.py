"""The client of Cognito's GetUser, which tells whether an access token is still accepted.

GetUser is not signed and needs no AWS credentials: the token is the proof. Of a successful response only the
status counts; its body is not even read. Invariant: the result is a `TokenStatus` or `CheckFailed`, whose
text contains no byte of response or token; and a call ends within `TOTAL_TIMEOUT`.
"""

from __future__ import annotations

import asyncio
import json
from enum import Enum

from aiohttp import ClientError, ClientResponse, ClientSession

from gateway.config.model import DIRECT, Egress
from gateway.errors import GatewayError
from gateway.outgoing.aws_http import AwsHttp

# Seconds for connection, TLS and response. AWS responds in 20–100 ms.
TOTAL_TIMEOUT = 5.0
# Bytes of an error document, which usually has 200.
_MAX_ERROR = 16 * 1024
_HEADERS = {
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Target": "AWSCognitoIdentityProviderService.GetUser",
    "Accept-Encoding": "identity",
}
# Exceptions about the user of a token. AWS, GetUser, "Errors".
_USER_GONE = "UserNotFoundException"
_USER_STOPPED = frozenset({"PasswordResetRequiredException", "UserNotConfirmedException"})
_THROTTLED = frozenset({"TooManyRequestsException", "ThrottlingException", "LimitExceededException"})


class TokenStatus(Enum):
    """Cognito's verdict on a token, or on its user."""

    HOLDS = "holds"
    ENDED = "expired"
    REVOKED = "revoked"
    DISABLED = "disabled"
    DELETED = "deleted"
    # Not accepted, for another reason about the user.
    REFUSED = "refused"


class CheckFailed(Exception):
    """The status is unknown. `reason`: timeout, unreachable, throttled, status, foreign."""

    def __init__(self, reason: str, exact: str) -> None:
        super().__init__(exact)
        self.reason = reason


class UserPoolApi:
    """Cognito's API over persistent connections. Its owner calls `close`."""

    def __init__(
        self, endpoint_url: str | None, egress: Egress = DIRECT, *, timeout: float = TOTAL_TIMEOUT
    ) -> None:
        """`endpoint_url` None: AWS's endpoint in the pool's region."""
        self._endpoint_url = endpoint_url
        self._http = AwsHttp(egress)
        self._timeout = timeout
        self._session: ClientSession | None = None

    async def ask(self, region: str, token: bytes) -> TokenStatus:
        """Ask Cognito about this access token. Raises CheckFailed."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._ask(self.url(region), token)
        except TimeoutError:
            raise CheckFailed("timeout", f"no complete response within {self._timeout:g} s") from None
        except (GatewayError, ClientError, OSError, ValueError) as error:
            raise CheckFailed("unreachable", self._http.explain(error)) from None

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def url(self, region: str) -> str:
        if self._endpoint_url is not None:
            return self._endpoint_url + "/"
        # The European Sovereign Cloud's suffix, from botocore's endpoint rules.
        suffix = "amazonaws.eu" if region.startswith("eusc-") else "amazonaws.com"
        return f"https://cognito-idp.{region}.{suffix}/"

    async def _ask(self, url: str, token: bytes) -> TokenStatus:
        options = await self._http.options(url)
        if self._session is None:
            self._session = self._http.session()
        body = json.dumps({"AccessToken": token.decode("ascii")}).encode("ascii")
        # A redirect must not take tokens elsewhere.
        asking = self._session.post(url, data=body, headers=_HEADERS, allow_redirects=False, **options)
        async with asking as answer:
            if answer.status == 200:
                return TokenStatus.HOLDS
            return judge(answer.status, await _read(answer))


async def _read(answer: ClientResponse) -> bytes:
    document = bytearray()
    async for chunk in answer.content.iter_any():
        document += chunk
        if len(document) > _MAX_ERROR:
            raise CheckFailed("status", f"status {answer.status} and a long document")
    return bytes(document)


def judge(status: int, document: bytes) -> TokenStatus:
    """Return what a response other than 200 means. Raises CheckFailed if it says nothing about the token."""
    kind, message = _error(document)
    if kind in _THROTTLED or status == 429:
        raise CheckFailed("throttled", f"status {status}")
    if kind == _USER_GONE:
        return TokenStatus.DELETED
    if kind in _USER_STOPPED:
        return TokenStatus.REFUSED
    if kind != "NotAuthorizedException":
        raise CheckFailed("status", f"status {status}")
    if message.startswith("invalid access token"):
        # The signature was the pool's: so this is not the Cognito that issued the token.
        raise CheckFailed("foreign", "Cognito does not recognise the token: check cognito.endpoint_url")
    # The messages tell the cases apart, but are not part of the API: any other message is a refusal.
    if "expired" in message:
        return TokenStatus.ENDED
    if "disabled" in message:
        return TokenStatus.DISABLED
    return TokenStatus.REVOKED if "revoked" in message else TokenStatus.REFUSED


def _error(document: bytes) -> tuple[str, str]:
    """Return the exception's name and message in AWS's JSON protocol 1.1; empty if there is none."""
    try:
        error = json.loads(document)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(error, dict):
        return "", ""
    kind, message = error.get("__type"), error.get("message") or error.get("Message")
    # Some services put a namespace before the name.
    name = kind.rpartition("#")[2] if isinstance(kind, str) else ""
    return name, message.lower() if isinstance(message, str) else ""
