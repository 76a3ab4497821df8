"""A strict JSON parser (RFC 8259, I-JSON of RFC 7493) for tokens and key sets: one text, one meaning.

It reads unverified bytes, so its cost is linear in the size, which callers bound. Invariant: the result can
be encoded as UTF-8 again, and no two parsers would read the text differently. No error text or error object
contains any of the document.
"""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

# Cognito nests three deep (`identities`); tokens customised by a Lambda contain small documents. Python's own
# parser overflows its stack at about a thousand; other gateways allow 32 or more.
MAX_DEPTH = 16
# 2^64 has 20 digits. Longer integers cost quadratic time and are read differently elsewhere (RFC 8259 section
# 6).
MAX_INTEGER_DIGITS = 20

# Possessive, and satisfied with a missing end quote: one pass, even over hostile text.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
# The depth is the same for both kinds of bracket; the parser tells them apart.
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_ALL_BUT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


def loads(data: bytes) -> object:
    """Parse `data` and return its value.

    Raises ValueError for: anything but UTF-8 without a byte order mark, nesting beyond MAX_DEPTH, duplicate
    member names, NaN and Infinity, numbers too large for their type, lone surrogates, or invalid JSON.
    """
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _is_deep(data):
        raise ValueError("JSON nested too deeply or never closed")
    if b"\\" not in data:
        flat = _flat(data)
        if flat is not None:
            return flat
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        # Not chained: that error's repr contains the whole document.
        raise ValueError("JSON is not UTF-8") from None
    try:
        value: object = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at character {error.pos}") from None
    # RFC 7493 section 2.1: no lone surrogates. They can only be written as escapes.
    if b"\\" in data and (b"\\ud" in data or b"\\uD" in data):
        _refuse_lone_surrogates(value)
    return value


def _flat(data: bytes) -> dict[str, object] | None:
    """Parse the common payload: an object of strings, integers and lists of strings, without escapes.

    It costs half as much as `_DECODER`, which calls back for every member and number. None: the value is of
    another kind or invalid, and the slow path reports how.
    """
    try:
        text = data.decode("utf-8")
        value, end = _PARSER.raw_decode(text)
    except ValueError:
        return None
    if type(value) is not dict or end != len(text):
        return None
    strings = len(value)
    for member in value.values():
        kind = type(member)
        if kind is str:
            strings += 1
        elif kind is int:
            if not -_TOO_LONG < member < _TOO_LONG:
                return None
        elif kind is list and all(type(each) is str for each in member):
            strings += len(member)
        elif kind is not bool:
            return None
    # Without escapes each string has two quotes and nothing else has any. More quotes than the parsed strings
    # account for mean a duplicate name.
    return value if text.count('"') == 2 * strings else None


def _is_deep(data: bytes) -> bool:
    brackets = _STRINGS.sub(b"", data).translate(_ONE_KIND, _ALL_BUT_BRACKETS)
    # Each round removes the innermost level, at the speed of C.
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
    return b"[" in brackets


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    # RFC 8259 section 4 only says names SHOULD be unique; RFC 7515 section 4 lets a verifier refuse
    # duplicates.
    if len(members) != len(pairs):
        raise ValueError("JSON object with a duplicate member name")
    return members


def _integer(digits: str) -> int:
    if len(digits) - (digits[0] == "-") > MAX_INTEGER_DIGITS:
        raise ValueError("JSON integer too long")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("JSON number too large")
    return value


def _constant(name: str) -> NoReturn:
    # Python's parser accepts NaN, Infinity and -Infinity; RFC 8259 section 6 does not.
    raise ValueError("JSON with NaN or Infinity")


def _refuse_lone_surrogates(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("JSON string with a lone surrogate") from None


_TOO_LONG = 10**MAX_INTEGER_DIGITS
# Builds integers and objects without calling back; `_flat` checks them afterwards.
_PARSER = json.JSONDecoder(parse_constant=_constant)
_DECODER = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
