from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tokens import jwk
from gateway.tokens.jwk import IgnoredKey, KeySetRefused, parse_key_set, read_key_set
from tests.support.tokens import ABSENT, KeyPair, base64url, key_set_document


@pytest.fixture(scope="module")
def keypair() -> KeyPair:
    return KeyPair.generate("first")


def integer(value: int) -> str:
    return base64url(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode()


def modulus(keypair: KeyPair) -> int:
    return keypair.private_key.public_key().public_numbers().n


def test_reads_a_set_as_cognito_publishes_it(keypair: KeyPair) -> None:
    second = KeyPair.generate("second")
    keys = parse_key_set(key_set_document(keypair, second))
    assert list(keys) == ["first", "second"]
    for pair in (keypair, second):
        key = keys[pair.kid]
        assert key.kid == pair.kid
        assert key.public_key.public_numbers() == pair.private_key.public_key().public_numbers()
        assert key.modulus_bytes == 256


def test_thumbprint_is_that_of_rfc_7638() -> None:
    """The example of its section 3.1."""
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3okn"
        "jhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6q"
        "MQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awap"
        "JzKnqDKgw"
    )
    document = {"keys": [{"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}]}
    (key,) = parse_key_set(json.dumps(document).encode()).values()
    assert key.thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_thumbprints_distinguish_keys_and_ignore_names(keypair: KeyPair) -> None:
    keys = parse_key_set(key_set_document(keypair, keypair.jwk(kid="renamed"), KeyPair.generate("second")))
    assert keys["first"].thumbprint == keys["renamed"].thumbprint != keys["second"].thumbprint
    digest = hashlib.sha256(
        json.dumps({"e": "AQAB", "kty": "RSA", "n": keypair.jwk()["n"]}, separators=(",", ":")).encode()
    ).digest()
    assert base64.urlsafe_b64decode(keys["first"].thumbprint + "=") == digest


@pytest.mark.parametrize(
    "changes",
    [
        {"use": ABSENT},
        {"key_ops": ["verify"]},
        {"use": ABSENT, "key_ops": ["verify"]},
        {"x5t": "unknown members are ignored (RFC 7517 section 4)"},
        {"kid": "k" * 256},
        {"kid": "!~/+="},
    ],
)
def test_accepts(keypair: KeyPair, changes: dict[str, Any]) -> None:
    assert len(parse_key_set(key_set_document(keypair.jwk(**changes)))) == 1


@pytest.mark.parametrize("bits", [2048, 3072])
def test_accepts_sizes(bits: int) -> None:
    (key,) = parse_key_set(key_set_document(KeyPair.generate("size", bits=bits))).values()
    assert key.modulus_bytes == bits // 8


# Members of a key that is fit for use otherwise, and a word of the reason they are refused for.
NOT_MODULI: list[Any] = [ABSENT, None, "", "AQAB", "A", "!!!!", 1, ["x"], {}, "é" * 342]
BAD_MEMBERS: list[tuple[dict[str, Any], str]] = [
    *(({"kty": value}, "kty") for value in (ABSENT, None, "rsa", "EC", "oct", "OKP", 1, ["RSA"])),
    *(({"alg": value}, "alg") for value in (ABSENT, None, "RS384", "RS512", "PS256", "HS256", "none",
        "rs256", ["RS256"])),
    *(({"use": value}, "use") for value in (None, "enc", "SIG", "", ["sig"], 1)),
    *(({"key_ops": value}, "key_ops") for value in (None, [], ["sign"], ["verify", "sign"], ["encrypt"],
        "verify", 1)),
    *(({"kid": value}, "kid") for value in (ABSENT, None, "", 1, ["first"], "k" * 257, "a b", "a\x00",
        "a\n", "é", "\x7f")),
    *(({"e": value}, "e is not") for value in (ABSENT, None, "", "AQ", "Aw", "Ag", "AQAA", "AAEAAQ",
        "AQAB=", "AQABAAE", 65537)),
    *(({"n": value}, "n ") for value in NOT_MODULI),
    *(({name: "AQAB"}, "private") for name in ("d", "p", "q", "dp", "dq", "qi", "k")),
    ({"oth": []}, "private"),
    ({"d": None}, "private"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "word"), BAD_MEMBERS)
def test_one_bad_key_is_ignored_and_the_others_serve(
    keypair: KeyPair, changes: dict[str, Any], word: str
) -> None:
    good, bad = KeyPair.generate("second"), keypair.jwk(**changes)
    orders: tuple[list[Any], ...] = ([bad, good], [good, bad])
    for index, members in enumerate(orders):
        read = read_key_set(key_set_document(*members))
        assert list(read.keys) == ["second"]
        (ignored,) = read.ignored
        assert ignored.name == (f"key {index}" if "kid" in changes else "first")
        assert word in ignored.reason
    # Alone it leaves nothing to verify with.
    with pytest.raises(KeySetRefused, match=f"none of the 1 keys can be used .*{word}"):
        parse_key_set(key_set_document(bad))


def test_refuses_moduli_that_are_none(keypair: KeyPair) -> None:
    n = modulus(keypair)
    padded = base64url(b"\x00" + n.to_bytes(256, "big")).decode()
    stray = keypair.jwk()["n"][:-1] + chr(ord(keypair.jwk()["n"][-1]) + 1)
    cases = {
        padded: "leading zero",
        integer(n - 1): "even",
        integer(n >> 1 | 1): "bits",
        integer((1 << 1024) - 1): "bits",
        integer((1 << 2047) - 1): "bits",
        integer((1 << 8192) + 1): "bits",
        integer((1 << 60_000) + 1): "bits",
        stray: "base64url",
        keypair.jwk()["n"] + "==": "base64url",
        keypair.jwk()["n"].replace("-", "+", 1) + "\n": "base64url",
    }
    for value, word in cases.items():
        with pytest.raises(KeySetRefused, match=word):
            parse_key_set(key_set_document(keypair.jwk(n=value)))
    with pytest.raises(KeySetRefused, match="bits"):
        parse_key_set(key_set_document(KeyPair.generate("small", bits=1024)))
    # The largest and smallest that are let through have no need to be products of primes for this.
    for value in ((1 << 8191) + 1, (1 << 2047) + 1):
        parse_key_set(key_set_document(keypair.jwk(n=integer(value))))


def test_ignores_other_kinds_of_keys(keypair: KeyPair) -> None:
    symmetric = {"kty": "oct", "k": "c2VjcmV0", "kid": "mac", "alg": "HS256", "use": "sig"}
    elliptic = {"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ", "kid": "ec", "alg": "ES256", "use": "sig"}
    names: dict[str, tuple[Any, ...]] = {
        "mac": (symmetric, {**symmetric, "k": ""}),
        "ec": (elliptic,),
        "key 1": ({}, [], None, "key", 1),
    }
    for name, others in names.items():
        for other in others:
            document = json.dumps({"keys": [keypair.jwk(), other]}).encode()
            read = read_key_set(document)
            assert list(read.keys) == ["first"]
            assert [ignored.name for ignored in read.ignored] == [name]
            with pytest.raises(KeySetRefused):
                read_key_set(json.dumps({"keys": [other]}).encode())


def test_of_keys_with_one_name_none_is_used(keypair: KeyPair) -> None:
    good, twin = KeyPair.generate("second"), KeyPair.generate("first", serial=1)
    elliptic = {"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ", "kid": "first", "alg": "ES256"}
    # The same key twice, another key, one of another kind, one that lacks everything; before and behind.
    for other in (keypair.jwk(), twin.jwk(), elliptic, {"kid": "first"}):
        for members in ([keypair.jwk(), good, other], [other, keypair.jwk(), good]):
            read = read_key_set(
                json.dumps(
                    {"keys": [each.jwk() if isinstance(each, KeyPair) else each for each in members]}
                ).encode()
            )
            assert list(read.keys) == ["second"]
            assert read.ignored == (IgnoredKey("first", "another key has the same kid"),) * 2
        with pytest.raises(KeySetRefused, match="none of the 2 keys"):
            read_key_set(json.dumps({"keys": [keypair.jwk(), other]}).encode())


def test_names_are_distinguished_exactly(keypair: KeyPair) -> None:
    """A kid is compared as a token's is: case and percent signs are other names (RFC 7517 section 4.5)."""
    names = ["first", "First", "%66irst", "first."]
    assert list(parse_key_set(key_set_document(*(keypair.jwk(kid=name) for name in names)))) == names


def test_a_refusal_names_a_few_keys_only(keypair: KeyPair) -> None:
    document = key_set_document(*(keypair.jwk(kid=f"k{n}", use="enc") for n in range(jwk.MAX_KEYS)))
    with pytest.raises(KeySetRefused) as refusal:
        parse_key_set(document)
    assert "none of the 32 keys can be used (k0: use is not sig; " in str(refusal.value)
    assert "k3" not in str(refusal.value)


@pytest.mark.parametrize(
    "document",
    [
        b"", b"{}", b"[]", b"null", b'"keys"', b'{"keys":{}}', b'{"keys":null}', b'{"keys":[]}',
        b'{"Keys":[{}]}',
        b"<!doctype html><title>Sign in</title>", b'{"keys":[],"keys":[]}', b"\xef\xbb\xbf{}", b"\xff",
        b"[" * 60_000,
    ],
)  # fmt: skip
def test_refuses_documents_that_are_no_key_set(document: bytes) -> None:
    with pytest.raises(KeySetRefused):
        parse_key_set(document)


def test_refuses_more_than_it_would_hold(keypair: KeyPair) -> None:
    def many(count: int) -> bytes:
        return key_set_document(*(keypair.jwk(kid=str(number)) for number in range(count)))

    assert len(parse_key_set(many(jwk.MAX_KEYS))) == jwk.MAX_KEYS
    with pytest.raises(KeySetRefused, match="33 keys"):
        parse_key_set(many(jwk.MAX_KEYS + 1))
    with pytest.raises(KeySetRefused, match="larger"):
        parse_key_set(many(5_000))
    document = key_set_document(keypair)
    parse_key_set(document + b" " * (jwk.MAX_DOCUMENT_SIZE - len(document)))
    with pytest.raises(KeySetRefused, match="larger"):
        parse_key_set(document + b" " * (jwk.MAX_DOCUMENT_SIZE - len(document) + 1))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_key_set_or_refused(document: bytes) -> None:
    with pytest.raises(KeySetRefused):
        parse_key_set(document)


MEMBER_NAMES = st.sampled_from(["kty", "kid", "use", "alg", "n", "e", "d", "k", "key_ops", "x5c"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=400) | st.just("RSA"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBER_NAMES, inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(MEMBER_NAMES, VALUES, min_size=1, max_size=4), st.booleans())
def test_any_change_to_a_key_is_taken_or_refused(changes: dict[str, Any], alone: bool) -> None:
    keypair = KeyPair.generate("first")
    changed = keypair.jwk(**changes)
    try:
        keys = parse_key_set(
            json.dumps({"keys": [changed] if alone else [changed, keypair.jwk(kid="2")]}).encode()
        )
    except KeySetRefused:
        return  # none is usable, or the text is not strict JSON (NaN, huge numbers)
    if keys.keys() == {"2"} and changed["kid"] != "2":
        return
    # What is taken is RSA as it was, or with another modulus of a good size.
    assert changed["kid"] in keys
    assert (changed["kty"], changed["alg"], changed["e"]) == ("RSA", "RS256", "AQAB")
