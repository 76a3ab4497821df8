"""Access tokens that are bound to a resource (RFC 8707): whose they are, and whose clients may bring them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from gateway.errors import InvalidToken, TokenPayloadRefused, WrongAudience, WrongClient
from gateway.tokens.claims import Claims, PoolRules, decode, limited, verify
from gateway.tokens.jwk import read_key_set
from tests.support.tokens import (
    ABSENT,
    CLIENT_ID,
    POOL_ID,
    KeyPair,
    access_claims,
    id_claims,
    issuer_of,
    key_set_document,
    sign,
)

NOW = 1_800_000_000.0
API = "https://api.example.com/mcp"
OTHER_API = "https://other.example.com"
OTHER_CLIENT = "2registered9at8run7time"

LISTED = PoolRules(
    POOL_ID, frozenset({issuer_of(POOL_ID)}), frozenset({CLIENT_ID}), frozenset({"access"}), frozenset({API})
)
BOUND = dataclasses.replace(LISTED, any_bound_client=True)
REQUIRED = dataclasses.replace(LISTED, require_audience=True)
NO_AUDIENCES = dataclasses.replace(LISTED, audiences=frozenset())
ONLY_BOUND = dataclasses.replace(BOUND, client_ids=frozenset())

KEYPAIR = KeyPair.generate("access")
(KEY,) = read_key_set(key_set_document(KEYPAIR)).keys.values()


def check(rules: PoolRules, client_id: str, aud: Any) -> Claims:
    token = sign(KEYPAIR, access_claims(client_id=client_id, aud=aud, now=NOW))
    return verify(decode(token), KEY, rules, now=NOW)


@pytest.mark.parametrize(
    ("rules", "client_id", "aud"),
    [
        (LISTED, CLIENT_ID, ABSENT),
        (LISTED, CLIENT_ID, API),
        (LISTED, CLIENT_ID, [OTHER_API, API]),
        (LISTED, CLIENT_ID, CLIENT_ID),
        (NO_AUDIENCES, CLIENT_ID, [CLIENT_ID]),
        (REQUIRED, CLIENT_ID, API),
        (REQUIRED, CLIENT_ID, [CLIENT_ID, API]),
        (BOUND, CLIENT_ID, ABSENT),
        (BOUND, OTHER_CLIENT, API),
        (BOUND, OTHER_CLIENT, [OTHER_CLIENT, API]),
        (ONLY_BOUND, CLIENT_ID, API),
    ],
)
def test_a_token_that_is_ours(rules: PoolRules, client_id: str, aud: Any) -> None:
    assert check(rules, client_id, aud).client_id == client_id


@pytest.mark.parametrize(
    ("rules", "client_id", "aud", "refusal"),
    [
        (LISTED, CLIENT_ID, OTHER_API, WrongAudience),
        (LISTED, CLIENT_ID, [], WrongAudience),
        (LISTED, CLIENT_ID, API + "/", WrongAudience),
        (LISTED, CLIENT_ID, API.upper(), WrongAudience),
        (LISTED, CLIENT_ID, f"{API} {OTHER_API}", WrongAudience),
        (NO_AUDIENCES, CLIENT_ID, API, WrongAudience),
        (REQUIRED, CLIENT_ID, ABSENT, WrongAudience),
        (REQUIRED, CLIENT_ID, CLIENT_ID, WrongAudience),
        (LISTED, OTHER_CLIENT, API, WrongClient),
        # Never by its own client ID alone.
        (BOUND, OTHER_CLIENT, OTHER_CLIENT, WrongAudience),
        (BOUND, OTHER_CLIENT, CLIENT_ID, WrongAudience),
        (BOUND, OTHER_CLIENT, OTHER_API, WrongAudience),
        (BOUND, OTHER_CLIENT, ABSENT, WrongClient),
        (ONLY_BOUND, CLIENT_ID, CLIENT_ID, WrongAudience),
        (LISTED, CLIENT_ID, 1, TokenPayloadRefused),
        (LISTED, CLIENT_ID, None, TokenPayloadRefused),
        (BOUND, OTHER_CLIENT, [API, 1], TokenPayloadRefused),
        (BOUND, OTHER_CLIENT, {"aud": API}, TokenPayloadRefused),
    ],
)
def test_a_token_that_is_not(rules: PoolRules, client_id: str, aud: Any, refusal: type[InvalidToken]) -> None:
    with pytest.raises(refusal):
        check(rules, client_id, aud)


def test_id_tokens_name_their_client_as_before() -> None:
    rules = dataclasses.replace(BOUND, token_uses=frozenset({"id"}))
    assert verify(decode(sign(KEYPAIR, id_claims(now=NOW))), KEY, rules, now=NOW).client_id == CLIENT_ID
    for aud in (API, OTHER_CLIENT, [CLIENT_ID]):
        with pytest.raises(WrongClient):
            verify(decode(sign(KEYPAIR, id_claims(now=NOW, aud=aud))), KEY, rules, now=NOW)


@pytest.mark.parametrize(
    ("scope", "kept"),
    [("openid orders/read", "orders/read"), ("openid", ""), (ABSENT, None)],
)
def test_consented_scopes_limit_those_of_a_token(scope: Any, kept: str | None) -> None:
    token = sign(KEYPAIR, access_claims(scope=scope, now=NOW))
    claims = limited(verify(decode(token), KEY, LISTED, now=NOW), frozenset({"orders/read", "orders/write"}))
    assert claims.scopes == frozenset((kept or "").split())
    assert claims.every.get("scope") == kept
