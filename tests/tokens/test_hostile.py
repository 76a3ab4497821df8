"""The corpus, straight against the verifier: every hostile token has its reason, every neighbour passes."""

from __future__ import annotations

from collections import Counter

import pytest

from gateway.errors import (
    InvalidToken,
    Refusal,
    TokenRevoked,
    UnknownKey,
    WrongAudience,
    WrongClient,
    WrongIssuer,
    WrongTokenUse,
)
from gateway.tokens.claims import Claims, PoolRules, decode, verify
from gateway.tokens.jwk import VerificationKey, parse_key_set
from tests.support import hostile
from tests.support.forge import Hostile
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, issuer_of, key_set_document, updated_issuer_of

NOW = 1_795_428_958.25


def rules(*uses: str) -> PoolRules:
    issuers = frozenset({issuer_of(POOL_ID), updated_issuer_of(POOL_ID)})
    return PoolRules(POOL_ID, issuers, frozenset({CLIENT_ID}), frozenset(uses))


@pytest.fixture(scope="module")
def keypair() -> KeyPair:
    return KeyPair.generate("access-key")


@pytest.fixture(scope="module")
def keys(keypair: KeyPair) -> dict[str, VerificationKey]:
    return parse_key_set(key_set_document(keypair))


@pytest.fixture(scope="module")
def corpus(keypair: KeyPair) -> list[Hostile]:
    return hostile.hostile_tokens(keypair, now=NOW)


def judge(token: bytes, keys: dict[str, VerificationKey], *uses: str) -> Claims:
    unverified = decode(token)
    key = keys.get(unverified.kid)
    if key is None:
        raise UnknownKey
    return verify(unverified, key, rules(*uses), now=NOW)


def verdict(token: bytes, keys: dict[str, VerificationKey], *uses: str) -> type[Refusal] | str | None:
    try:
        judge(token, keys, *uses)
    except Refusal as refusal:
        return type(refusal)
    except Exception as error:
        return repr(error)
    return None


def misjudged(
    corpus: list[Hostile], keys: dict[str, VerificationKey], *uses: str
) -> list[tuple[str, object, type[Refusal]]]:
    verdicts = [(each, verdict(each.token, keys, *uses)) for each in corpus]
    return [(each.name, got, each.reason) for each, got in verdicts if got is not each.reason]


def test_every_hostile_token_is_refused_for_its_reason(
    keys: dict[str, VerificationKey], corpus: list[Hostile]
) -> None:
    assert misjudged(corpus, keys, "access") == []


def test_every_hostile_id_token_is_refused_for_its_reason(
    keys: dict[str, VerificationKey], keypair: KeyPair
) -> None:
    assert misjudged(hostile.hostile_id_tokens(keypair, now=NOW), keys, "id") == []


@pytest.mark.parametrize("uses", [("access",), ("access", "id")])
def test_every_acceptable_access_token_is_accepted(
    keypair: KeyPair, keys: dict[str, VerificationKey], uses: tuple[str, ...]
) -> None:
    neighbours = hostile.acceptable_tokens(keypair, now=NOW)
    assert [each.name for each in neighbours if verdict(each.token, keys, *uses) is not None] == []


@pytest.mark.parametrize("uses", [("id",), ("access", "id")])
def test_every_acceptable_id_token_is_accepted(
    keypair: KeyPair, keys: dict[str, VerificationKey], uses: tuple[str, ...]
) -> None:
    neighbours = hostile.acceptable_id_tokens(keypair, now=NOW)
    assert [each.name for each in neighbours if verdict(each.token, keys, *uses) is not None] == []


def test_the_corpus_is_what_it_claims_to_be(keypair: KeyPair, corpus: list[Hostile]) -> None:
    assert len(corpus) >= 200
    twice = [name for name, count in Counter(each.name for each in corpus).items() if count > 1]
    assert not twice
    same = [text for text, count in Counter(each.token for each in corpus).items() if count > 1]
    assert not same
    assert sum(each.in_header for each in corpus) >= 200
    # Every way to refuse a token is asked for at least once; that it was revoked no token shows.
    assert {each.reason for each in corpus} == set(InvalidToken.__subclasses__()) - {TokenRevoked}
    acceptable = hostile.acceptable_tokens(keypair, now=NOW) + hostile.acceptable_id_tokens(keypair, now=NOW)
    assert all(each.in_header for each in acceptable)


def test_no_refusal_shows_what_the_token_said(
    keys: dict[str, VerificationKey], corpus: list[Hostile]
) -> None:
    """The log gets the check's name; the client's own text would let it write our log.

    Issuer, client and use are shown beside what was expected, quoted and cut: no reader takes them for ours.
    """
    for each in corpus:
        with pytest.raises(InvalidToken) as refusal:
            judge(each.token, keys, "access")
        shown = str(refusal.value)
        assert shown.isprintable(), each.name
        assert shown.isascii(), each.name
        if isinstance(refusal.value, (WrongIssuer, WrongAudience, WrongClient, WrongTokenUse)):
            said, _, expected = shown.partition(", expected ")
            name, _, value = said.partition(" is ")
            assert name in {"iss", "client_id", "aud", "token_use"}
            assert value in {"missing", "not a string", "a list"} or value[0] == '"', each.name
            assert len(value) <= 131
            assert expected
            continue
        for secret in (
            "evil",
            "mallory",
            "alice",
            "amazonaws",
            CLIENT_ID,
            "DROP",
            "passwd",
            "another0client",
        ):
            assert secret not in shown, each.name
        assert refusal.value.__cause__ is None
