"""Codes sent to users: generated, compared, and limited in lifetime and attempts.

Invariant: a code is compared in constant time and only within its limit of attempts; an unknown username
costs and answers the same.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

from local_cognito.errors import AwsError
from local_cognito.state import Code, Delivery, Message, Pool, State


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a code is for. `asks` and `tries`: how often per hour it may be sent and tried."""

    name: str
    seconds: int
    asks: int
    tries: int


# Developer guide: "quotas", operations per user and hour, and "code validity". Where it gives a range by risk
# (forgotten passwords, 5 to 20), the lower end, which is the stricter one to test against.
SIGN_UP = Purpose("sign-up", 24 * 3600, asks=5, tries=15)
FORGOT_PASSWORD = Purpose("forgot-password", 3600, asks=5, tries=5)
ATTRIBUTE = Purpose("attribute", 24 * 3600, asks=5, tries=15)
_HOUR = 3600.0


def send(
    state: State,
    pool: Pool,
    purpose: Purpose,
    name: str,
    *,
    delivery: Delivery | None,
    now: float,
    slot: str | None = None,
    value: str | None = None,
) -> None:
    """Generate a code for this name, replacing the previous one. Without a delivery it is sent to nobody.

    `slot` distinguishes several codes of one user; `value` takes effect when the code is confirmed.
    """
    code = new_code()
    pool.codes[purpose.name, pool.fold(slot or name)] = Code(code, now + purpose.seconds, delivery, value)
    if delivery is not None:
        post(state, pool, name, kind=purpose.name, delivery=delivery, code=code, now=now)


def post(
    state: State, pool: Pool, name: str, *, kind: str, delivery: Delivery, code: str, now: float
) -> None:
    """Put a message into the outbox, where Cognito would hand it to SES or SNS."""
    text = f"Your confirmation code is {code}."
    state.outbox.append(
        Message(pool.id, name, kind, text, delivery.medium, delivery.destination, code, at=now)
    )


def new_code() -> str:
    return f"{secrets.randbelow(10**6):06}"


def redeem(pool: Pool, purpose: Purpose, name: str, given: str, now: float) -> Code:
    """Return the code if it matches; it stays valid until `spend`. Raises AwsError as Cognito does."""
    count(pool, f"try {purpose.name}", name, purpose.tries, now)
    code = pool.codes.get((purpose.name, pool.fold(name)))
    if code is None or now >= code.expires:
        raise expired()
    if not hmac.compare_digest(code.code.encode(), given.encode()):
        raise mismatch()
    return code


def spend(pool: Pool, purpose: Purpose, name: str) -> None:
    pool.codes.pop((purpose.name, pool.fold(name)), None)


def count(pool: Pool, action: str, name: str, most: int, now: float) -> None:
    """Count one call. Raises LimitExceededException above `most` calls per hour."""
    times = pool.calls.setdefault((action, pool.fold(name)), [])
    times[:] = [one for one in times if one + _HOUR > now]
    if len(times) >= most:
        raise AwsError("LimitExceededException", "Attempt limit exceeded, please try after some time.")
    times.append(now)


def expired() -> AwsError:
    return AwsError("ExpiredCodeException", "Invalid code provided, please request a code again.")


def mismatch() -> AwsError:
    return AwsError("CodeMismatchException", "Invalid verification code provided, please try again.")
