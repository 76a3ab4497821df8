"""Decoding and verification of Cognito tokens: UnverifiedToken → Claims. Pure.

`decode` reads the issuer, so that the caller can look up its pool's rules and key; `verify` checks the
signature first and then every claim, the issuer among them. The rule stands above each check. Invariant: a
`Claims` is created nowhere else, and no string in it that may be forwarded contains a control character.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from sys import intern
from typing import NamedTuple

from gateway.config.model import UserPool
from gateway.errors import (
    TokenExpired,
    TokenNotYetValid,
    TokenPayloadRefused,
    WrongAudience,
    WrongClient,
    WrongIssuer,
    WrongTokenUse,
)
from gateway.tokens import jws, strict_json
from gateway.tokens.jwk import VerificationKey
from gateway.tokens.shown import one_of, shown

# How far the issuer's clock may be ahead, in seconds: AWS's is exact to milliseconds, machines with a broken
# NTP drift by seconds. 0 refuses fresh tokens, minutes would hide a clock that `doctor` should find.
MAX_CLOCK_AHEAD = 60.0

# C0, DEL and C1. Lone surrogates never get past strict_json.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_TIMES = ("exp", "nbf", "auth_time", "iat")
# By token_use. Access tokens have no email; a claim of that name in one is not vouched for.
_TEXTS = {
    "access": ("sub", "scope", "jti", "origin_jti", "username"),
    "id": ("sub", "scope", "jti", "origin_jti", "cognito:username", "email"),
}

# (email, phone number) → the claim names, shared by all tokens.
_UNVERIFIED = {
    (False, False): (),
    (True, False): ("email",),
    (False, True): ("phone_number",),
    (True, True): ("email", "phone_number"),
}


class UnverifiedToken(NamedTuple):
    """The contents of a token; nothing has been verified."""

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
    # Resource identifiers of this gateway in an access token's aud (RFC 8707).
    audiences: frozenset[str] = frozenset()
    require_audience: bool = False
    # Whether an access token of a client not in client_ids is accepted if its aud names one of audiences.
    any_bound_client: bool = False

    @classmethod
    def of(cls, pool: UserPool, *uses: str) -> PoolRules:
        """Return a configured pool's rules, for tokens of `uses`, or of those the API accepts."""
        return cls(
            pool_id=pool.id,
            issuers=frozenset(pool.issuers),
            client_ids=frozenset(pool.client_ids),
            token_uses=frozenset(uses or pool.token_use),
            audiences=frozenset(pool.audiences),
            require_audience=pool.require_audience,
            any_bound_client=pool.clients == "bound",
        )


