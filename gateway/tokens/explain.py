"""Explanation of why a token is accepted or refused: every check with its actual and expected value. Pure.

For people, not for requests: the gateway stops at the first failed check, this continues to the last.
Invariant: the verdict is that of `claims.decode` and `claims.verify` themselves; the list only adds detail.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from gateway.config.model import UserPool
from gateway.errors import (
    BadSignature,
    InvalidToken,
    NoKeys,
    Refusal,
    TokenAlgorithmRefused,
    TokenExpired,
    TokenHeaderRefused,
    TokenMalformed,
    TokenNotYetValid,
    TokenPayloadRefused,
    TokenTooLarge,
    UnknownKey,
    WrongAudience,
    WrongClient,
    WrongIssuer,
    WrongTokenUse,
)
from gateway.tokens import jws
from gateway.tokens.claims import (
    MAX_CLOCK_AHEAD,
    Claims,
    PoolRules,
    UnverifiedToken,
    audiences_of,
    decode,
    names_us,
    verify,
)
from gateway.tokens.jwk import KeySet, VerificationKey
from gateway.tokens.shown import one_of, shown

# A pool's keys, or why they could not be read.
Keys = KeySet | str


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the explanation.

    `passed` is None if the check was not possible; `reason` is the log's word for a failure.
    """

    name: str
    passed: bool | None
    seen: str
    wanted: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """All checks in the gateway's order, and the verdict: `claims`, or the `refusal` a request would get."""

    checks: tuple[Check, ...]
    pool_id: str | None
    claims: Claims | None = field(repr=False)
    refusal: Refusal | None
    # As found in the token, valid or not; None if unreadable.
    unverified_header: object = field(repr=False)
    unverified_claims: object = field(repr=False)


# The checks of `claims.decode`, in order: what each expects, and the refusals it raises.
_DECODING: tuple[tuple[str, str, tuple[type[InvalidToken], ...]], ...] = (
    ("size", "no more bytes than cognito.max_token_size", (TokenTooLarge,)),
    ("form", "three parts of canonical base64url", (TokenMalformed,)),
    ("header", "strict JSON with alg, kid and typ only", (TokenHeaderRefused,)),
    ("algorithm", "RS256", (TokenAlgorithmRefused,)),
    ("payload", "a strict JSON object", (TokenPayloadRefused,)),
)
_VERIFYING = ("issuer", "key", "signature", "token use", "client", "audience", "expiry", "start", "claims")


def explain(
    token: bytes,
    pools: Sequence[UserPool],
    keys: Mapping[str, Keys],
    *,
    now: float,
    leeway: float,
    max_size: int = jws.MAX_TOKEN_SIZE,
) -> Explanation:
    """Return the result of each check of this token at `now` (Unix time).

    `keys` are by pool ID. Raises nothing.
    """
    header, claims = _read(token, 0), _read(token, 1)
    try:
        unverified = decode(token, max_size)
    except InvalidToken as refusal:
        checks = (*_undecoded(token, refusal), *(Check(name, None, "") for name in _VERIFYING))
        return Explanation(checks, None, None, refusal, header, claims)
    decoded = [Check(name, True, "", wanted) for name, wanted, _ in _DECODING]
    decoded[0] = replace(decoded[0], seen=f"{len(token)} bytes")
    pool = next((pool for pool in pools if unverified.unverified_issuer in pool.issuers), None)
    key = _key(unverified, pool, keys)
    checks = (*decoded, *_verifying(unverified, pools, pool, key, now=now, leeway=leeway))
    verdict = _verdict(unverified, pools, pool, key, now=now, leeway=leeway)
    proven, refused = (None, verdict) if isinstance(verdict, Refusal) else (verdict, None)
    return Explanation(checks, None if pool is None else pool.id, proven, refused, header, claims)


def _verdict(
    unverified: UnverifiedToken,
    pools: Sequence[UserPool],
    pool: UserPool | None,
    key: VerificationKey | Refusal,
    *,
    now: float,
    leeway: float,
) -> Claims | Refusal:
    """Return what the gateway itself decides (gate/authenticate.py)."""
    if pool is None:
        issuers = [issuer for each in pools for issuer in each.issuers]
        return WrongIssuer(f"iss is {shown(unverified.unverified_issuer)}, expected {one_of(issuers)}")
    if isinstance(key, Refusal):
        return key
    try:
        return verify(unverified, key, PoolRules.of(pool), now=now, leeway=leeway)
    except Refusal as refusal:
        return refusal


