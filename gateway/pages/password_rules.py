"""A pool's password rules, as sentences and as a check. Pure.

If the pool's policy is unknown (reading it needs AWS credentials, which a gateway may lack), nothing is
refused here: Cognito's default is shown as advice, and Cognito decides.

Invariant: a password that the pool would accept is never refused here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.aws.password_shape import LONGEST, has_space_at_an_end
from gateway.texts import Text

# Developer guide, "Adding user pool password requirements": the characters that Cognito counts as symbols; a
# space inside the password counts too.
SYMBOLS = frozenset("^$*.[]{}()?\"!@#%&/\\,><':;|_~`=+-")
SPACE_AT_AN_END = Text("A password can't begin or end with a space")


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
    text: Text
    least: int | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    heading: Text
    items: tuple[Rule, ...]


def rules(policy: Policy | None) -> Rules:
    """Return the rules to show. None: the pool's policy is unknown."""
    shown = policy or Policy()
    items = [Rule("length", _length(shown), shown.length)]
    items += [Rule(kind, text) for kind, text, wanted in _kinds(shown) if wanted]
    heading = Text("The password needs") if policy else Text("A password usually needs")
    return Rules(heading, tuple(items))


def broken(policy: Policy | None, password: str) -> Text | None:
    """Return a sentence that says what the password lacks, or None."""
    if not password:
        return Text("Enter a password")
    if len(password) > LONGEST:
        return Text("The password is longer than {length} characters", length=LONGEST)
    if has_space_at_an_end(password):
        return SPACE_AT_AN_END
    if policy is None:
        return None
    missing = [text for kind, text, wanted in _kinds(policy) if wanted and not _MET[kind](password)]
    if len(password) < policy.length:
        missing.insert(0, _length(policy))
    return Text("The password still needs {missing}", missing=_listed(missing)) if missing else None


def _kinds(policy: Policy) -> Iterable[tuple[str, Text, bool]]:
    return (
        ("uppercase", Text("an uppercase letter"), policy.uppercase),
        ("lowercase", Text("a lowercase letter"), policy.lowercase),
        ("number", Text("a number"), policy.number),
        ("symbol", Text("a symbol"), policy.symbol),
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


def _length(policy: Policy) -> Text:
    return Text("{length} characters or more", length=policy.length)


def _listed(parts: list[Text]) -> Text:
    if len(parts) == 1:
        return parts[0]
    *first, last = parts
    listed = first[0]
    for part in first[1:]:
        listed = Text("{first}, {next}", first=listed, next=part)
    return Text("{first} and {last}", first=listed, last=last)
