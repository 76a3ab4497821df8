"""A pool's password rules, as sentences and as a check. Pure.

If the pool's policy is unknown (reading it needs AWS credentials, which a gateway may lack), nothing is
refused here: Cognito's default is shown as advice, and Cognito decides.

Invariant: a password that the pool would accept is never refused here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.aws.password_shape import LONGEST, has_space_at_an_end

# Developer guide, "Adding user pool password requirements": the characters that Cognito counts as symbols; a
# space inside the password counts too.
SYMBOLS = frozenset("^$*.[]{}()?\"!@#%&/\\,><':;|_~`=+-")
SPACE_AT_AN_END = "A password can't begin or end with a space"


@dataclass(frozen=True, slots=True)
class Policy:
    """A user pool's PasswordPolicy; the defaults are those of a pool created without one."""

    length: int = 8
    uppercase: bool = True
    lowercase: bool = True
    number: bool = True
    symbol: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `kind` is what static/pages.js checks during typing."""

    kind: str
    text: str
    least: int | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    heading: str
    items: tuple[Rule, ...]


def rules(policy: Policy | None) -> Rules:
    """Return the rules to show. None: the pool's policy is unknown."""
    shown = policy or Policy()
    items = [Rule("length", f"{shown.length} characters or more", shown.length)]
    items += [Rule(kind, text) for kind, text, wanted in _kinds(shown) if wanted]
    heading = "The password needs" if policy else "A password usually needs"
    return Rules(heading, tuple(items))


def broken(policy: Policy | None, password: str) -> str | None:
    """Return a sentence that says what the password lacks, or None."""
    if not password:
        return "Enter a password"
    if len(password) > LONGEST:
        return f"The password is longer than {LONGEST} characters"
    if has_space_at_an_end(password):
        return SPACE_AT_AN_END
    if policy is None:
        return None
    missing = [text for kind, text, wanted in _kinds(policy) if wanted and not _MET[kind](password)]
    if len(password) < policy.length:
        missing.insert(0, f"{policy.length} characters or more")
    return f"The password still needs {_listed(missing)}" if missing else None


def _kinds(policy: Policy) -> Iterable[tuple[str, str, bool]]:
    return (
        ("uppercase", "an uppercase letter", policy.uppercase),
        ("lowercase", "a lowercase letter", policy.lowercase),
        ("number", "a number", policy.number),
        ("symbol", "a symbol", policy.symbol),
    )


def _has_symbol(password: str) -> bool:
    return any(character in SYMBOLS for character in password) or " " in password.strip(" ")


# Cognito counts ASCII letters only (its policy page: "basic Latin").
_MET = {
    "uppercase": lambda password: any("A" <= character <= "Z" for character in password),
    "lowercase": lambda password: any("a" <= character <= "z" for character in password),
    "number": lambda password: any("0" <= character <= "9" for character in password),
    "symbol": _has_symbol,
}


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
