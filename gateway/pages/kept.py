"""Sealed short-lived cookies between two forms: the current sign-in step, and the account awaiting a code.

Each is bound to this browser. Invariant: what is read back is what was stored for this same browser, or
nothing.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeVar

from gateway.aws.values import Challenge
from gateway.pages import sign_in_steps
from gateway.pages.sign_in_steps import SignInStep
from gateway.pages.sign_in_target import SignInTarget
from gateway.sessions.page_request import PageRequest
from gateway.sessions.sealing import Sealer

Kept = TypeVar("Kept")

_STEP, _ACCOUNT = "step", "account"
# AuthSessionValidity is 3 to 15 minutes; only Cognito knows the value, and it refuses earlier where it is
# less.
_STEP_LIFE = 900.0
# The code for a forgotten password lives an hour, a confirmation code a day; later the user names the
# account.
_ACCOUNT_LIFE = 3600.0
# The destination of a code that may have gone to one of several addresses.
SOMEWHERE = "your address"


@dataclass(frozen=True, slots=True)
class Account:
    """The account whose code is awaited. `resend_at`: when another code may be requested, in epoch
    seconds."""

    why: Literal["confirm", "reset"]
    pool_id: str
    username: str = field(repr=False)
    # 1: this browser has shown the password in force, by creating the account or by signing in with it.
    # Numbers, not booleans or fractions: the sealed value's length is visible and must not depend on them.
    proven: int = 0
    # The address that was typed, where the code is known to go there.
    destination: str = field(default="", repr=False)
    resend_at: float = 0.0
    return_to: str = ""
    # Cognito's session of the sign-up, with blanks after it up to a fixed length, and when it ends.
    session: str = field(default="", repr=False)
    session_until: int = 0


def new_step(
    wanted: SignInTarget, challenge: Challenge, secret: str = "", *, everywhere: bool = False
) -> SignInStep:
    """Return a step of a sign-in whose pool is chosen."""
    assert wanted.pool_id is not None, "a step is one of a pool's"
    return SignInStep(
        secrets.token_hex(8),
        wanted.pool_id,
        challenge,
        wanted.return_to,
        secret,
        everywhere,
        wanted.acr_values,
    )


def keep_step(page: PageRequest, sealer: Sealer, step: SignInStep, *, name: str = _STEP) -> None:
    _keep(page, sealer, name, sign_in_steps.encode(step), _STEP_LIFE)


def kept_step(page: PageRequest, sealer: Sealer, *, name: str = _STEP) -> SignInStep | None:
    return _kept(page, sealer, name, sign_in_steps.decode)


def forget_step(page: PageRequest, *, name: str = _STEP) -> None:
    page.set_cookies += page.cookies.clear_split(name)


def keep_account(page: PageRequest, sealer: Sealer, account: Account) -> None:
    _keep(page, sealer, _ACCOUNT, json.dumps(asdict(account)).encode(), _ACCOUNT_LIFE)


def kept_account(page: PageRequest, sealer: Sealer, why: str) -> Account | None:
    account = _kept(page, sealer, _ACCOUNT, _account)
    return account if account is not None and account.why == why else None


def forget_account(page: PageRequest) -> None:
    page.set_cookies += page.cookies.clear_split(_ACCOUNT)


def _account(data: bytes) -> Account | None:
    try:
        return Account(**json.loads(data))
    except (ValueError, TypeError):
        return None


def _keep(page: PageRequest, sealer: Sealer, name: str, data: bytes, life: float) -> None:
    binding = f"{name} {page.browser_id}".encode("ascii")
    sealed = sealer.seal(data, until=page.now + life, binding=binding)
    page.set_cookies += page.cookies.set_split(name, sealed, max_age=life)


def _kept(page: PageRequest, sealer: Sealer, name: str, read: Callable[[bytes], Kept | None]) -> Kept | None:
    sealed, browser = page.cookies.joined(name), page.known_browser
    if sealed is None or browser is None:
        return None
    data = sealer.open(sealed, now=page.now, binding=f"{name} {browser}".encode("ascii"))
    return None if data is None else read(data)
