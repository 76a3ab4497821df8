"""The signature layer: a compact JWS (RFC 7515 section 7.1) to its payload bytes, RS256 only.

It sees every token first. Invariant: a payload leaves `verify_signature` only after the signature over
exactly the received header and payload verified under the given key; nothing in the token chooses the
algorithm, and its `kid` only names one of the pool's keys.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from gateway.errors import (
    BadSignature,
    TokenAlgorithmRefused,
    TokenHeaderRefused,
    TokenMalformed,
    TokenTooLarge,
)
from gateway.tokens import base64url, strict_json
from gateway.tokens.jwk import KID, VerificationKey
from gateway.tokens.pyjwt import RS256

# Cognito's tokens have 1 to 2 KB, 4 with many groups, 18 with hundreds (cognito.max_token_size); servers
# limit a request head to 8 to 32 KiB.
MAX_TOKEN_SIZE = 16 * 1024

_HEADER_MEMBERS = frozenset({"alg", "kid", "typ"})
# A pool's tokens have as many different headers as it has signing keys: two. Strangers' headers (each at most
# as long as a token, 1 MiB in all by default) can evict them, which costs the next token 6 µs.
_REMEMBERED_HEADERS = 64


class UnverifiedJws(NamedTuple):
    """A well-formed token whose signature has not been checked."""

    kid: str
    signing_input: bytes
    signature: bytes
    unverified_payload: bytes

    def __repr__(self) -> str:
        return f"<UnverifiedJws of {len(self.signing_input)} + {len(self.signature)} bytes>"


def decode(token: bytes, max_size: int = MAX_TOKEN_SIZE) -> UnverifiedJws:
    """Split a token in the compact serialization into its parts, as received; nothing is trusted.

    Raises TokenTooLarge, TokenMalformed, TokenHeaderRefused or TokenAlgorithmRefused.
    """
    if len(token) > max_size:
        raise TokenTooLarge(f"the token has {len(token)} bytes, more than {max_size}")
    # Non-base64url bytes remain invalid after the translation: no padding, no white space, not even a line
    # feed at the end passes the decoding of the parts.
    parts = token.translate(base64url.TO_STANDARD).split(b".")
    if len(parts) != 3:
        raise TokenMalformed("the token is not three parts of base64url")
    header, payload, signature = parts
    # In RFC 7515 appendix F an empty payload stands for a detached one; here it means no bytes, and the
    # claims layer refuses it.
    if not header or not signature:
        raise TokenMalformed("a part of the token is empty")
    try:
        return UnverifiedJws(
            header_kid(header),
            token[: len(header) + 1 + len(payload)],
            base64url.decode_translated(signature),
            base64url.decode_translated(payload),
        )
    except ValueError:
        raise TokenMalformed("a part of the token is not canonical base64url") from None


def verify_signature(jws: UnverifiedJws, key: VerificationKey) -> bytes:
    """Return the payload, now known to be signed by the key's owner; raises BadSignature."""
    if jws.kid != key.kid:
        raise BadSignature("the key is not the one that the token names")
    # RFC 8017 section 8.2.2, step 1; other libraries pad short signatures.
    if len(jws.signature) != key.modulus_bytes:
        raise BadSignature("the signature is not as long as the key's modulus")
    if not RS256.verify(jws.signing_input, key.public_key, jws.signature):
        raise BadSignature("the signature does not match")
    return jws.unverified_payload


@functools.lru_cache(maxsize=_REMEMBERED_HEADERS)
def header_kid(segment: bytes) -> str:
    """Return the `kid` of an acceptable token header; only accepted headers are cached.

    `segment` has been translated by base64url.TO_STANDARD.
    """
    header = _parse_header(base64url.decode_translated(segment))
    # RFC 7515 section 4.1.1, RFC 8725 section 3.1: one algorithm, chosen by the verifier.
    if header.get("alg") != "RS256":
        raise TokenAlgorithmRefused("alg is not RS256")
    # RFC 7515 section 4: unknown members are ignored, and crit (4.1.11) has to be understood. Stricter:
    # Cognito sends alg and kid, so jku, jwk, x5u, x5c, crit, b64, zip and all others mean another issuer.
    if not _HEADER_MEMBERS.issuperset(header):
        raise TokenHeaderRefused("the header has members besides alg, kid and typ")
    # RFC 8725 section 3.11, RFC 9068 section 2.1; stricter than RFC 7515 section 4.1.9 about case.
    if header.get("typ", "JWT") not in ("JWT", "at+jwt"):
        raise TokenHeaderRefused("typ is neither JWT nor at+jwt")
    kid = header.get("kid")
    if not isinstance(kid, str) or KID.fullmatch(kid) is None:
        raise TokenHeaderRefused("kid is not a string of 1 to 256 printable ASCII characters")
    return kid


def _parse_header(data: bytes) -> dict[str, object]:
    try:
        header = strict_json.loads(data)
    except ValueError as error:
        raise TokenHeaderRefused(f"invalid header: {error}") from None
    if not isinstance(header, dict):
        raise TokenHeaderRefused("the header is not a JSON object")
    return header
