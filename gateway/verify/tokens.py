"""Cognito tokens: UnverifiedToken → Claims (pure; the rules of each check stand above it).

`decode` reads who the token says it is from, so that the caller can fetch that pool's rules and key; `verify`
checks the signature first and then every claim, the issuer again among them. Invariant: a `Claims` comes
from nowhere else, and no text in it that may be forwarded holds a control character.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from sys import intern
from typing import NamedTuple

from gateway.errors import (
    TokenExpired,
    TokenNotYetValid,
    TokenPayloadRefused,
    WrongClient,
    WrongIssuer,
    WrongTokenUse,
)
from gateway.verify import jws, strict_json
from gateway.verify.jwk import VerificationKey

# How far ahead of ours the issuer's clock may be: AWS keeps its own within milliseconds, machines with a
# broken NTP drift by seconds. 0 refuses fresh tokens, minutes would hide a clock that `doctor` should find.
MAX_CLOCK_AHEAD = 60.0

# C0, DEL and C1. Lone surrogates never get past strict_json.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class UnverifiedToken(NamedTuple):
    """What a token says, believed by nobody yet."""

    jws: jws.UnverifiedJws
    unverified_claims: dict[str, object]
    unverified_issuer: str | None

    @property
    def kid(self) -> str:
        return self.jws.kid

    def __repr__(self) -> str:
        return f"<UnverifiedToken {self.jws!r}>"


@dataclass(frozen=True, slots=True)
class PoolRules:
    """What one pool's tokens must say. `issuers` are whole strings; an empty set accepts nothing."""

    pool_id: str
    issuers: frozenset[str]
    client_ids: frozenset[str]
    token_uses: frozenset[str]


class Claims(NamedTuple):
    """A verified token's claims. Times are seconds since 1970.

    A named tuple, as the unverified forms are: making one costs a fifth of a frozen dataclass.
    """

    pool_id: str
    issuer: str
    subject: str
    token_use: str
    client_id: str
    username: str | None
    email: str | None
    groups: tuple[str, ...]
    scopes: frozenset[str]
    expires_at: float
    issued_at: float | None
    jti: str | None
    origin_jti: str | None
    kid: str
    # The payload as it was signed: thousands of these are remembered, and bytes take a quarter of objects.
    payload: bytes

    @property
    def every(self) -> Mapping[str, object]:
        """All claims, parsed anew at each call."""
        claims = strict_json.loads(self.payload)
        assert isinstance(claims, dict), "decode made sure of it"
        return claims

    def __repr__(self) -> str:
        return (
            f"<Claims of {self.subject} in {self.pool_id}, use {self.token_use}, until {self.expires_at:.0f}>"
        )


def decode(token: bytes) -> UnverifiedToken:
    """The parts and claims of a token as received, unverified.

    Raises what `jws.decode` raises, and TokenPayloadRefused when the payload is not a strict JSON object.
    """
    unverified_jws = jws.decode(token)
    try:
        claims = strict_json.loads(unverified_jws.unverified_payload)
    except ValueError as error:
        raise TokenPayloadRefused(f"the payload is refused: {error}") from None
    if not isinstance(claims, dict):
        raise TokenPayloadRefused("the payload is not a JSON object")
    issuer = claims.get("iss")
    return UnverifiedToken(unverified_jws, claims, issuer if isinstance(issuer, str) else None)


def verify(
    token: UnverifiedToken, key: VerificationKey, rules: PoolRules, *, now: float, leeway: float = 0.0
) -> Claims:
    """The claims, once the signature holds under `key` and they satisfy `rules` at `now` (Unix time).

    `leeway` (seconds) stretches `exp` and `nbf`. Raises BadSignature, then TokenExpired, TokenNotYetValid,
    WrongIssuer, WrongTokenUse, WrongClient or TokenPayloadRefused. Source: AWS, "Verifying JSON web tokens".
    """
    payload = jws.verify_signature(token.jws, key)
    # Parsed by `decode` from the very bytes whose signature has just been checked.
    claims = token.unverified_claims
    issuer = _issuer(claims, rules)
    use = _token_use(claims, rules)
    client_id = _client_id(claims, use, rules)
    expires_at = _expiry(claims, now, leeway)
    issued_at = _check_start(claims, now, leeway)
    # JSON has no control characters but in escapes; where there is no escape, no text needs to be searched.
    clean = payload.isascii() and b"\\" not in payload and b"\x7f" not in payload
    subject = _text(claims, "sub", clean)
    if not subject:
        raise TokenPayloadRefused("sub is missing or empty")
    scope = _text(claims, "scope", clean)
    # By position, in the order of the class: names would cost as much as all the checks of texts.
    return Claims(
        rules.pool_id,
        # Checked to be ours, so there are few of them: one object for all tokens that say the same.
        intern(issuer),
        subject,
        intern(use),
        intern(client_id),
        _text(claims, "username" if use == "access" else "cognito:username", clean),
        _text(claims, "email", clean) if use == "id" else None,
        _groups(claims) if "cognito:groups" in claims else (),
        _scopes(scope) if scope else frozenset(),
        expires_at,
        issued_at,
        _text(claims, "jti", clean),
        _text(claims, "origin_jti", clean),
        key.kid,
        payload,
    )


