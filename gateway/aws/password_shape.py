"""What every password at Cognito looks like, whatever a pool's policy asks for besides. Pure.

Invariant: a password that Cognito would take is never refused here.
"""

from __future__ import annotations

from gateway.errors import GatewayError

# API reference, PasswordType: at most 256 characters. Developer guide, "Adding user pool password
# requirements": a space may stand inside a password, but at neither end. Spaces are those of Java's `\s`,
# which Cognito's pattern means.
LONGEST = 256
_SPACES = " \t\n\x0b\f\r"


def has_space_at_an_end(password: str) -> bool:
    return password != password.strip(_SPACES)


def possible(password: str, what: str) -> str:
    """The password; raises GatewayError where it is none, `what` says which one it is."""
    if has_space_at_an_end(password):
        raise GatewayError(f"the {what} begins or ends with a space, as no password at Cognito does")
    if len(password) > LONGEST:
        raise GatewayError(f"the {what} has more than {LONGEST} characters, as no password at Cognito has")
    return password