def _key(
    unverified: UnverifiedToken, pool: UserPool | None, keys: Mapping[str, Keys]
) -> VerificationKey | Refusal:
    if pool is None:
        return UnknownKey("no pool, hence no key set")
    known = keys.get(pool.id, "its key set was not read")
    if isinstance(known, str):
        return NoKeys(known)
    ignored = dict(known.ignored).get(unverified.kid)
    if ignored is not None:
        return UnknownKey(f"the key of the token's kid is ignored: {ignored}")
    return known.keys.get(unverified.kid) or UnknownKey("no key of the pool's key set has the token's kid")


# --- the list ----------------------------------------------------------------------------------------------


def _undecoded(token: bytes, refusal: InvalidToken) -> Iterator[Check]:
    failed = next(at for at, (*_, kinds) in enumerate(_DECODING) if type(refusal) in kinds)
    for at, (name, wanted, _) in enumerate(_DECODING):
        passed = None if at > failed else at < failed
        seen = f"{len(token)} bytes" if name == "size" else ""
        if at == failed:
            yield Check(name, False, str(refusal), wanted, refusal.reason)
        else:
            yield Check(name, passed, seen, wanted)


def _verifying(
    unverified: UnverifiedToken,
    pools: Sequence[UserPool],
    pool: UserPool | None,
    key: VerificationKey | Refusal,
    *,
    now: float,
    leeway: float,
) -> Iterator[Check]:
    said = unverified.unverified_claims
    every = [issuer for each in pools for issuer in each.issuers]
    wanted = _one_of(every) if every else "an issuer: no user pool is configured"
    yield _check("issuer", pool is not None, _shown(said.get("iss")), wanted, WrongIssuer)
    if isinstance(key, Refusal):
        passed = None if pool is None else False
        yield Check("key", passed, f"kid {unverified.kid}", str(key), key.reason)
        yield Check("signature", None, "", "RSA PKCS #1 v1.5 with SHA-256")
    else:
        yield Check("key", True, f"kid {unverified.kid}", f"a key of {key.modulus_bytes * 8} bits")
        yield _signature(unverified, key)
    yield from _about(unverified, pool)
    yield from _times(said, now, leeway)
    yield _rest(unverified, key)


def _signature(unverified: UnverifiedToken, key: VerificationKey) -> Check:
    wanted = "RSA PKCS #1 v1.5 with SHA-256"
    try:
        jws.verify_signature(unverified.jws, key)
    except BadSignature as bad:
        return Check("signature", False, str(bad), wanted, bad.reason)
    return Check("signature", True, "holds", wanted)


def _about(unverified: UnverifiedToken, pool: UserPool | None) -> Iterator[Check]:
    said = unverified.unverified_claims
    use = said.get("token_use")
    name = "aud" if use == "id" else "client_id"
    client = said.get(name)
    if pool is None:
        yield Check("token use", None, _shown(use))
        yield Check("client", None, f"{name} {_shown(client)}")
        yield Check("audience", None, "")
        return
    accepted = isinstance(use, str) and use in pool.token_use
    yield _check("token use", accepted, _shown(use), _one_of(pool.token_use), WrongTokenUse)
    listed = isinstance(client, str) and client in pool.client_ids
    any_bound = use == "access" and pool.clients == "bound"
    # For an unlisted client the audience decides, if the token names one.
    known = listed or (any_bound and isinstance(client, str) and "aud" in said)
    wanted = _one_of(pool.client_ids) if pool.client_ids else ""
    if any_bound:
        wanted = f"{wanted}{', or ' if wanted else ''}any client whose token names one of audiences in aud"
    yield _check("client", known, f"{name} {_shown(client)}", wanted, WrongClient)
    yield _audience(said, pool, listed=listed)


