"""Key set documents (JWKS, RFC 7517), parsed to verification keys. Pure.

Invariant: a `VerificationKey` is an RSA key for RS256 that is safe to verify with, and no other key of its
document has its name. A key that is not is ignored and reported; a document without any usable key is refused
as a whole, so that the last good set stays in use.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from gateway.tokens import base64url, strict_json
from gateway.tokens.pyjwt import InvalidKeyError, PyJWK

# Two keys of 2048 bits take 1 KB, MAX_KEYS of the largest keys 48 KB.
MAX_DOCUMENT_SIZE = 64 * 1024
# Cognito publishes two, four while it rotates; each key costs memory and time.
MAX_KEYS = 32
# RFC 7518 section 3.3 requires at least 2048; beyond 8192 one verification takes a millisecond.
MIN_MODULUS_BITS = 2048
MAX_MODULUS_BITS = 8192
# 65537, the only exponent in use; small ones (1, 3) ease forgery, large ones are slow. Stricter.
_PUBLIC_EXPONENT = "AQAB"

# RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1: a key whose private members are published is compromised.
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

# Printable ASCII without space. Cognito's are 44 characters of base64; 256 leaves room for other issuers and
# bounds what strangers can make us remember. Shared with the token's header.
KID = re.compile(r"[!-~]{1,256}")


# Keys named in a refusal's text: enough to see what kind of keys they are, in a readable line.
_NAMED_IN_REFUSAL = 3


class KeySetRefused(ValueError):
    """The document is not a key set with a usable key; the text says why."""


class IgnoredKey(NamedTuple):
    """A key of the document that is not used. `name` is its kid, or "key N" (from 0) without one."""

    name: str
    reason: str


class KeySet(NamedTuple):
    """The usable keys by `kid`, and the ignored ones."""

    keys: dict[str, VerificationKey]
    ignored: tuple[IgnoredKey, ...]


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One RS256 key. `thumbprint` is that of RFC 7638: equal for equal keys, whatever their kid."""

    kid: str
    public_key: RSAPublicKey
    modulus_bytes: int
    thumbprint: str


def parse_key_set(document: bytes) -> dict[str, VerificationKey]:
    """Return the usable keys by `kid`; raises KeySetRefused if there is none."""
    return read_key_set(document).keys


def read_key_set(document: bytes) -> KeySet:
    """Return the usable keys, and those ignored and why; raises KeySetRefused if none is usable.

    RFC 7517 section 5: "Implementations SHOULD ignore JWKs within a JWK Set that use "kty" values that are
    not understood by them, that are missing required members, or for which values are out of the supported
    ranges."
    """
    members = _members(document)
    # RFC 7517 section 4.5: keys of one set SHOULD have distinct names. Stricter: a token does not say which
    # of two it means, so no key of that name is used, whether the others are usable or not.
    times = Counter(kid for member in members if (kid := _kid_of(member)) is not None)
    keys: dict[str, VerificationKey] = {}
    ignored: list[IgnoredKey] = []
    for index, member in enumerate(members):
        kid = _kid_of(member)
        try:
            if kid is not None and times[kid] > 1:
                raise KeySetRefused("another key has the same kid")
            key = _parse_key(member)
        except KeySetRefused as unusable:
            ignored.append(IgnoredKey(kid or f"key {index}", str(unusable)))
        else:
            keys[key.kid] = key
    if not keys:
        named = "; ".join(f"{each.name}: {each.reason}" for each in ignored[:_NAMED_IN_REFUSAL])
        raise KeySetRefused(f"none of the {len(members)} keys can be used ({named})")
    return KeySet(keys, tuple(ignored))


def _members(document: bytes) -> list[object]:
    if len(document) > MAX_DOCUMENT_SIZE:
        raise KeySetRefused(f"the document is larger than {MAX_DOCUMENT_SIZE} bytes")
    try:
        value = strict_json.loads(document)
    except ValueError as error:
        raise KeySetRefused(str(error)) from None
    members = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(members, list):
        raise KeySetRefused("the document is not a JSON object with a list of keys")
    if not 1 <= len(members) <= MAX_KEYS:
        raise KeySetRefused(f"the document holds {len(members)} keys; 1 to {MAX_KEYS} are accepted")
    return members