@lru_cache(maxsize=256)
def _scopes(scope: str) -> frozenset[str]:
    """RFC 6749 section 3.3: separated by spaces, and by nothing else that is white."""
    return frozenset(name for name in scope.split(" ") if name)


def _issuer(claims: dict[str, object], rules: PoolRules) -> str:
    # RFC 7519 section 4.1.1, RFC 8725 section 3.8: the whole string, one of this pool's own.
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or issuer not in rules.issuers:
        raise WrongIssuer("iss is not an issuer of the pool")
    return issuer


def _token_use(claims: dict[str, object], rules: PoolRules) -> str:
    use = claims.get("token_use")
    # Cognito knows these two; `in` compares lists and numbers without complaint.
    if use not in ("access", "id") or use not in rules.token_uses:
        raise WrongTokenUse("token_use is not one that is accepted")
    return str(use)


def _client_id(claims: dict[str, object], use: str, rules: PoolRules) -> str:
    # RFC 7519 section 4.1.3 lets aud be a list; stricter: Cognito's ID tokens name one client. Its access
    # tokens name the client in client_id, and an aud there (resource binding) says nothing about the client.
    name = "client_id" if use == "access" else "aud"
    client_id = claims.get(name)
    if not isinstance(client_id, str) or client_id not in rules.client_ids:
        raise WrongClient(f"{name} is not a client that is accepted")
    return client_id


def _expiry(claims: dict[str, object], now: float, leeway: float) -> float:
    # RFC 7519 section 4.1.4: on or after this time it is not accepted. Stricter: required.
    expires_at = _number(claims, "exp")
    if expires_at is None:
        raise TokenPayloadRefused("exp is missing")
    if expires_at + leeway <= now:
        raise TokenExpired("exp has passed")
    return expires_at


def _check_start(claims: dict[str, object], now: float, leeway: float) -> float | None:
    """The time of issue, if the token tells; raises TokenNotYetValid when any start lies in the future."""
    # RFC 7519 section 4.1.5.
    not_before = _number(claims, "nbf")
    if not_before is not None and not_before - leeway > now:
        raise TokenNotYetValid("nbf is in the future")
    # Stricter than RFC 7519 section 4.1.6: a token from the future was made by a wrong clock or a wrong hand.
    for name in ("auth_time", "iat"):
        time = _number(claims, name)
        if time is not None and time > now + MAX_CLOCK_AHEAD:
            raise TokenNotYetValid(f"{name} is in the future")
    return time


def _groups(claims: dict[str, object]) -> tuple[str, ...]:
    groups = claims["cognito:groups"]
    if not isinstance(groups, list):
        raise TokenPayloadRefused("cognito:groups is not a list")
    for group in groups:
        if not isinstance(group, str) or not group:
            raise TokenPayloadRefused("cognito:groups holds something that is not a name")
        _refuse_control_characters(group, "cognito:groups")
    return tuple(groups)


def _number(claims: dict[str, object], name: str) -> float | None:
    """A NumericDate (RFC 7519 section 2), None when it is missing."""
    value = claims.get(name)
    # Exactly these: bool is an int in Python.
    if type(value) is int or type(value) is float:
        return float(value)
    if name in claims:
        raise TokenPayloadRefused(f"{name} is not a number")
    return None


def _text(claims: dict[str, object], name: str, clean: bool) -> str | None:
    """A string that is safe to pass on, None when it is missing; `clean`: no control characters are there."""
    value = claims.get(name)
    if isinstance(value, str):
        if not clean:
            _refuse_control_characters(value, name)
        return value
    if name in claims:
        raise TokenPayloadRefused(f"{name} is not a string")
    return None


def _refuse_control_characters(value: str, name: str) -> None:
    # isprintable is the fast half: false for control characters, and for harmless signs as well.
    if not value.isprintable() and _CONTROL.search(value) is not None:
        raise TokenPayloadRefused(f"{name} holds control characters")
