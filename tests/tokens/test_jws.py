from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadSignature, InvalidToken, TokenHeaderRefused, TokenMalformed, TokenTooLarge
from gateway.tokens import base64url, jws
from gateway.tokens.jwk import VerificationKey, parse_key_set
from tests.support.tokens import KeyPair, access_claims, compact_json, key_set_document, sign, sign_raw

KID = "access-key"


@pytest.fixture(scope="module")
def keypair() -> KeyPair:
    return KeyPair.generate(KID)


@pytest.fixture(scope="module")
def key(keypair: KeyPair) -> VerificationKey:
    return parse_key_set(key_set_document(keypair))[KID]


def test_payload_comes_out_as_it_went_in(keypair: KeyPair, key: VerificationKey) -> None:
    header = compact_json({"kid": KID, "alg": "RS256"})
    for payload in (b"", b"\x00", b"\xff\xfe", b"not JSON", bytes(range(256)), b"x" * 9000):
        token = sign_raw(keypair, header, payload)
        unverified = jws.decode(token)
        assert unverified.kid == KID
        assert unverified.signing_input + b"." == token[: token.rindex(b".") + 1]
        assert jws.verify_signature(unverified, key) == payload


def test_size_is_looked_at_before_anything_else() -> None:
    jws_limit = jws.MAX_TOKEN_SIZE
    with pytest.raises(TokenTooLarge):
        jws.decode(b"\xff" * (jws_limit + 1))
    with pytest.raises(TokenMalformed):
        jws.decode(b"\xff" * jws_limit)


def test_a_key_of_another_name_is_not_tried(keypair: KeyPair, key: VerificationKey) -> None:
    """Even if it is the very same key: the caller mixed something up."""
    unverified = jws.decode(sign(keypair, access_claims()))
    assert jws.verify_signature(unverified, key)
    with pytest.raises(BadSignature):
        jws.verify_signature(unverified, dataclasses.replace(key, kid="id-key"))


def test_signature_has_the_length_of_the_modulus(keypair: KeyPair, key: VerificationKey) -> None:
    """Said before the library is asked, whatever it makes of other lengths."""
    unverified = jws.decode(sign(keypair, access_claims()))
    for signature in (unverified.signature[:-1], b"\x00" + unverified.signature, b""):
        with pytest.raises(BadSignature, match="modulus"):
            jws.verify_signature(unverified._replace(signature=signature), key)


def test_a_refused_header_is_refused_again(keypair: KeyPair) -> None:
    """Headers that passed are remembered, refused ones never are, nor does a lookalike profit."""
    good = sign(keypair, access_claims())
    bad = sign(keypair, access_claims(), {"crit": ["exp"]})
    for _ in range(3):
        assert jws.decode(good).kid == KID
        with pytest.raises(TokenHeaderRefused):
            jws.decode(bad)


def test_a_flood_of_headers_is_forgotten(keypair: KeyPair) -> None:
    for number in range(200):
        assert jws.decode(sign_raw(keypair, compact_json({"kid": str(number), "alg": "RS256"}), b"{}")).kid
    remembered = jws.header_kid.cache_info()
    assert remembered.currsize == remembered.maxsize
    assert remembered.maxsize is not None
    assert remembered.maxsize * jws.MAX_TOKEN_SIZE <= 1024 * 1024


def test_repr_shows_no_part_of_the_token(keypair: KeyPair) -> None:
    token = sign_raw(keypair, compact_json({"kid": KID, "alg": "RS256"}), b"secret payload")
    unverified = jws.decode(token)
    for shown in (repr(unverified), str(unverified), f"{unverified!r:>200}"):
        assert "secret" not in shown
        assert KID not in shown
        assert not any(part in shown for part in (token[:10].decode(), token[-10:].decode()))


def is_refused(token: bytes, key: VerificationKey) -> bool:
    """True when refused as a token is; any other exception is the test's failure."""
    try:
        unverified = jws.decode(token)
        jws.verify_signature(unverified, dataclasses.replace(key, kid=unverified.kid))
    except InvalidToken:
        return True
    return False


@given(st.binary(max_size=400))
def test_any_bytes_are_refused(token: bytes) -> None:
    key = parse_key_set(key_set_document(KeyPair.generate(KID)))[KID]
    assert is_refused(token, key)


SEGMENT = st.text("ABab01-_", max_size=30).map(str.encode) | st.binary(max_size=40).map(base64url.encode)


@given(st.lists(SEGMENT, max_size=5).map(b".".join))
def test_anything_like_a_token_is_refused(token: bytes) -> None:
    key = parse_key_set(key_set_document(KeyPair.generate(KID)))[KID]
    assert is_refused(token, key)


@given(st.data())
def test_any_change_to_a_token_is_refused(data: st.DataObject) -> None:
    """A flipped bit, an inserted, deleted, replaced or moved piece: no other text is this token."""
    keypair = KeyPair.generate(KID)
    key = parse_key_set(key_set_document(keypair))[KID]
    token = sign(keypair, access_claims(now=0, sub="alice"))
    assert not is_refused(token, key)
    at = data.draw(st.integers(0, len(token) - 1))
    piece = data.draw(
        st.binary(min_size=1, max_size=3) | st.sampled_from([b"A", b"=", b".", b"-", b"\n", b" "])
    )
    until = at + data.draw(st.integers(1, 3))
    changed = data.draw(
        st.sampled_from(
            [
                token[:at] + bytes([token[at] ^ 1 << data.draw(st.integers(0, 7))]) + token[at + 1 :],
                token[:at] + piece + token[at:],
                token + piece,
                token[:at] + token[until:],
                token[:at] + piece + token[until:],
                token[:at] + token[at:until][::-1] + token[until:],
                token[at:] + token[:at],
                token[: -1 - at],
            ]
        )
    )
    assert is_refused(changed, key) or changed == token


@given(st.binary(max_size=100))
def test_base64url_has_one_spelling_per_value(data: bytes) -> None:
    text = base64url.encode(data)
    assert base64url.decode(text) == data
    assert b"=" not in text


@given(st.text("ABQgwxyz019-_+/=\n ", max_size=12).map(str.encode) | st.binary(max_size=12))
def test_base64url_reads_nothing_it_would_not_write(text: bytes) -> None:
    try:
        data = base64url.decode(text)
    except ValueError:
        return
    assert base64url.encode(data) == text
