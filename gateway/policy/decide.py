"""May they: the verdict over a principal under what its route needs. Pure; the last word before anything is
forwarded.

Invariant: whatever no route says needs a valid token; only an explicit `none` or `optional` opens a path, and
a principal that falls short of one condition is refused, whatever else it has.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from gateway.config.model import Auth, Route
from gateway.errors import (
    Forbidden,
    InsufficientAuthentication,
    MissingClaim,
    MissingGroup,
    NoCredentials,
    WrongPool,
)

if TYPE_CHECKING:
    # `check-config` looks at routes and decides nothing: it need not load what verifies tokens.
    from gateway.tokens.principal import Principal

# RFC 8259 section 6.
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<real>(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)", re.ASCII)
# Of no use to a rule unless Cognito has verified them (Claims.named).
_VERIFIED_ONLY = frozenset({"email", "phone_number"})
# As many digits as a token's numbers may have (tokens/strict_json.py).
_LONGEST_NUMBER = 20


class ClaimRule(NamedTuple):
    """The values any of which a claim must have: as texts, and those texts that are numbers as numbers."""

    name: str
    texts: frozenset[str]
    numbers: frozenset[float]

    def accepts(self, value: object) -> bool:
        """A list is accepted for any of its members; null and objects never are."""
        if isinstance(value, list):
            return any(self._accepts_one(member) for member in value)
        return self._accepts_one(value)

    def _accepts_one(self, value: object) -> bool:
        if isinstance(value, str):
            return value in self.texts
        # Before the numbers: bool is an int in Python, and True == 1.
        if isinstance(value, bool):
            return ("true" if value else "false") in self.texts
        return isinstance(value, int | float) and value in self.numbers


class Condition(NamedTuple):
    """What one route asks of a principal beyond a valid token; what is empty asks for nothing."""

    pool: str | None
    groups: frozenset[str]
    scopes: frozenset[str]
    claims: tuple[ClaimRule, ...]
    # RFC 9470: how the user signed in (any of, in the configuration's order), and how many seconds ago.
    acr: tuple[str, ...] = ()
    max_age: float | None = None


class Need(NamedTuple):
    """All that a request's target asks for, compiled: remembered for each target, read on each request."""

    auth: Auth
    conditions: tuple[Condition, ...] = ()
    # RFC 6750 section 3: the scopes "necessary to access the requested resource", for the challenge.
    scope: str = ""


_NO_CONDITION = Condition(None, frozenset(), frozenset(), ())

# Of a request that no route matches.
VALID_TOKEN = Need("required")

_STRICTNESS: Mapping[Auth, int] = {"none": 0, "optional": 1, "required": 2}


def need_of(route: Route | None) -> Need:
    """What a route asks for; a request no route matches needs a valid token."""
    if route is None:
        return VALID_TOKEN
    condition = Condition(
        route.pool,
        frozenset(route.groups),
        frozenset(route.scopes),
        tuple(_claim_rule(name, values) for name, values in route.claims),
        route.acr,
        route.max_age,
    )
    asks = condition != _NO_CONDITION
    return Need(route.auth, (condition,) if asks else (), " ".join(route.scopes))


def strictest(needs: Sequence[Need]) -> Need:
    """What satisfies every one of these (at least one): for a path that can be read in several ways."""
    if len(needs) == 1:
        return needs[0]
    different = list(dict.fromkeys(needs))
    if len(different) == 1:
        return different[0]
    scopes = dict.fromkeys(name for need in different for name in need.scope.split())
    return Need(
        max((need.auth for need in different), key=_STRICTNESS.__getitem__),
        tuple(dict.fromkeys(condition for need in different for condition in need.conditions)),
        " ".join(scopes),
    )


def decide(need: Need, who: Principal | None, now: float) -> str:
    """Return the reason the request is allowed, a word from a fixed set; `who` is None where nobody is known.

    `now` is Unix time. Raises NoCredentials, or Forbidden and its kind: the first thing that is missing is
    the reason, the log has all; where nothing but a new sign-in is missing, InsufficientAuthentication.
    """
    if who is None:
        if need.auth == "none":
            return "open_route"
        if need.auth == "optional":
            return "anonymous"
        raise NoCredentials
    if need.conditions:
        missing = [each for condition in need.conditions for each in _missing(condition, who)]
        if missing:
            refusal, _ = missing[0]
            raise refusal("; ".join(dict.fromkeys(text for _, text in missing)), scope=need.scope)
        for condition in need.conditions:
            _check_sign_in(condition, who, now)
    return "valid_token"


def _missing(condition: Condition, who: Principal) -> Iterator[tuple[type[Forbidden], str]]:
    """What the principal falls short of; the texts name what the route asks for, never what the token has."""
    claims = who.claims
    if condition.pool is not None and claims.pool_id != condition.pool:
        yield WrongPool, f"the token is not from the user pool {condition.pool}"
    if condition.groups and condition.groups.isdisjoint(claims.groups):
        yield MissingGroup, f"in none of the groups {_listed(condition.groups)}"
    if not condition.scopes <= claims.scopes:
        yield Forbidden, f"the token lacks the scopes {_listed(condition.scopes - claims.scopes)}"
    for rule in condition.claims:
        if not rule.accepts(who.named.get(rule.name)):
            told = f"is none of {_listed(rule.texts)}"
            if rule.name not in who.named:
                told = "is missing or not verified" if rule.name in _VERIFIED_ONLY else "is missing"
            yield MissingClaim, f"the claim {rule.name} {told}"


def _check_sign_in(condition: Condition, who: Principal, now: float) -> None:
    """How and when the user signed in (RFC 9470); a token that does not say so does not satisfy it."""
    missing = []
    if condition.acr and who.named.get("acr") not in condition.acr:
        missing.append(f"acr is none of {_listed(condition.acr)}")
    if condition.max_age is not None:
        signed_in_at = who.named.get("auth_time")
        # The claims layer has checked that it is a number and not in the future.
        if not isinstance(signed_in_at, int | float) or now - signed_in_at > condition.max_age:
            missing.append(f"signed in more than {condition.max_age:g} s ago")
    if missing:
        age = None if condition.max_age is None else int(condition.max_age)
        raise InsufficientAuthentication("; ".join(missing), acr_values=" ".join(condition.acr), max_age=age)


def _claim_rule(name: str, values: Iterable[str]) -> ClaimRule:
    texts = frozenset(values)
    numbers = frozenset(number for text in texts if (number := _number(text)) is not None)
    return ClaimRule(name, texts, numbers)


def _number(text: str) -> float | None:
    match = _NUMBER.fullmatch(text)
    if match is None or len(text) > _LONGEST_NUMBER:
        return None
    # Whole ones exactly: 2**53 + 1 is another number than 2**53.
    number = float(text) if match["real"] else int(text)
    return number if math.isfinite(number) else None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
