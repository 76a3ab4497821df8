"""Account checks common to all flows: states that forbid a sign-in, and the lockout after failed passwords.

Invariant: both are the same for every flow; an unknown username is locked out like an existing one.
"""

from __future__ import annotations

from local_cognito.errors import AwsError, not_authorized, wrong_password
from local_cognito.state import RESET_REQUIRED, UNCONFIRMED, Attempts, Pool, User

# Developer guide, "Lockout behavior for failed sign-in attempts": after five failures one second, doubling
# with each further one (2^(n-5)) up to about 15 minutes; reset after 15 minutes without a failure.
_FREE_FAILURES = 5
_LONGEST_LOCK = 900.0


def check_account(user: User) -> None:
    """Raise AwsError if the account may not sign in at all, whatever was proved."""
    if not user.enabled:
        raise not_authorized("User is disabled.")
    if user.status == UNCONFIRMED:
        raise AwsError("UserNotConfirmedException", "User is not confirmed.")
    if user.status == RESET_REQUIRED:
        raise AwsError("PasswordResetRequiredException", "Password reset required for the user")


def check_lock(pool: Pool, name: str, now: float) -> None:
    """Raise NotAuthorizedException while the name is locked out. Called before the password is compared."""
    attempts = pool.attempts.setdefault(pool.fold(name), Attempts())
    if now < attempts.locked_until:
        raise not_authorized("Password attempts exceeded")
    if now - attempts.last >= _LONGEST_LOCK:
        attempts.failures = 0


def settle_attempt(pool: Pool, name: str, now: float, *, right: bool) -> None:
    """Record the outcome of a password check. Raises NotAuthorizedException if it failed."""
    if right:
        pool.attempts.pop(pool.fold(name), None)
        return
    attempts = pool.attempts.setdefault(pool.fold(name), Attempts())
    attempts.failures += 1
    attempts.last = now
    if attempts.failures >= _FREE_FAILURES:
        attempts.locked_until = now + min(2.0 ** (attempts.failures - _FREE_FAILURES), _LONGEST_LOCK)
    raise wrong_password()
