"""What pages want to know of a user pool's settings, read with DescribeUserPool where that is allowed.

Read at the start, once the gateway is ready, where AWS credentials are in sight, else for the first page, and
again every ten minutes while pages are asked for.
Invariant: nothing waits for it longer than a person would, and what is not known is not taken for anything
else: a pool whose settings nobody may read is settled, one whose settings could not be read this time is not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.aws.values import CognitoRefused, NoAwsCredentials
from gateway.errors import GatewayError
from gateway.pages.password_rules import Policy
from gateway.sessions.threads import Threads

# Seconds for which settings are believed: an administrator who changes them looks again after some minutes.
_KEPT = 600.0
# The same for a failure that may pass.
_AGAIN = 5.0
# Seconds a page waits for them at most, as long as they were never read.
_PATIENCE = 1.5
# AWS wants to be left alone, or is unwell: it says nothing about whether we may read them.
_PASSING = frozenset(
    {
        "InternalErrorException",
        "InternalFailure",
        "LimitExceededException",
        "RequestTimeout",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
# Made by Cognito itself; no form asks for them.
_MADE = frozenset({"sub", "email_verified", "phone_number_verified", "updated_at", "identities"})


@dataclass(frozen=True, slots=True)
class Described:
    """What pages want to know of a pool."""

    policy: Policy
    sign_up: bool
    # The username is an e-mail address, a phone number, or either; empty: a name of one's own.
    username_attributes: tuple[str, ...]
    required: tuple[str, ...]


class Settings:
    """Of one pool; `ask` runs in a thread."""

    def __init__(self, pool_id: str, ask: Callable[[], Described], threads: Threads) -> None:
        self._pool_id = pool_id
        self._ask = ask
        self._threads = threads
        self._described: Described | None = None
        self._until = 0.0
        self._asking: asyncio.Task[None] | None = None
        # Whether they are known, or known to be nothing for us.
        self.settled = asyncio.Event()

    def inherit(self, previous: Settings) -> None:
        """Go on with what was known under a configuration that says the same of the pool."""
        self._described, self._until = previous._described, previous._until
        if previous.settled.is_set():
            self.settled.set()

    def begin(self) -> None:
        """Have them read, if it is time."""
        if self._asking is None and time.monotonic() >= self._until:
            self._asking = asyncio.create_task(self._read(), name=f"settings of {self._pool_id}")

    async def known(self) -> Described | None:
        """The settings, or None: not known, or not yet (`settled`)."""
        self.begin()
        # What was known ten minutes ago is good enough while it is asked again.
        if self._asking is not None and not self.settled.is_set():
            await asyncio.wait((self._asking,), timeout=_PATIENCE)
        return self._described

    def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()

    async def _read(self) -> None:
        kept = _AGAIN
        try:
            self._described = await self._threads.run(self._ask)
            kept = _KEPT
            self.settled.set()
        except GatewayError as error:
            if not _passes(error):
                # No credentials, or none that allow it: the usual case, for which the pages are made.
                self._described, kept = None, _KEPT
                self.settled.set()
        finally:
            self._until = time.monotonic() + kept
            self._asking = None

    def __repr__(self) -> str:
        return f"<Settings of {self._pool_id}{'' if self.settled.is_set() else ', not known yet'}>"


def _passes(error: GatewayError) -> bool:
    """Whether asking again may help."""
    if isinstance(error, CognitoRefused):
        # Without a name it is an HTTP status, of whatever stands in between.
        return error.code in _PASSING or error.code.isdigit()
    return not isinstance(error, NoAwsCredentials)


def described_by(answer: Mapping[str, Any]) -> Described:
    """From DescribeUserPool's UserPool."""
    policy = (answer.get("Policies") or {}).get("PasswordPolicy") or {}
    schema = answer.get("SchemaAttributes") or []
    return Described(
        policy=Policy(
            length=policy.get("MinimumLength", 8),
            uppercase=policy.get("RequireUppercase", False),
            lowercase=policy.get("RequireLowercase", False),
            number=policy.get("RequireNumbers", False),
            symbol=policy.get("RequireSymbols", False),
        ),
        sign_up=not (answer.get("AdminCreateUserConfig") or {}).get("AllowAdminCreateUserOnly", False),
        username_attributes=tuple(answer.get("UsernameAttributes") or ()),
        required=tuple(
            each["Name"] for each in schema if each.get("Required") and each.get("Name") not in _MADE
        ),
    )