class Claims(NamedTuple):
    """A verified token's claims. Times are Unix times.

    A named tuple, like the unverified forms: creating one takes a fifth of the time of a frozen dataclass.
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
    # The payload as signed: thousands are cached, and bytes take a quarter of the memory of objects.
    payload: bytes
    # The claims that the user wrote and Cognito has not verified.
    unverified: tuple[str, ...] = ()

    @property
    def every(self) -> Mapping[str, object]:
        """All claims, parsed on each access."""
        claims = strict_json.loads(self.payload)
        assert isinstance(claims, dict), "checked by decode"
        return claims

    def named(self, names: Iterable[str], *, unverified: bool) -> dict[str, object]:
        """Return those of these claims that the token has; unverified ones only if `unverified`.

        `act.sub` names the member `sub` of the claim `act` (RFC 8693 section 4.1), unless a claim has exactly
        that name.
        """
        every = self.every
        withheld = () if unverified else self.unverified
        found = {}
        for name in names:
            if name in every:
                if name not in withheld:
                    found[name] = every[name]
            elif "." in name:
                member = _member(every, name.split("."))
                if member is not None:
                    found[name] = member
        return found

    def __repr__(self) -> str:
        return (
            f"<Claims of {self.subject} in {self.pool_id}, use {self.token_use}, until {self.expires_at:.0f}>"
        )


def limited(claims: Claims, scopes: frozenset[str]) -> Claims:
    """Return the claims with those of their scopes that are among `scopes`, and no others in the payload.

    For a token that its user consented to give away with less (gateway/mcp).
    """
    kept = claims.scopes & scopes
    every = dict(claims.every)
    if "scope" in every:
        every["scope"] = " ".join(sorted(kept))
    payload = json.dumps(every, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    return claims._replace(scopes=kept, payload=payload)


def _member(value: object, path: Sequence[str]) -> object:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def decode(token: bytes, max_size: int = jws.MAX_TOKEN_SIZE) -> UnverifiedToken:
    """Decode a token as received into its parts and claims, unverified.

    Raises what `jws.decode` raises, and TokenPayloadRefused if the payload is not a strict JSON object.
    """
    unverified_jws = jws.decode(token, max_size)
    try:
        claims = strict_json.loads(unverified_jws.unverified_payload)
    except ValueError as error:
        raise TokenPayloadRefused(f"invalid payload: {error}") from None
    if not isinstance(claims, dict):
        raise TokenPayloadRefused("the payload is not a JSON object")
    issuer = claims.get("iss")
    return UnverifiedToken(unverified_jws, claims, issuer if isinstance(issuer, str) else None)


def verify(
    token: UnverifiedToken, key: VerificationKey, rules: PoolRules, *, now: float, leeway: float = 0.0
) -> Claims:
    """Return the claims, if the signature verifies under `key` and they satisfy `rules` at `now`.

    `leeway` (seconds) extends `exp` and `nbf`, and how far ahead `iat` and `auth_time` may be. Raises
    BadSignature, then TokenExpired, TokenNotYetValid, WrongIssuer, WrongTokenUse, WrongClient, WrongAudience
    or TokenPayloadRefused. Source: AWS, "Verifying JSON web tokens".
    """
    payload = jws.verify_signature(token.jws, key)
    # Parsed by `decode` from the bytes whose signature has just been checked.
    claims = token.unverified_claims
    issuer = _issuer(claims, rules)
    use = _token_use(claims, rules)
    client_id = _client_id(claims, use, rules)
    expires_at, issued_at = _times(claims, now, leeway)
    # JSON holds control characters only as escapes; without any escape no string has to be searched.
    clean = payload.isascii() and b"\\" not in payload and b"\x7f" not in payload
    subject, scope, jti, origin_jti, username, *email = _texts(claims, _TEXTS[use], clean)
    if not subject:
        raise TokenPayloadRefused("sub is missing or empty")
    # By position, in the order of the class: keywords would cost as much as all the checks of strings.
    return Claims(
        rules.pool_id,
        # One of the configured issuers, so one shared object per issuer.
        intern(issuer),
        subject,
        intern(use),
        intern(client_id),
        username,
        email[0] if email else None,
        _groups(claims) if "cognito:groups" in claims else (),
        _scopes(scope) if scope else frozenset(),
        expires_at,
        issued_at,
        jti,
        origin_jti,
        key.kid,
        payload,
        _unverified(claims) if "email" in claims or "phone_number" in claims else (),
    )


def _unverified(claims: dict[str, object]) -> tuple[str, ...]:
    """Return which contact attributes Cognito has not verified.

    Users set them to any value; a claim beside each says whether a code sent there came back (AWS, "Verifying
    contact information"). A Lambda trigger may write that claim as a string.
    """
    email = "email" in claims and not _is_true(claims.get("email_verified"))
    phone = "phone_number" in claims and not _is_true(claims.get("phone_number_verified"))
    return _UNVERIFIED[email, phone]


def _is_true(value: object) -> bool:
    return value is True or value == "true"


@lru_cache(maxsize=256)
def _scopes(scope: str) -> frozenset[str]:
    """Split at spaces, and at no other white space (RFC 6749 section 3.3)."""
    return frozenset(name for name in scope.split(" ") if name)


def _issuer(claims: dict[str, object], rules: PoolRules) -> str:
    # RFC 7519 section 4.1.1, RFC 8725 section 3.8: compared as a whole string with this pool's issuers.
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or issuer not in rules.issuers:
        raise WrongIssuer(f"iss is {shown(issuer)}, expected {one_of(rules.issuers)}")
    return issuer


def _token_use(claims: dict[str, object], rules: PoolRules) -> str:
    use = claims.get("token_use")
    # Cognito knows these two; a tuple, because a set would raise TypeError for an unhashable value.
    if use not in ("access", "id") or use not in rules.token_uses:
        raise WrongTokenUse(f"token_use is {shown(use)}, expected {one_of(rules.token_uses)}")
    return str(use)


def _client_id(claims: dict[str, object], use: str, rules: PoolRules) -> str:
    # RFC 7519 section 4.1.3 allows aud to be a list; stricter: Cognito's ID tokens name one client. Its
    # access tokens name the client in client_id; their aud names the resource that the token is bound to.
    name = "client_id" if use == "access" else "aud"
    client_id = claims.get(name)
    listed = isinstance(client_id, str) and client_id in rules.client_ids
    if not isinstance(client_id, str) or not (listed or (use == "access" and rules.any_bound_client)):
        raise WrongClient(f"{name} is {shown(client_id)}, expected {one_of(rules.client_ids)}")
    if use == "access" and ("aud" in claims or rules.require_audience or not listed):
        _check_audience(claims, client_id, rules, listed)
    return client_id


def audiences_of(claims: Mapping[str, object]) -> frozenset[str] | None:
    """Return the members of `aud`, a string or a list of strings (RFC 7519 section 4.1.3); None without one.

    Raises TokenPayloadRefused if it is anything else.
    """
    if "aud" not in claims:
        return None
    aud = claims["aud"]
    members = aud if isinstance(aud, list) else [aud]
    if not all(isinstance(member, str) for member in members):
        raise TokenPayloadRefused("aud is neither a string nor a list of strings")
    return frozenset(members)


def names_us(found: frozenset[str], client_id: object, rules: PoolRules, *, listed: bool) -> bool:
    """Return whether an access token's audiences are accepted; `listed`: its client is one of client_ids."""
    # Exact strings: two spellings of a URL are two audiences.
    if not found.isdisjoint(rules.audiences):
        return True
    # A client that is not listed needs one of our audiences; its own ID does not suffice.
    return listed and not rules.require_audience and client_id in found


def _check_audience(claims: dict[str, object], client_id: str, rules: PoolRules, listed: bool) -> None:
    # RFC 8707 section 2, RFC 9068 section 4: a token bound to a resource is only for that resource. Cognito
    # names the client itself if a token is bound to nothing else (AWS, "Resource binding").
    found = audiences_of(claims)
    if found is None:
        if not listed:
            raise WrongClient(f"client_id {shown(client_id)} is not in client_ids, and there is no aud")
        raise WrongAudience("aud is missing, and require_audience is set")
    if names_us(found, client_id, rules, listed=listed):
        return
    said = "a list" if isinstance(claims["aud"], list) else shown(claims["aud"])
    raise WrongAudience(f"aud is {said}, expected {one_of(rules.audiences)}")


def _times(claims: dict[str, object], now: float, leeway: float) -> tuple[float, float | None]:
    """Return exp, and iat if present, after checking every time in the token."""
    expires_at, not_before, auth_time, issued_at = _numbers(claims, _TIMES)
    # RFC 7519 section 4.1.4: refused on or after this time. Stricter: required.
    if expires_at is None:
        raise TokenPayloadRefused("exp is missing")
    if expires_at + leeway <= now:
        raise TokenExpired(f"exp passed {now - expires_at:.0f} s ago")
    # RFC 7519 section 4.1.5.
    if not_before is not None and not_before - leeway > now:
        raise TokenNotYetValid(f"nbf is {not_before - now:.0f} s in the future")
    # Stricter than RFC 7519 section 4.1.6: a token from the future means a wrong clock or a forgery.
    latest = now + MAX_CLOCK_AHEAD + leeway
    if auth_time is not None and auth_time > latest:
        raise TokenNotYetValid(_ahead("auth_time", auth_time - now))
    if issued_at is not None and issued_at > latest:
        raise TokenNotYetValid(_ahead("iat", issued_at - now))
    return expires_at, issued_at


def _ahead(name: str, seconds: float) -> str:
    return f"{name} is {seconds:.0f} s in the future: is this machine's clock behind?"


def _groups(claims: dict[str, object]) -> tuple[str, ...]:
    groups = claims["cognito:groups"]
    if not isinstance(groups, list):
        raise TokenPayloadRefused("cognito:groups is not a list")
    for group in groups:
        if not isinstance(group, str) or not group:
            raise TokenPayloadRefused("cognito:groups contains something that is not a name")
        _refuse_control_characters(group, "cognito:groups")
    return tuple(groups)


# One call for all numbers, one for all strings: one call each would be a third of the cost of the checks.
def _numbers(claims: dict[str, object], names: tuple[str, ...]) -> list[float | None]:
    """Return the NumericDates (RFC 7519 section 2) of these names, None for a missing one."""
    found: list[float | None] = []
    for name in names:
        value = claims.get(name)
        # Exact types: bool is an int in Python.
        if type(value) is int or type(value) is float:
            found.append(float(value))
        elif name in claims:
            raise TokenPayloadRefused(f"{name} is not a number")
        else:
            found.append(None)
    return found


def _texts(claims: dict[str, object], names: tuple[str, ...], clean: bool) -> list[str | None]:
    """Return strings that are safe to forward, None for a missing one; `clean`: no string needs a search."""
    found: list[str | None] = []
    for name in names:
        value = claims.get(name)
        if type(value) is str:
            if not clean:
                _refuse_control_characters(value, name)
            found.append(value)
        elif name in claims:
            raise TokenPayloadRefused(f"{name} is not a string")
        else:
            found.append(None)
    return found


def _refuse_control_characters(value: str, name: str) -> None:
    # isprintable is the fast check: false for control characters, but also for harmless ones.
    if not value.isprintable() and _CONTROL.search(value) is not None:
        raise TokenPayloadRefused(f"{name} contains control characters")
