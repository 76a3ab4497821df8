from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tokens import strict_json

# What two parsers must agree on: no lone surrogates, integers of at most 20 digits, no NaN.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(10**20) + 1, max_value=10**20 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_reads_what_json_writes(value: Any, ascii_only: bool, indent: Any) -> None:
    document = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert strict_json.loads(document) == value == json.loads(document)


def read(document: bytes) -> object:
    """What the strict reader says of it; ValueError itself when refused, and nothing else may be raised."""
    try:
        return strict_json.loads(document)
    except ValueError as error:
        # Subclasses carry the document.
        return type(error)


@given(st.binary(max_size=200) | st.text(st.sampled_from('{}[]",:\\u0d8e1 .-+eENaInfity\n')).map(str.encode))
def test_any_bytes_are_a_value_or_a_value_error(document: bytes) -> None:
    value = read(document)
    if value is ValueError:
        return
    assert value == json.loads(document)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")


@pytest.mark.parametrize(
    "document",
    [
        b"", b" ", b"{", b"]", b"nul", b"True", b"'a'", b"{'a':1}", b"{a:1}", b"[1,]", b'{"a":1,}',
        b"[1]x", b"[1][1]",
        b"// x\n1", b"01", b"+1", b".5", b"1.", b"0x1", b"1_0", b"\x0c1", b"\xc2\xa01", b"1\x00",
        b'"a\nb"', b'"\\x41"',
        b'"\\u12"', b'"\x00"', b"-", b"NaN", b"-NaN", b"Infinity", b"-Infinity", b"[NaN]", b"1e400",
        b"-1e400",
        b"9" * 400 + b".0", b"1" * 21, b"-" + b"1" * 21, b"0" * 5000, b"1" * 5000, b"\xef\xbb\xbf1",
        b'"\xff"',
        b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'"\xf5\x80\x80\x80"', "1".encode("utf-16"),
        "[1]".encode("utf-32-le"),
        b'"\\ud800"', b'"\\uDFFF"', b'"\\udc00\\ud800"', b'"\\ud800\\u0041"', b'{"\\ud800":1}',
        b'[{"a":["\\uDbff"]}]',
        b'{"a":1,"a":1}', b'{"a":1,"\\u0061":1}', b'[{"b":{"a":1,"c":2,"a":3}}]', b'{"":1,"":2}',
    ],
)  # fmt: skip
def test_refuses(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON") as refusal:
        strict_json.loads(document)
    assert type(refusal.value) is ValueError
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize(
    ("document", "value"),
    [
        (b" \t\r\n[ ] ", []),
        (b"1" * 20, int("1" * 20)),
        (b"-" + b"9" * 20, -int("9" * 20)),
        (b"1e308", 1e308),
        (b"1e-400", 0.0),
        (b"-0.0", 0.0),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"\\uD83D\\uDE00"', "😀"),
        (b'"\\\\ud800"', "\\ud800"),
        (b'{"a":{"a":1}}', {"a": {"a": 1}}),
        ('"\U0010ffff\ufeff"'.encode(), "\U0010ffff\ufeff"),
        (b'"' + b"[" * 100 + b'"', "[" * 100),
        (b'"\\"' + b"[" * 100 + b'"', '"' + "[" * 100),
    ],
)
def test_accepts(document: bytes, value: object) -> None:
    assert strict_json.loads(document) == value


def depth_of(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


BRACKETS = st.text(st.sampled_from('[]{}"\\'), max_size=6)
DEEP = st.recursive(
    BRACKETS,
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(BRACKETS, inner, max_size=3),
)


@given(DEEP, st.lists(st.booleans(), min_size=10, max_size=20))
def test_deep_values_are_refused_by_their_depth_alone(value: Any, wrappings: list[bool]) -> None:
    for as_list in wrappings:
        value = ["[", value, []] if as_list else {"{": value, "}": {}}
    document = json.dumps(value).encode()
    if depth_of(value) <= strict_json.MAX_DEPTH:
        assert strict_json.loads(document) == value
    else:
        with pytest.raises(ValueError, match="nested"):
            strict_json.loads(document)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_is_counted_exactly(opening: bytes, closing: bytes) -> None:
    def nested(depth: int) -> bytes:
        return opening * depth + b"1" + closing * depth

    strict_json.loads(nested(strict_json.MAX_DEPTH))
    with pytest.raises(ValueError, match="nested"):
        strict_json.loads(nested(strict_json.MAX_DEPTH + 1))
    # Strings that look like brackets neither add to the depth nor hide it.
    strict_json.loads(b'["' + b"[" * 50 + b'",' + nested(strict_json.MAX_DEPTH - 1) + b"]")
    with pytest.raises(ValueError, match="nested"):
        strict_json.loads(b'["\\"]]]]]]",' + nested(strict_json.MAX_DEPTH) + b"]")
    with pytest.raises(ValueError, match="nested"):
        strict_json.loads(opening * 100_000)


@pytest.mark.parametrize(
    "document",
    [
        b"[" * 17 + b'\\"' * 8_000,
        b"[" * 17 + b'"' * 16_000,
        b"[" * 17 + b'"' + b"\\" * 16_000,
        b"[" * 16_000,
        b'"' + b"[" * 16_000,
        b"1" * 16_000,
        b"[" + b"1e9," * 4_000,
        b'{"a":' * 3_200,
        b"-" * 16_000,
        b"[" + b'"\\ud83d",' * 1_700 + b"1]",
    ],
)
def test_no_document_of_a_token_s_size_is_slow(document: bytes) -> None:
    """A quadratic scan would take seconds; this much CPU is far above what it takes."""
    start = time.thread_time()
    with pytest.raises(ValueError, match="JSON"):
        strict_json.loads(document)
    assert time.thread_time() - start < 0.5


def test_numbers_keep_their_type() -> None:
    assert type(strict_json.loads(b"1")) is int
    value = strict_json.loads(b"1.0")
    assert type(value) is float
    assert math.isfinite(value)


def test_errors_hold_none_of_the_document() -> None:
    for document in (
        b'{"password":hunter2}',
        b'"hunter2\xff"',
        b'{"hunter2":1,"hunter2":2}',
        b'["hunter2\\ud800"]',
    ):
        with pytest.raises(ValueError, match="JSON") as refusal:
            strict_json.loads(document)
        assert "hunter2" not in f"{refusal.value!r} {vars(refusal.value)}"
