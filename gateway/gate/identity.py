"""Identity headers: claims as header lines for the upstream, encoded so that no value can inject anything.

Invariant: a value is printable ASCII; a comma in it separates list members and is never part of one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from gateway.config.model import IdentityHeaders
from gateway.tokens.claims import Claims

# Characters percent-encoded as UTF-8 (RFC 3986 section 2.1), so that CR, LF, NUL and non-ASCII can be decoded
# exactly; `%` itself too, to keep decoding unambiguous. In lists also the separator.
_ENCODE = re.compile(r"[^\x20-\x24\x26-\x7e]")
_OUTER_SPACES = re.compile(r"\A +| +\Z")
_ENCODE_IN_LIST = re.compile(r"[^\x20-\x24\x26-\x2b\x2d-\x7e]")


def identity_lines(claims: Claims, headers: IdentityHeaders) -> bytes:
    """Return the header lines that describe this principal; a claim the token lacks has none.

    Nor has one that Cognito has not verified, unless the configuration wants it.
    """
    lines: list[str] = []
    withheld = () if headers.send_unverified else claims.unverified
    for name, value in (
        (headers.user, claims.subject),
        (headers.username, claims.username),
        (headers.email, None if "email" in withheld else claims.email),
        (headers.pool, claims.pool_id),
    ):
        if name and value:
            lines.append(_line(name, value))
    if headers.groups and claims.groups:
        lines.append(_encoded_line(headers.groups, encode_list(claims.groups)))
    if headers.claims:
        found = claims.named((claim for _, claim in headers.claims), unverified=headers.send_unverified)
        lines += [
            _encoded_line(name, encode_claim(found[claim]))
            for name, claim in headers.claims
            if claim in found
        ]
    return "".join(lines).encode("ascii")


def encode(value: str) -> str:
    """Encode one value: control characters, non-ASCII and `%` as percent-encoded UTF-8."""
    if value.isascii() and value.isprintable() and "%" not in value:
        return value  # as nearly all are
    return _ENCODE.sub(_percent, value)


def encode_list(values: Iterable[str]) -> str:
    """Encode a list: members joined by commas, commas inside members percent-encoded."""
    return ",".join(_ENCODE_IN_LIST.sub(_percent, value) for value in values)


def encode_claim(value: object) -> str:
    """Encode a JSON value: strings as such, lists of strings as lists, anything else as compact JSON."""
    if isinstance(value, str):
        return encode(value)
    if isinstance(value, list) and all(isinstance(member, str) for member in value):
        return encode_list(value)
    return encode(json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def _percent(match: re.Match[str]) -> str:
    # surrogatepass: a lone surrogate is not valid Unicode, but must not raise here.
    return "".join(f"%{byte:02X}" for byte in match.group().encode("utf-8", "surrogatepass"))


def _line(name: str, value: str) -> str:
    """Return the line for a non-empty value."""
    plain = value.isascii() and value.isprintable() and "%" not in value
    if plain and value[0] != " " and value[-1] != " ":
        return f"{name}: {value}\r\n"  # as nearly all are
    return _encoded_line(name, encode(value))


def _encoded_line(name: str, value: str) -> str:
    # Outer spaces are not part of a value on the wire (RFC 9110 section 5.5).
    if value[:1] == " " or value[-1:] == " ":
        value = _OUTER_SPACES.sub(lambda spaces: "%20" * len(spaces.group()), value)
    return f"{name}: {value}\r\n"
