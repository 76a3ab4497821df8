"""From the values of a request's Authorization headers to the one token they hold; all pure.

Invariant: two credentials in one request are never one, whichever way they were put into its headers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256

from gateway.errors import BearerMissing, MalformedAuthorization, NoCredentials, TwoCredentials

# RFC 9110 section 5.6.2: what a scheme's name may consist of.
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SCHEME = re.compile(_TOKEN)
_CONTROLS = bytes([*range(0x20), 0x7F])
# The two spellings of the scheme in use, with what stands behind them, and how long either is.
_NOT_ONE = "Bearer is not followed by exactly one token: does the value hold Bearer twice?"
_USUAL = frozenset({b"Bearer ", b"bearer "})
SCHEME_LENGTH = 7
# RFC 9110 section 11.2: the characters of a token68, which RFC 6750 calls b64token.
_TOKEN68 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="
# The header of every JWT begins so: `{"` in base64url.
# Digest (RFC 7616) has ten parameters, AWS's signature three.
_MOST_PARAMETERS = 32
_BARE = re.compile(rb"[ \t]*eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+[ \t]*")
# Possessive, and content with a missing end: no input makes it look twice at the same byte.
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.?)*+"?')
_PARAMETER = re.compile(rb"[ ]*(?:" + _TOKEN + rb"[ ]*=.*)?")


def token_hash(authorization: bytes) -> bytes | None:
    """The SHA-256 of the token in this value of an Authorization header.

    None where the scheme is spelt in none of the two usual ways (RFC 9110 section 11.1 allows any case): that
    must be looked at first.
    """
    scheme = authorization[:SCHEME_LENGTH]
    if scheme != b"Bearer " and scheme != b"bearer ":  # noqa: PLR1714 - a tuple costs 30 ns more
        return None
    return sha256(authorization[SCHEME_LENGTH:]).digest()


def bearer_token(authorization: Sequence[bytes]) -> bytes:
    """The token in these values of Authorization headers, as received.

    Raises TwoCredentials, MalformedAuthorization, or NoCredentials when there is no header or another scheme.
    """
    if not authorization:
        raise NoCredentials("no Authorization header")
    # RFC 9110 section 5.3: a field that is no list is sent once (Envoy CVE-2026-26308).
    if len(authorization) > 1:
        raise TwoCredentials("more than one Authorization header")
    token = authorization[0][SCHEME_LENGTH:]
    if authorization[0][:SCHEME_LENGTH] in _USUAL and token and not token.translate(None, _TOKEN68):
        # Nothing else but one token: what nearly all requests hold.
        return token
    # RFC 9110 section 11.4: credentials = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
    scheme, _, rest = authorization[0].strip(b" \t").partition(b" ")
    rest = rest.lstrip(b" ")
    if _SCHEME.fullmatch(scheme) is None or len(rest.translate(None, _CONTROLS)) != len(rest):
        raise MalformedAuthorization("the Authorization header is not a scheme and its credentials")
    if _holds_second_scheme(rest):
        raise TwoCredentials("more than one scheme in the Authorization header")
    # RFC 9110 section 11.1: in any case.
    if scheme.lower() != b"bearer":
        raise NoCredentials("the Authorization header's scheme is not Bearer")
    # RFC 6750 section 2.1: one b64token. Other characters than its own are left to the token's own checks.
    if not rest or b" " in rest or b"," in rest:
        raise MalformedAuthorization(_NOT_ONE if rest else "no token behind Bearer: is the token empty?")
    return rest


def refuse_bare_token(authorization: Sequence[bytes]) -> None:
    """Raises BearerMissing where these values are a JWT and nothing else, by its look."""
    if len(authorization) == 1 and _BARE.fullmatch(authorization[0]) is not None:
        raise BearerMissing


def _holds_second_scheme(rest: bytes) -> bool:
    """Whether a list element other than `name=value` stands behind a comma: two headers folded into one.

    Raises MalformedAuthorization.
    """
    if b"," not in rest:
        return False
    # Before anything is split: a head holds thousands of them.
    if rest.count(b",") > _MOST_PARAMETERS or rest.count(b'"') > 2 * _MOST_PARAMETERS:
        raise MalformedAuthorization(f"more than {_MOST_PARAMETERS} parameters")
    elements = _QUOTED.sub(b"", rest).split(b",")[1:]
    return any(_PARAMETER.fullmatch(element) is None for element in elements)