def _kid_of(jwk: object) -> str | None:
    """Return the key's `kid` if it is one that a token could name."""
    kid = jwk.get("kid") if isinstance(jwk, dict) else None
    return kid if isinstance(kid, str) and KID.fullmatch(kid) is not None else None


def render_key_set(keys: Iterable[VerificationKey]) -> str:
    """Return a document of these keys alone; `parse_key_set` restores them.

    Never larger than MAX_DOCUMENT_SIZE.
    """
    members = []
    for key in keys:
        n = key.public_key.public_numbers().n.to_bytes(key.modulus_bytes, "big")
        members.append(
            {
                "kty": "RSA",
                "alg": "RS256",
                "use": "sig",
                "kid": key.kid,
                "e": _PUBLIC_EXPONENT,
                "n": base64url.encode(n).decode("ascii"),
            }
        )
    return json.dumps({"keys": members}, separators=(",", ":"))


def _parse_key(jwk: object) -> VerificationKey:
    if not isinstance(jwk, dict):
        raise KeySetRefused("not a JSON object")
    if not _PRIVATE_MEMBERS.isdisjoint(jwk):
        raise KeySetRefused("contains a private or symmetric key")
    if jwk.get("kty") != "RSA":
        raise KeySetRefused("kty is not RSA")
    _check_purpose(jwk)
    kid = _kid_of(jwk)
    if kid is None:
        raise KeySetRefused("kid is not a string of 1 to 256 printable ASCII characters")
    if jwk.get("e") != _PUBLIC_EXPONENT:
        raise KeySetRefused("e is not 65537")
    n = jwk.get("n")
    if not isinstance(n, str):
        raise KeySetRefused("n is not a string")
    modulus = _parse_modulus(n)
    try:
        # Only members checked above: PyJWT would read more of the document's object.
        public_key = PyJWK({"kty": "RSA", "alg": "RS256", "e": _PUBLIC_EXPONENT, "n": n}).key
    except InvalidKeyError:  # pragma: no cover - nothing that passed our checks; a newer PyJWT may check more
        raise KeySetRefused("n is not an RSA modulus") from None
    return VerificationKey(kid, public_key, (modulus.bit_length() + 7) // 8, _thumbprint(n))


def _check_purpose(jwk: dict[str, object]) -> None:
    # RFC 7517 section 4.4: alg is optional. Stricter: Cognito always sends it.
    if jwk.get("alg") != "RS256":
        raise KeySetRefused("alg is not RS256")
    # RFC 7517 sections 4.2 and 4.3: both are optional. Cognito sends use; if present they must mean
    # verification.
    if "use" in jwk and jwk["use"] != "sig":
        raise KeySetRefused("use is not sig")
    if "key_ops" in jwk and jwk["key_ops"] != ["verify"]:
        raise KeySetRefused("key_ops is not just verify")


def _parse_modulus(n: str) -> int:
    try:
        octets = base64url.decode(n.encode("ascii"))
    except ValueError:
        raise KeySetRefused("n is not canonical base64url") from None
    # RFC 7518 section 2: Base64urlUInt uses the fewest octets that hold the value.
    if octets[:1] == b"\x00":
        raise KeySetRefused("n has leading zero octets")
    modulus = int.from_bytes(octets, "big")
    if not MIN_MODULUS_BITS <= modulus.bit_length() <= MAX_MODULUS_BITS:
        raise KeySetRefused(f"n does not have {MIN_MODULUS_BITS} to {MAX_MODULUS_BITS} bits")
    # A product of two odd primes is odd.
    if modulus % 2 == 0:
        raise KeySetRefused("n is even")
    return modulus


def _thumbprint(n: str) -> str:
    # RFC 7638 section 3.2: required members only, in this order, no white space.
    canonical = f'{{"e":"{_PUBLIC_EXPONENT}","kty":"RSA","n":"{n}"}}'
    return base64url.encode(hashlib.sha256(canonical.encode("ascii")).digest()).decode("ascii")
