"""Values passed to and from the AWS adapters, for rooms that must not load boto3.

Invariant: no repr contains a token, session, secret or password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Literal

from gateway.aws import phrases
from gateway.config.model import DIRECT, Egress
from gateway.errors import GatewayError

# admin: signed with AWS credentials; choice: USER_AUTH, in which the user chooses a challenge.
Flow = Literal["admin", "password", "srp", "choice"]


# Wraps every call; receives the service that is called ("Cognito (eu-west-1)"). Commands print it on a
# terminal.
Waiting = Callable[[str], AbstractContextManager[None]]


def in_silence(_: str) -> AbstractContextManager[None]:
    """Return a context that prints nothing: pages show their own progress."""
    return nullcontext()


# IAM user guide, "IAM identifiers": the path of a role's ARN has at most 512 characters.
ROLE_ARN = re.compile(r"arn:aws[a-z-]{0,16}:iam::[0-9]{12}:role/[!-~]{1,600}")


class NoAwsCredentials(GatewayError):
    """AWS was not called: there are no credentials to sign the request with."""


class CognitoRefused(GatewayError):
    """Cognito refused. `code` is the exception's name, `message` Cognito's text if it may be shown, `member`
    the request member named by a validation error."""

    def __init__(self, code: str, sentence: str, message: str = "", member: str = "") -> None:
        super().__init__(sentence)
        self.code = code
        self.message = message
        self.member = member or phrases.wrong_member(code, message)

    @property
    def of_the_client(self) -> bool:
        """Whether Cognito refuses the app client or the pool's settings rather than the user."""
        return phrases.of_the_client(self.code, self.message)


@dataclass(frozen=True, slots=True)
class PoolAddress:
    """The user pool and app client to call, and how to reach them. `region` None: from the pool ID."""

    user_pool_id: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    region: str | None = None
    profile: str | None = None
    endpoint_url: str | None = None
    egress: Egress = DIRECT


@dataclass(frozen=True, slots=True)
class NewDevice:
    """The device of a sign-in, in a pool that tracks devices (API reference: NewDeviceMetadataType)."""

    key: str
    group_key: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a sign-in; `expires_in` is the access token's lifetime in seconds."""

    access: str = field(repr=False)
    id: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_in: int
    # Key of the confirmed device that the refresh token is bound to; empty in pools that do not track
    # devices.
    device_key: str = ""
    # A device still to be confirmed (UserPoolClient.confirm_device): until then the refresh token is refused.
    new_device: NewDevice | None = None


@dataclass(frozen=True, slots=True)
class OwnUser:
    """A signed-in user's account. `factors`: the second factors in use; `preferred`: one of them, or
    empty."""

    username: str
    attributes: Mapping[str, str] = field(repr=False)
    factors: tuple[str, ...] = ()
    preferred: str = ""


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey of a user. `name`: Cognito's, after the program or device that holds it.

    `roaming`: on a security key or another device; `created`: Unix time.
    """

    id: str
    name: str
    roaming: bool
    created: float


@dataclass(frozen=True, slots=True)
class UserSession:
    """A session of a user, in a pool that tracks them. Texts are Cognito's, and may be empty; times are Unix
    times.

    `browser`: it is one of managed login in a browser (SSO), not one of tokens; `origin`: the browser's
    session that it came through; `current`: the one of the access token that asked.
    """

    id: str
    client_id: str
    browser: bool
    created: float
    active: float
    device: str
    address: str
    place: str
    origin: str
    current: bool


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge that must be answered before Cognito issues tokens. `username` is the name that answers
    must use.

    `choices`: the challenges to choose from (SELECT_CHALLENGE only).
    """

    name: str
    username: str
    session: str = field(repr=False)
    parameters: Mapping[str, str] = field(repr=False)
    choices: tuple[str, ...] = ()