def _audience(said: Mapping[str, object], pool: UserPool, *, listed: bool) -> Check:
    """Check that an access token bound to resources names one of ours (RFC 8707)."""
    if said.get("token_use") != "access":
        return Check("audience", True, "not an access token: its aud names the client")
    own = said.get("client_id")
    wanted = _one_of(pool.audiences) if pool.audiences else "no aud: audiences is empty"
    if listed and not pool.require_audience:
        wanted += f", or the token's own client {_shown(own)}"
    seen = f"aud {_shown(said['aud'])}" if "aud" in said else "no aud"
    try:
        found = audiences_of(said)
    except TokenPayloadRefused as refusal:
        return Check("audience", False, seen, "a string or a list of strings", refusal.reason)
    if found is None:
        return _check("audience", not pool.require_audience, seen, wanted, WrongAudience)
    passed = names_us(found, own, PoolRules.of(pool), listed=listed)
    return _check("audience", passed, seen, wanted, WrongAudience)


def _times(said: Mapping[str, object], now: float, leeway: float) -> Iterator[Check]:
    expires = _number(said.get("exp"))
    at = f"now {_time(now)}" + (f", leeway {leeway:g} s" if leeway else "")
    if expires is None:
        seen = f"exp {_shown(said.get('exp'))}"
        yield Check("expiry", False, seen, "a number, in the future", TokenPayloadRefused.reason)
    else:
        passed = expires + leeway > now
        left = f"{abs(expires - now):.0f} s " + ("left" if expires > now else "ago")
        yield _check("expiry", passed, f"exp {_time(expires)}, {left}", f"after {at}", TokenExpired)
    starts = {name: _number(said[name]) for name in ("nbf", "auth_time", "iat") if name in said}
    ahead = {"nbf": leeway}
    limits = {name: now + ahead.get(name, MAX_CLOCK_AHEAD + leeway) for name in starts}
    # Values that are not numbers are left to the claims check.
    late = [name for name, time in starts.items() if time is not None and time > limits[name]]
    seen = ", ".join(f"{name} {_time(time)}" for name, time in starts.items() if time is not None)
    wanted = f"not in the future ({at}; iat and auth_time may be {MAX_CLOCK_AHEAD + leeway:g} s ahead)"
    yield _check("start", not late, seen or "no start given", wanted, TokenNotYetValid)


def _rest(unverified: UnverifiedToken, key: VerificationKey | Refusal) -> Check:
    """Check the types and strings of all claims: what `verify` reports once everything else holds."""
    wanted = "sub, and each claim of its type, without control characters"
    if isinstance(key, Refusal):
        return Check("claims", None, "", wanted)
    said = unverified.unverified_claims
    # The token's own names are taken as expected, and a time within its life.
    own = [
        value for name in ("iss", "client_id", "aud", "token_use") if isinstance(value := said.get(name), str)
    ]
    aud = said.get("aud")
    bound = [each for each in (aud if isinstance(aud, list) else ()) if isinstance(each, str)]
    rules = PoolRules("", frozenset(own), frozenset(own), frozenset(own), frozenset([*own, *bound]))
    inside = (_number(said.get("exp")) or 1.0) - 1.0
    try:
        verify(unverified, key, rules, now=inside, leeway=0.0)
    except TokenPayloadRefused as refusal:
        return Check("claims", False, str(refusal), wanted, refusal.reason)
    except BadSignature:
        return Check("claims", None, "", wanted)
    except InvalidToken:
        pass  # about times and names, which have separate checks
    return Check("claims", True, f"sub {_shown(said.get('sub'))}", wanted)


# --- formatting --------------------------------------------------------------------------------------------


def _check(name: str, passed: bool, seen: str, wanted: str, failure: type[Refusal]) -> Check:
    return Check(name, passed, seen, wanted, "" if passed else failure.reason)


def _read(token: bytes, part: int) -> object:
    """Decode a header or payload leniently, for display only."""
    try:
        text = token.split(b".")[part]
        return json.loads(base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4)))
    except (IndexError, ValueError, binascii.Error, RecursionError):
        return None


def _number(value: object) -> float | None:
    return float(value) if type(value) is int or type(value) is float else None


def _time(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return f"{seconds:g}"


def _shown(value: object) -> str:
    """Format for a terminal: control characters escaped, long values truncated."""
    if value is None:
        return "missing"
    text = value if isinstance(value, str) and value.isprintable() else json.dumps(value)
    return text if len(text) <= 120 else text[:117] + "…"


def _one_of(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else "one of " + ", ".join(values)
