"""Password policy, generation and storage.

Invariant: a password is stored only as a salted hash, and a comparison takes the same time whether or not the
user exists.
"""

from __future__ import annotations

import hashlib
import secrets
import string
from dataclasses import dataclass, field
from hmac import compare_digest

from local_cognito.errors import AwsError

# Cognito's set (developer guide, "Adding user pool password requirements"); an inner space counts too.
SYMBOLS = "^$*.[]{}()?\"!@#%&/\\,><':;|_~`=+-"
# For generated passwords: no similar characters, and no symbols that a shell expands.
_FRIENDLY = ("abcdefghijkmnopqrstuvwxyz", "ABCDEFGHJKLMNPQRSTUVWXYZ", "23456789", "._+-")


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """A password policy; the defaults are Cognito's for a pool created without one."""

    minimum_length: int = 8
    uppercase: bool = True
    lowercase: bool = True
    numbers: bool = True
    symbols: bool = True
    temporary_days: int = 7


@dataclass(frozen=True, slots=True)
class PasswordHash:
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)


def check_policy(policy: PasswordPolicy, password: str) -> None:
    """Raise InvalidPasswordException, with Cognito's message, for the first rule that is violated."""
    if password != password.strip():
        # Reached only by challenge answers; elsewhere the field's pattern has refused it.
        raise _refused("Password must not begin or end with a space")
    if len(password) < policy.minimum_length:
        raise _refused("Password not long enough")
    rules = (
        (policy.lowercase, string.ascii_lowercase, "lowercase"),
        (policy.uppercase, string.ascii_uppercase, "uppercase"),
        (policy.numbers, string.digits, "numeric"),
        (policy.symbols, SYMBOLS + " ", "symbol"),
    )
    for wanted, alphabet, name in rules:
        if wanted and not any(character in alphabet for character in password):
            raise _refused(f"Password must have {name} characters")


def _refused(why: str) -> AwsError:
    return AwsError("InvalidPasswordException", f"Password did not conform with policy: {why}")


def generate(policy: PasswordPolicy) -> str:
    """Return a random password with every class of characters, which every policy of its length accepts."""
    length = max(policy.minimum_length, 12)
    letters = [secrets.choice(alphabet) for alphabet in _FRIENDLY]
    letters += [secrets.choice("".join(_FRIENDLY)) for _ in range(length - len(letters))]
    secrets.SystemRandom().shuffle(letters)
    return "".join(letters)


def hash_password(password: str) -> PasswordHash:
    salt = secrets.token_bytes(16)
    return PasswordHash(salt, _digest(password, salt))


_NOBODY = PasswordHash(secrets.token_bytes(16), secrets.token_bytes(32))


def matches(stored: PasswordHash | None, password: str) -> bool:
    """Return whether the password matches; takes the same time if none is stored."""
    against = stored or _NOBODY
    equal = compare_digest(_digest(password, against.salt), against.digest)
    return equal and stored is not None


def _digest(password: str, salt: bytes) -> bytes:
    # n=2**10: about 2 ms. These passwords are test data that live as long as the process; OWASP's 2**17
    # would cost 0.3 s per sign-in and protect nothing.
    return hashlib.scrypt(password.encode(), salt=salt, n=2**10, r=8, p=1, dklen=32)
