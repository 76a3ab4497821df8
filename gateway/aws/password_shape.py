"""Cognito's own constraints on passwords, which hold under every pool policy. Pure.

Invariant: a password that Cognito would accept is never refused here.
"""

from __future__ import annotations

from gateway.errors import GatewayError

# API reference, PasswordType: at most 256 characters. Developer guide, "Adding user pool password
# requirements": a space is allowed inside a password, but not at its ends. White space is Java's `\s`, which
# Cognito's pattern uses.
LONGEST = 256
_SPACES = " \t\n\x0b\f\r"


def has_space_at_an_end(password: str) -> bool:
    return password != password.strip(_SPACES)


def possible(password: str, what: str) -> str:
    """Return the password. Raises GatewayError, naming it as `what`, if Cognito could never accept it."""
    if has_space_at_an_end(password):
        raise GatewayError(f"the {what} begins or ends with a space, which Cognito does not allow")
    if len(password) > LONGEST:
        raise GatewayError(f"the {what} is longer than Cognito's limit of {LONGEST} characters")
    return password
