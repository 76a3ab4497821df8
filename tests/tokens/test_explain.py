"""`explain` says what the verifier says, for every token of the corpus, and more."""

from __future__ import annotations

import dataclasses

import pytest

from gateway.config.model import UserPool
from gateway.errors import NoKeys, UnknownKey
from gateway.tokens.explain import Explanation, explain
from gateway.tokens.jwk import KeySet, read_key_set
from tests.support import hostile
from tests.support.tokens import (
    CLIENT_ID,
    POOL_ID,
    KeyPair,
    access_claims,
    issuer_of,
    key_set_document,
    sign,
    updated_issuer_of,
)

NOW = 1_795_428_958.25


def pool(*uses: str) -> UserPool:
    return UserPool(
        id=POOL_ID,
        client_ids=(CLIENT_ID,),
        clients="listed",
        audiences=(),
        require_audience=False,
        token_use=uses,  # type: ignore[arg-type]  # words of the corpus, "access" and "id"
        issuers=(issuer_of(POOL_ID), updated_issuer_of(POOL_ID)),
        jwks_url="",
        jwks_file=None,
        client_secret_file=None,
        client_secret=None,
        identity_pool_id=None,
        domain=None,
    )


@pytest.fixture(scope="module")
def keypair() -> KeyPair:
    return KeyPair.generate("access-key")


@pytest.fixture(scope="module")
def keys(keypair: KeyPair) -> KeySet:
    return read_key_set(key_set_document(keypair))


def explained(token: bytes, keys: KeySet, *uses: str) -> Explanation:
    return explain(token, [pool(*uses or ("access",))], {POOL_ID: keys}, now=NOW, leeway=0.0)


def failed(explanation: Explanation) -> dict[str, str]:
    return {check.name: check.reason for check in explanation.checks if check.passed is False}


@pytest.mark.parametrize("uses", [("access",), ("id",)])
def test_every_hostile_token_is_refused_for_its_reason(
    keypair: KeyPair, keys: KeySet, uses: tuple[str, ...]
) -> None:
    make = hostile.hostile_tokens if uses == ("access",) else hostile.hostile_id_tokens
    wrong = []
    for each in make(keypair, now=NOW):
        answer = explained(each.token, keys, *uses)
        if type(answer.refusal) is not each.reason or each.reason.reason not in failed(answer).values():
            wrong.append((each.name, answer.refusal, failed(answer)))
    assert not wrong


@pytest.mark.parametrize("uses", [("access",), ("id",)])
def test_every_acceptable_token_passes_every_check(
    keypair: KeyPair, keys: KeySet, uses: tuple[str, ...]
) -> None:
    make = hostile.acceptable_tokens if uses == ("access",) else hostile.acceptable_id_tokens
    for each in make(keypair, now=NOW):
        answer = explained(each.token, keys, *uses)
        assert answer.claims is not None, each.name
        assert all(check.passed for check in answer.checks), each.name


def test_it_goes_on_behind_the_first_failure(keypair: KeyPair, keys: KeySet) -> None:
    claims = access_claims(client_id="2other", now=NOW - 7200, username="a\u0007b")
    answer = explained(sign(keypair, claims), keys, "id")
    assert failed(answer) == {
        "token use": "wrong_token_use",
        "client": "wrong_client",
        "expiry": "token_expired",
        "claims": "token_payload",
    }
    assert [check.name for check in answer.checks][:6] == [
        "size",
        "form",
        "header",
        "algorithm",
        "payload",
        "issuer",
    ]


def test_another_pool_is_named_before_its_keys_are_looked_for(keypair: KeyPair, keys: KeySet) -> None:
    token = sign(keypair, access_claims("eu-west-1_Other1234", now=NOW))
    answer = explained(token, keys)
    assert failed(answer) == {"issuer": "wrong_issuer"}
    issuer = next(check for check in answer.checks if check.name == "issuer")
    assert issuer.seen == issuer_of("eu-west-1_Other1234")
    assert issuer_of(POOL_ID) in issuer.wanted


def test_an_unknown_key_and_missing_keys_are_distinguished(keypair: KeyPair) -> None:
    token = sign(keypair, access_claims(now=NOW))
    other = read_key_set(key_set_document(KeyPair.generate("another")))
    assert isinstance(explained(token, other).refusal, UnknownKey)
    away = explain(token, [pool("access")], {POOL_ID: "timeout"}, now=NOW, leeway=0.0)
    assert isinstance(away.refusal, NoKeys)
    assert failed(away) == {"key": "no_keys"}


def test_an_ignored_key_is_named_with_its_reason(keypair: KeyPair) -> None:
    known = read_key_set(key_set_document(KeyPair.generate("good"), keypair.jwk(use="enc")))
    answer = explained(sign(keypair, access_claims(now=NOW)), known)
    assert failed(answer) == {"key": "unknown_key"}
    assert str(answer.refusal) == "the key of the token's kid is ignored: use is not sig"


def test_errors_do_not_contain_the_token(keypair: KeyPair, keys: KeySet) -> None:
    token = sign(keypair, access_claims(now=NOW))
    signature = token.rpartition(b".")[2].decode()
    assert signature[:20] not in repr(explained(token, keys))


def test_a_client_that_registered_itself_is_judged_by_its_audience(keypair: KeyPair, keys: KeySet) -> None:
    bound = dataclasses.replace(pool("access"), clients="bound", audiences=("https://api.test",))
    for aud, passed in (("https://api.test", True), ("https://other.test", False)):
        token = sign(keypair, access_claims(client_id="2registered9", aud=aud, now=NOW))
        checks = {
            each.name: each for each in explain(token, [bound], {POOL_ID: keys}, now=NOW, leeway=0.0).checks
        }
        assert checks["client"].passed
        assert "any client whose token names one of audiences" in checks["client"].wanted
        assert checks["audience"].passed is passed
