"""Vectors made by others: C2SP/wycheproof, in tests/vectors.

Their payloads are not claims: they hold the signature layer, bytes in and payload out.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from gateway.errors import BadSignature, InvalidToken
from gateway.tokens import jws
from gateway.tokens.jwk import KeySetRefused, VerificationKey, parse_key_set

FOLDER = Path(__file__).resolve().parents[1] / "vectors" / "wycheproof"

# Broken in the files themselves: 367 and 370 ("invalid") equal 357 ("valid") byte for byte, 372 and 373 hold
# a `?` in their base64 and are marked valid.
BROKEN = {367, 370, 372, 373}
# All that an RS256-only verifier has to accept of json_web_signature_test.json.
VALID_RS256 = {33, 259, 260, 261, 262, 263, 345, 349}


def groups(name: str) -> list[dict[str, Any]]:
    document = json.loads((FOLDER / name).read_text())
    found: list[dict[str, Any]] = document["testGroups"]
    return found


def accepts(token: str, key_set: Any) -> bool:
    """The whole signature layer: the key set first, then the token under the key it names."""
    try:
        keys = parse_key_set(json.dumps(key_set).encode())
        unverified = jws.decode(token.encode())
        if unverified.kid not in keys:
            return False
        payload = jws.verify_signature(unverified, keys[unverified.kid])
    except (KeySetRefused, InvalidToken):
        return False
    return payload is unverified.unverified_payload


def test_json_web_signature() -> None:
    accepted, judged, rsa = set(), 0, 0
    for group in groups("json_web_signature_test.json"):
        key = group.get("public", group["private"])
        for test in group["tests"]:
            if test["tcId"] in BROKEN:
                continue
            judged += 1
            rsa += key["kty"] == "RSA"
            token = test["jws"] if isinstance(test["jws"], str) else json.dumps(test["jws"])
            if accepts(token, {"keys": [key]}):
                accepted.add(test["tcId"])
    assert accepted == VALID_RS256
    assert (judged, rsa) == (397, 318)


def test_the_broken_vectors_are_as_broken_as_we_say() -> None:
    tokens = {t["tcId"]: t for group in groups("json_web_signature_test.json") for t in group["tests"]}
    for number in (367, 370):
        assert tokens[number]["jws"] == tokens[357]["jws"]
        assert (tokens[number]["result"], tokens[357]["result"]) == ("invalid", "valid")
    for number in (372, 373):
        assert "?" in tokens[number]["jws"]
        assert tokens[number]["result"] == "valid"


def test_json_web_key() -> None:
    accepted = set()
    for group in groups("json_web_key_test.json"):
        key_set = group.get("public", group["private"])
        accepted |= {test["tcId"] for test in group["tests"] if accepts(test["jws"], key_set)}
    # 7 is a key from a chip with weak primes (ROCA), which nothing but a test for that weakness can tell;
    # its fingerprint is no part of what RS256 asks of a key.
    assert accepted - {7} == {5}


@pytest.mark.parametrize("number", [1, 4, 6, 8, 9, 24])
def test_json_web_key_sets_are_refused_as_sets(number: int) -> None:
    """Not only the token: nothing of such a document is used."""
    (group,) = (g for g in groups("json_web_key_test.json") if g["tests"][0]["tcId"] == number)
    with pytest.raises(KeySetRefused):
        parse_key_set(json.dumps(group.get("public", group["private"])).encode())


def test_rsa_signature_2048_sha256() -> None:
    accepted, expected, judged = set(), set(), 0
    for group in groups("rsa_signature_2048_sha256_test.json"):
        key = verification_key(group["publicKey"])
        for test in group["tests"]:
            judged += 1
            if test["result"] == "valid":
                expected.add(test["tcId"])
            message = bytes.fromhex(test["msg"])
            unverified = jws.UnverifiedJws("none", message, bytes.fromhex(test["sig"]), message)
            with contextlib.suppress(BadSignature):
                if jws.verify_signature(unverified, key) is message:
                    accepted.add(test["tcId"])
    assert (judged, len(expected)) == (259, 9)
    assert accepted == expected


def verification_key(numbers: dict[str, str]) -> VerificationKey:
    """A key for the signature alone: two of the valid ones have e = 3, which no key set of ours may hold."""
    modulus, exponent = int(numbers["modulus"], 16), int(numbers["publicExponent"], 16)
    return VerificationKey("none", RSAPublicNumbers(exponent, modulus).public_key(), 256, "none")


def test_rsa_keys_with_a_small_exponent_are_refused() -> None:
    exponents = []
    for group in groups("rsa_signature_2048_sha256_test.json"):
        document = json.dumps({"keys": [group["keyJwk"]]}).encode()
        exponents.append(group["keyJwk"]["e"])
        if exponents[-1] == "AQAB":
            assert list(parse_key_set(document)) == ["none"]
        else:
            with pytest.raises(KeySetRefused, match="e is not 65537"):
                parse_key_set(document)
    assert sorted(exponents) == ["AQAB", "Aw", "Aw"]
