"""SRP against pycognito's arithmetic, and what no challenge may be."""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycognito import aws_srp

from gateway.aws.srp import N, SrpClient, device_password, device_verifier, timestamp
from gateway.errors import GatewayError

POOL = "us-east-1_AbCdEfGhI"
NOW = datetime(2026, 11, 3, 9, 5, 0, tzinfo=UTC)
numbers = st.integers(min_value=1, max_value=2**1024 - 1)


def challenge(b: int, salt: int, block: bytes = b"secret block") -> dict[str, str]:
    return {
        "USER_ID_FOR_SRP": "alice",
        "SALT": f"{salt:x}",
        "SRP_B": f"{b:x}",
        "SECRET_BLOCK": base64.b64encode(block).decode(),
    }


@settings(max_examples=10)
@given(a=numbers, b=st.integers(1, N - 1), salt=st.integers(0, 2**128 - 1), password=st.text(max_size=20))
def test_the_proof_is_pycognitos(a: int, b: int, salt: int, password: str) -> None:
    theirs = aws_srp.AWSSRP("alice", password, POOL, "client", client=object())
    theirs.small_a_value = a
    theirs.large_a_value = theirs.calculate_a()
    key = theirs.get_password_authentication_key("alice", password, b, f"{salt:x}")
    ours = SrpClient(POOL, exponent=a)
    assert int(ours.srp_a, 16) == theirs.large_a_value
    answers = ours.answers(challenge(b, salt), password, NOW)
    message = b"AbCdEfGhIalicesecret block" + answers["TIMESTAMP"].encode()
    signature = base64.b64encode(hmac.digest(key, message, "sha256")).decode()
    assert answers["PASSWORD_CLAIM_SIGNATURE"] == signature


@settings(max_examples=30)
@given(group=st.text(max_size=20), password=st.text(min_size=1, max_size=60))
def test_a_device_is_registered_as_pycognito_does_it(group: str, password: str) -> None:
    key = "us-east-1_5e0d3a9c-70b1-70e4-5f1b-8f7d9c0f2a11"
    ours = device_verifier(group, key, password)
    salt = base64.b64decode(ours["Salt"])
    verifier = int.from_bytes(base64.b64decode(ours["PasswordVerifier"]), "big")
    assert aws_srp.pad_hex(int.from_bytes(salt, "big")) == salt.hex()
    # The client that proves this password later takes this power of g for the verifier.
    inner = aws_srp.hash_sha256(f"{group}{key}:{password}".encode())
    x = aws_srp.hex_to_long(aws_srp.hex_hash(salt.hex() + inner))
    assert verifier == pow(2, x, N)
    assert aws_srp.pad_hex(verifier) == base64.b64decode(ours["PasswordVerifier"]).hex()


def test_no_two_devices_have_the_same_password_or_salt() -> None:
    assert len({device_password() for _ in range(20)}) == 20
    assert len({device_verifier("-g", "r_1", "p")["Salt"] for _ in range(20)}) == 20


def test_the_timestamp_is_cognitos() -> None:
    assert timestamp(NOW) == "Tue Nov 3 09:05:00 UTC 2026"
    assert timestamp(NOW) == aws_srp.AWSSRP.get_cognito_formatted_timestamp(NOW)


@pytest.mark.parametrize("b", [0, N, 2 * N])
def test_a_challenge_that_anybody_could_make_is_not_answered(b: int) -> None:
    with pytest.raises(GatewayError, match="is invalid"):
        SrpClient(POOL).answers(challenge(b, 1), "password", NOW)


@pytest.mark.parametrize(
    "change",
    [{"SRP_B": "xyz"}, {"SRP_B": "-5"}, {"SALT": ""}, {"SECRET_BLOCK": "=!"}, {"USER_ID_FOR_SRP": None}],
)
def test_a_challenge_that_is_none_is_one_sentence(change: dict[str, str | None]) -> None:
    parameters = {name: value for name, value in {**challenge(2, 1), **change}.items() if value is not None}
    with pytest.raises(GatewayError, match="cannot be read"):
        SrpClient(POOL).answers(parameters, "password", NOW)


def test_two_sign_ins_have_two_exponents() -> None:
    assert SrpClient(POOL).srp_a != SrpClient(POOL).srp_a
