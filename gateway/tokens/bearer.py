"""Extraction of the one bearer token from a request's Authorization headers (RFC 6750 section 2.1). Pure.

Invariant: two credentials in one request are never taken for one, however the headers are split or joined.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256

from gateway.errors import BearerMissing, MalformedAuthorization, NoCredentials, TwoCredentials

# RFC 9110 section 5.6.2: the characters of a scheme's name.
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SCHEME = re.compile(_TOKEN)
_CONTROLS = bytes([*range(0x20), 0x7F])
_NOT_ONE = "Bearer is not followed by exactly one token: does the value hold Bearer twice?"
# The two spellings of the scheme in use, with the space after it, and their length.
_USUAL = frozenset({b"Bearer ", b"bearer "})
SCHEME_LENGTH = 7
# RFC 9110 section 11.2: the characters of a token68, which RFC 6750 calls b64token.
_TOKEN68 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="
# Digest (RFC 7616) has ten parameters, AWS's signature three.
_MOST_PARAMETERS = 32
# The header of every JWT begins with `{"`, in base64url `eyJ`.
_BARE = re.compile(rb"[ \t]*eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+[ \t]*")
# Possessive, and satisfied with a missing end quote: no input makes it look at a byte twice.
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.?)*+"?')
_PARAMETER = re.compile(rb"[ ]*(?:" + _TOKEN + rb"[ ]*=.*)?")


def token_hash(authorization: bytes) -> bytes | None:
    """Return the SHA-256 of the token in this Authorization value.

    None if the scheme has neither of its two usual spellings (RFC 9110 section 11.1 allows any case): such a
    value has to be parsed first.
    """
    scheme = authorization[:SCHEME_LENGTH]
    if scheme != b"Bearer " and scheme != b"bearer ":  # noqa: PLR1714 - a tuple costs another 30 ns
        return None
    return sha256(authorization[SCHEME_LENGTH:]).digest()


def bearer_token(authorization: Sequence[bytes]) -> bytes:
    """Return the token in these Authorization values, as received.

    Raises TwoCredentials, MalformedAuthorization, or NoCredentials if there is no header or another scheme.
    """
    if not authorization:
        raise NoCredentials("no Authorization header")
    # RFC 9110 section 5.3: a field that is not a list must not be repeated (Envoy CVE-2026-26308).
    if len(authorization) > 1:
        raise TwoCredentials("more than one Authorization header")
    token = authorization[0][SCHEME_LENGTH:]
    if authorization[0][:SCHEME_LENGTH] in _USUAL and token and not token.translate(None, _TOKEN68):
        # The fast path for nearly every request.
        return token
    # RFC 9110 section 11.4: credentials = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
    scheme, _, rest = authorization[0].strip(b" \t").partition(b" ")
    rest = rest.lstrip(b" ")
    if _SCHEME.fullmatch(scheme) is None or len(rest.translate(None, _CONTROLS)) != len(rest):
        raise MalformedAuthorization("the Authorization header is not a scheme and its credentials")
    if _holds_second_scheme(rest):
        raise TwoCredentials("more than one scheme in the Authorization header")
    # RFC 9110 section 11.1: case-insensitive.
    if scheme.lower() != b"bearer":
        raise NoCredentials("the Authorization header's scheme is not Bearer")
    # RFC 6750 section 2.1: one b64token. Characters outside its alphabet are left to the token's own checks.
    if not rest or b" " in rest or b"," in rest:
        raise MalformedAuthorization(_NOT_ONE if rest else "no token after Bearer: is the token empty?")
    return rest


def refuse_bare_token(authorization: Sequence[bytes]) -> None:
    """Raise BearerMissing if these values are a single bare JWT, by its form."""
    if len(authorization) == 1 and _BARE.fullmatch(authorization[0]) is not None:
        raise BearerMissing


def _holds_second_scheme(rest: bytes) -> bool:
    """Return whether a list element other than `name=value` follows a comma: two headers folded into one.

    Raises MalformedAuthorization.
    """
    if b"," not in rest:
        return False
    # Checked before splitting: a head holds thousands of commas.
    if rest.count(b",") > _MOST_PARAMETERS or rest.count(b'"') > 2 * _MOST_PARAMETERS:
        raise MalformedAuthorization(f"more than {_MOST_PARAMETERS} parameters")
    elements = _QUOTED.sub(b"", rest).split(b",")[1:]
    return any(_PARAMETER.fullmatch(element) is None for element in elements)
