"""A user pool's settings for the pages, read with DescribeUserPool where IAM allows it.

Read once the gateway is ready if AWS credentials are found, otherwise for the first page, and every ten
minutes while pages are in use. Invariant: a page waits for them only briefly, and unknown is a state of its
own: a pool whose settings may not be read is settled, one whose settings could not be read this time is not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.aws.relying_party import first_factors, party_of
from gateway.aws.values import CognitoRefused, NoAwsCredentials
from gateway.errors import GatewayError
from gateway.pages.password_rules import Policy
from gateway.sessions.threads import Threads

# Seconds for which settings are cached: an administrator who changes them expects to see it within minutes.
_KEPT = 600.0
# The same after a transient failure.
_AGAIN = 5.0
# Seconds that a page waits for settings that were never read.
_PATIENCE = 1.5
# AWS throttles or is failing: this does not tell whether we may read them.
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
# Set by Cognito itself; no form asks for them.
_MADE = frozenset({"sub", "email_verified", "phone_number_verified", "updated_at", "identities"})


@dataclass(frozen=True, slots=True)
class Described:
    """The settings of a user pool that the pages use."""

    policy: Policy
    sign_up: bool
    # The username is an e-mail address, a phone number, or either; empty: a name that the user chooses.
    username_attributes: tuple[str, ...]
    required: tuple[str, ...]
    # Attributes that their user may change.
    mutable: tuple[str, ...] = ()
    # Those that the app client names as writable; None if it names none, or its settings are unknown.
    writable: tuple[str, ...] | None = None
    # The second factors that the pool offers; None if they are unknown.
    second_factors: tuple[str, ...] | None = None
    # The identity providers that the app client allows; None if they are unknown.
    providers: tuple[str, ...] | None = None
    mfa_required: bool = False
    # Of choice-based sign-in.
    first_factors: tuple[str, ...] = ()
    # Of passkeys: None if it is unknown, empty if none is set (gateway/aws/relying_party.py).
    relying_party: str | None = None


class Settings:
    """The settings of one pool, read on demand. `ask` runs in a thread."""

    def __init__(
        self, pool_id: str, ask: Callable[[], Described], threads: Threads, *, previous: Settings | None
    ) -> None:
        """`previous`: those read under a configuration that has the same entry for this pool."""
        self._pool_id = pool_id
        self._ask = ask
        self._threads = threads
        self._described: Described | None = None if previous is None else previous._described
        self._until: float = 0.0 if previous is None else previous._until
        self._asking: asyncio.Task[None] | None = None
        # Set when the settings are known, or known to be unreadable.
        self.settled = asyncio.Event()
        if previous is not None and previous.settled.is_set():
            self.settled.set()

    def begin(self) -> None:
        """Start reading the settings, if they are due."""
        if self._asking is None and time.monotonic() >= self._until:
            self._asking = asyncio.create_task(self._read(), name=f"settings of {self._pool_id}")

    async def known(self) -> Described | None:
        """Return the settings, or None if they are unknown or not known yet (`settled` tells which)."""
        self.begin()
        # Settings ten minutes old are good enough while they are read again.
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
                # No AWS credentials, or none that allow it: the usual case, which the pages are designed for.
                self._described, kept = None, _KEPT
                self.settled.set()
        finally:
            self._until = time.monotonic() + kept
            self._asking = None

    def __repr__(self) -> str:
        return f"<Settings of {self._pool_id}{'' if self.settled.is_set() else ', not known yet'}>"


def _passes(error: GatewayError) -> bool:
    """Return whether the failure is transient."""
    if isinstance(error, CognitoRefused):
        # An error without a code is a bare HTTP status, from an intermediary.
        return error.code in _PASSING or error.code.isdigit()
    return not isinstance(error, NoAwsCredentials)


def described_by(
    answer: Mapping[str, Any],
    client: Mapping[str, Any] | None = None,
    mfa_config: Mapping[str, Any] | None = None,
) -> Described:
    """Parse the UserPool member of a DescribeUserPool response, the app client and the response of
    GetUserPoolMfaConfig; None: IAM does not allow to read them."""
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
        mutable=tuple(
            each["Name"] for each in schema if each.get("Mutable", True) and each.get("Name") not in _MADE
        ),
        writable=tuple((client or {}).get("WriteAttributes") or ()) or None,
        second_factors=None if mfa_config is None else _second_factors(mfa_config),
        mfa_required=answer.get("MfaConfiguration") == "ON",
        providers=tuple((client or {}).get("SupportedIdentityProviders") or ()) or None,
        first_factors=first_factors(answer),
        relying_party=None if mfa_config is None else party_of(mfa_config),
    )


def _second_factors(mfa_config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the second factors that a pool offers, by a GetUserPoolMfaConfig response."""
    if mfa_config.get("MfaConfiguration", "OFF") == "OFF":
        return ()
    offered = {
        "SOFTWARE_TOKEN_MFA": (mfa_config.get("SoftwareTokenMfaConfiguration") or {}).get("Enabled", False),
        "SMS_MFA": "SmsMfaConfiguration" in mfa_config,
        "EMAIL_OTP": "EmailMfaConfiguration" in mfa_config,
    }
    return tuple(name for name, on in offered.items() if on)
