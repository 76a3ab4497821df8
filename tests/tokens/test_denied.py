"""Whom Cognito does not stand by: found by sign-in and by user, bounded, and gone when nobody needs it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.revocation.deny_list import LONGEST_LIFE, Denial, DenyList, family_key, subject_key
from gateway.revocation.watch import unaskable
from gateway.tokens.claims import Claims

REVOKED = Denial("revoked", 0.0)


def claims(**changes: Any) -> Claims:
    known: dict[str, Any] = {
        "pool_id": "pool",
        "issuer": "i",
        "subject": "sub",
        "token_use": "access",
        "client_id": "c",
        "username": "alice",
        "email": None,
        "groups": (),
        "scopes": frozenset({"aws.cognito.signin.user.admin"}),
        "expires_at": 2000.0,
        "issued_at": 1000.0,
        "jti": "j",
        "origin_jti": "o",
        "kid": "k",
        "payload": b"{}",
    }
    return Claims(**{**known, **changes})


def test_tokens_of_one_sign_in_are_revoked_together() -> None:
    assert family_key(claims()) == family_key(claims(jti="other")) == "pool/origin_jti/o"
    assert family_key(claims(origin_jti=None)) == "pool/jti/j"
    assert family_key(claims(origin_jti=None, jti=None)) == subject_key("pool", "sub") == "pool/sub/sub"
    assert family_key(claims(pool_id="other")) != family_key(claims())
    assert len(family_key(claims(origin_jti="o" * 10_000))) < 400


def test_denying_a_sign_in_denies_all_its_tokens_and_no_others() -> None:
    denied = DenyList()
    assert denied.find(claims()) is None
    assert denied.deny(family_key(claims()), REVOKED, 0.0)
    assert not denied.deny(family_key(claims()), REVOKED, 1.0)
    assert denied.find(claims(token_use="id", jti="other")) == REVOKED
    assert denied.find(claims(origin_jti="another")) is None
    assert denied.find(claims(pool_id="another")) is None


def test_a_user_is_denied_up_to_a_time_of_issue() -> None:
    denied, disabled = DenyList(), Denial("disabled", 1500.0)
    denied.deny(subject_key("pool", "sub"), disabled, 0.0)
    assert denied.find(claims(origin_jti="any", issued_at=1500.0)) == disabled
    assert denied.find(claims(issued_at=None)) == disabled
    assert denied.find(claims(issued_at=1501.0)) is None
    assert denied.find(claims(subject="another")) is None


def test_it_lives_as_long_as_a_token_can() -> None:
    denied = DenyList()
    denied.deny(family_key(claims()), REVOKED, 0.0, leeway=10.0)
    denied.deny("another", REVOKED, LONGEST_LIFE)
    assert denied.find(claims()) == REVOKED
    denied.deny("third", REVOKED, LONGEST_LIFE + 10.0)
    assert denied.find(claims()) is None
    assert len(denied) == 2


def test_it_is_bounded_and_the_oldest_go_first() -> None:
    denied = DenyList(most=3)
    for number in range(10):
        denied.deny(f"pool/origin_jti/{number}", REVOKED, float(number))
    assert len(denied) == 3
    assert denied.find(claims(origin_jti="9")) == REVOKED
    assert denied.find(claims(origin_jti="6")) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"token_use": "id"}, "id_token"),
        ({"username": None}, "no_user"),
        ({"scopes": frozenset({"openid"})}, "no_scope"),
    ],
)
def test_tokens_that_cannot_be_checked(changes: dict[str, Any], reason: str | None) -> None:
    assert unaskable(claims(**changes)) == reason
