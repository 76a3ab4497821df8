"""What goes in and out of the adapters over the AWS API, for rooms that must not load boto3 to speak of it.

Invariant: no token, session, secret or password is in anything's repr.
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

# admin signs with AWS credentials; choice is USER_AUTH, where the user chooses how to prove who they are.
Flow = Literal["admin", "password", "srp", "choice"]


# Surrounds every call; is told what it waits for ("Cognito (eu-west-1)"). Commands say so on a terminal.
Waiting = Callable[[str], AbstractContextManager[None]]


def in_silence(_: str) -> AbstractContextManager[None]:
    """Say nothing of a wait: pages have their own."""
    return nullcontext()


# An IAM role's ARN (IAM user guide, "IAM identifiers"); its path has at most 512 characters.
ROLE_ARN = re.compile(r"arn:aws[a-z-]{0,16}:iam::[0-9]{12}:role/[!-~]{1,600}")


class NoAwsCredentials(GatewayError):
    """AWS was not asked: there are no credentials to sign a request with."""


class CognitoRefused(GatewayError):
    """Cognito said no. `code` is its exception's name, `message` its own words where they may be shown,
    `member` the request's member that a validation error names."""

    def __init__(self, code: str, sentence: str, message: str = "", member: str = "") -> None:
        super().__init__(sentence)
        self.code = code
        self.message = message
        self.member = member or phrases.wrong_member(code, message)

    @property
    def of_the_client(self) -> bool:
        """Whether the app client or the pool's settings are refused, not the user, whatever `code` says."""
        return phrases.of_the_client(self.code, self.message)


@dataclass(frozen=True, slots=True)
class PoolAddress:
    """Which pool and client, and how to reach them; `region` None: the pool ID's."""

    user_pool_id: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    region: str | None = None
    profile: str | None = None
    endpoint_url: str | None = None
    egress: Egress = DIRECT


@dataclass(frozen=True, slots=True)
class NewDevice:
    """What a pool that remembers devices calls the one a sign-in came from (API: NewDeviceMetadataType)."""

    key: str
    group_key: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a sign-in yields; `expires_in` is the access token's life in seconds."""

    access: str = field(repr=False)
    id: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_in: int
    # Of the confirmed device that the refresh token is tied to; empty in pools that do not track devices.
    device_key: str = ""
    # A device that is yet to be confirmed (devices.confirm): until then the refresh token is refused.
    new_device: NewDevice | None = None


@dataclass(frozen=True, slots=True)
class Challenge:
    """What Cognito wants to know before it gives tokens; `username` is the internal one answers must name.

    `choices` are the challenges one may choose from (SELECT_CHALLENGE only).
    """

    name: str
    username: str
    session: str = field(repr=False)
    parameters: Mapping[str, str] = field(repr=False)
    choices: tuple[str, ...] = ()
