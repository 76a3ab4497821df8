"""The authorization decision: a principal against what its route requires. Pure.

It is the last check before a request is forwarded. Invariant: what no route matches needs a valid token; only
an explicit `none` or `optional` opens a path; and a principal that fails one condition is refused, whatever
else it has.
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
    # `check-config` inspects routes without deciding, and need not load token verification.
    from gateway.tokens.principal import Principal

# RFC 8259 section 6.
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<real>(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)", re.ASCII)
# Usable by rules only once Cognito has verified them (Claims.named).
_VERIFIED_ONLY = frozenset({"email", "phone_number"})
# The most digits a number in a token may have (tokens/strict_json.py).
_LONGEST_NUMBER = 20


class ClaimRule(NamedTuple):
    """The accepted values of a claim: as strings, and those that are numbers also as numbers."""

    name: str
    texts: frozenset[str]
    numbers: frozenset[float]

    def accepts(self, value: object) -> bool:
        """Return whether the value, or a member of a list, is accepted; null and objects never are."""
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
    """What one route requires of a principal beyond a valid token; an empty member requires nothing."""

    pool: str | None
    groups: frozenset[str]
    scopes: frozenset[str]
    claims: tuple[ClaimRule, ...]
    # RFC 9470: accepted ways to sign in, in the configuration's order, and the oldest sign-in in seconds.
    acr: tuple[str, ...] = ()
    max_age: float | None = None


class Need(NamedTuple):
    """All that a request's target requires, compiled; cached per target."""

    auth: Auth
    conditions: tuple[Condition, ...] = ()
    # RFC 6750 section 3: the scopes "necessary to access the requested resource", for the challenge.
    scope: str = ""


_NO_CONDITION = Condition(None, frozenset(), frozenset(), ())

# For a request that no route matches.
VALID_TOKEN = Need("required")

_STRICTNESS: Mapping[Auth, int] = {"none": 0, "optional": 1, "required": 2}


def need_of(route: Route | None) -> Need:
    """Return what a route requires; a request no route matches needs a valid token."""
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
    """Return a need that satisfies all of these (at least one), for a path with several readings."""
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
    """Return why the request is allowed, a word from a fixed set; `who` is None for an unknown caller.

    `now` is Unix time. Raises NoCredentials; Forbidden or a subclass, whose reason is the first requirement
    missing and whose text for the log lists all; or InsufficientAuthentication if only a newer or stronger
    sign-in is missing.
    """
    if who is None:
        if need.auth == "none":
            return "open_route"
        if need.auth == "optional":
            return "anonymous"
        unknown = NoCredentials()
        # RFC 6750 section 3: a client that has no token yet asks for one with these.
        unknown.scope = need.scope
        unknown.acr_values = next((" ".join(each.acr) for each in need.conditions if each.acr), "")
        raise unknown
    if need.conditions:
        missing = [each for condition in need.conditions for each in _missing(condition, who)]
        if missing:
            refusal, _ = missing[0]
            raise refusal("; ".join(dict.fromkeys(text for _, text in missing)), scope=need.scope)
        for condition in need.conditions:
            _check_sign_in(condition, who, now)
    return "valid_token"


def _missing(condition: Condition, who: Principal) -> Iterator[tuple[type[Forbidden], str]]:
    """Yield each unmet requirement; the texts name the route's values, never the token's."""
    claims = who.claims
    if condition.pool is not None and claims.pool_id != condition.pool:
        yield WrongPool, f"the token is not from the user pool {condition.pool}"
    if condition.groups and condition.groups.isdisjoint(claims.groups):
        yield MissingGroup, f"in none of the groups {_listed(condition.groups)}"
    if not condition.scopes <= claims.scopes:
        yield Forbidden, f"the token lacks the scopes {_listed(condition.scopes - claims.scopes)}"
    for rule in condition.claims:
        if not rule.accepts(who.named.get(rule.name)):
            message = f"is none of {_listed(rule.texts)}"
            if rule.name not in who.named:
                message = "is missing or not verified" if rule.name in _VERIFIED_ONLY else "is missing"
            yield MissingClaim, f"the claim {rule.name} {message}"


def _check_sign_in(condition: Condition, who: Principal, now: float) -> None:
    """Check how and when the user signed in (RFC 9470); a token that does not say fails."""
    missing = []
    weak = bool(condition.acr) and who.named.get("acr") not in condition.acr
    if weak:
        missing.append(f"acr is none of {_listed(condition.acr)}")
    if condition.max_age is not None:
        signed_in_at = who.named.get("auth_time")
        # The claims layer has checked that it is a number and not in the future.
        if not isinstance(signed_in_at, int | float) or now - signed_in_at > condition.max_age:
            missing.append(f"signed in more than {condition.max_age:g} s ago")
    if missing:
        age = None if condition.max_age is None else int(condition.max_age)
        raise InsufficientAuthentication(
            "; ".join(missing), acr_values=" ".join(condition.acr), max_age=age, weak=weak
        )


def _claim_rule(name: str, values: Iterable[str]) -> ClaimRule:
    texts = frozenset(values)
    numbers = frozenset(number for text in texts if (number := _number(text)) is not None)
    return ClaimRule(name, texts, numbers)


def _number(text: str) -> float | None:
    match = _NUMBER.fullmatch(text)
    if match is None or len(text) > _LONGEST_NUMBER:
        return None
    # Integers stay exact: 2**53 + 1 is not 2**53.
    number = float(text) if match["real"] else int(text)
    return number if math.isfinite(number) else None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
