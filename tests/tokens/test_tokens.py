from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import (
    BadSignature,
    InvalidToken,
    TokenExpired,
    TokenNotYetValid,
    TokenPayloadRefused,
    WrongClient,
    WrongIssuer,
    WrongTokenUse,
)
from gateway.tokens.claims import Claims, PoolRules, decode, verify
from gateway.tokens.jwk import VerificationKey, parse_key_set
from tests.support.tokens import (
    ABSENT,
    CLIENT_ID,
    POOL_ID,
    KeyPair,
    access_claims,
    base64url,
    compact_json,
    id_claims,
    issuer_of,
    key_set_document,
    sign,
    sign_raw,
    updated_issuer_of,
)

NOW = 1_795_428_958.25
RULES = PoolRules(
    POOL_ID,
    frozenset({issuer_of(POOL_ID), updated_issuer_of(POOL_ID)}),
    frozenset({CLIENT_ID, "2second34567890"}),
    frozenset({"access", "id"}),
)

Check = Callable[..., Claims]


@pytest.fixture(scope="module")
def keypair() -> KeyPair:
    return KeyPair.generate("access-key")


@pytest.fixture(scope="module")
def key(keypair: KeyPair) -> VerificationKey:
    return parse_key_set(key_set_document(keypair))[keypair.kid]


@pytest.fixture
def check(keypair: KeyPair, key: VerificationKey) -> Check:
    def run(claims: dict[str, Any], rules: PoolRules = RULES, now: float = NOW, **more: Any) -> Claims:
        return verify(decode(sign(keypair, claims)), key, rules, now=now, **more)

    return run


def test_access_token(check: Check) -> None:
    more: dict[str, Any] = {"cognito:groups": ["admins", "a,b"]}
    said = access_claims(now=NOW, scope="openid api/read  api/write", **more)
    claims = check(said)
    assert claims.pool_id == POOL_ID
    assert claims.issuer == issuer_of(POOL_ID)
    assert claims.subject == said["sub"]
    assert claims.token_use == "access"
    assert claims.client_id == CLIENT_ID
    assert claims.username == "alice"
    assert claims.email is None
    assert claims.groups == ("admins", "a,b")
    assert claims.scopes == {"openid", "api/read", "api/write"}
    assert (claims.expires_at, claims.issued_at) == (int(NOW) + 3600, int(NOW))
    assert (claims.jti, claims.origin_jti) == (said["jti"], said["origin_jti"])
    assert claims.kid == "access-key"
    assert claims.every == said


def test_id_token(check: Check) -> None:
    said = id_claims(client_id="2second34567890", now=NOW, iss=updated_issuer_of(POOL_ID))
    claims = check(said)
    assert claims.issuer == updated_issuer_of(POOL_ID)
    assert claims.token_use == "id"
    assert claims.client_id == "2second34567890"
    assert claims.username == "alice"
    assert claims.email == "alice@example.com"
    assert claims.groups == ()
    assert claims.scopes == frozenset()
    assert claims.every == said


def test_each_use_has_its_own_user_name_and_email(check: Check) -> None:
    """A claim that a Lambda added to the other kind of token is no identity."""
    more: dict[str, Any] = {"cognito:username": "admin"}
    access = check(access_claims(now=NOW, email="admin@example.com", **more))
    assert (access.username, access.email) == ("alice", None)
    identity = check({**id_claims(now=NOW), "username": "admin"})
    assert identity.username == "alice"


def test_machine_to_machine_has_no_user_name(check: Check) -> None:
    claims = check(access_claims(now=NOW, sub=CLIENT_ID) | {"scope": "api/read"})
    assert claims.subject == CLIENT_ID
    said = access_claims(now=NOW)
    for name in ("username", "scope", "iat", "jti", "origin_jti", "auth_time"):
        del said[name]
    claims = check(said)
    assert (claims.username, claims.jti, claims.origin_jti, claims.issued_at) == (None, None, None, None)
    assert claims.scopes == frozenset()


def test_scopes_are_separated_by_spaces_alone(check: Check) -> None:
    assert check(access_claims(now=NOW, scope="a\xa0b c")).scopes == {"a\xa0b", "c"}
    assert check(access_claims(now=NOW, scope="")).scopes == frozenset()


def test_nobody_writes_into_all_claims(check: Check) -> None:
    claims = check(access_claims(now=NOW))
    claims.every["sub"] = "mallory"  # type: ignore[index]
    assert claims.every["sub"] == claims.subject != "mallory"


def test_a_dot_names_a_member_of_an_object(check: Check) -> None:
    act = {"sub": "agent", "act": {"sub": "first"}}
    said = access_claims(now=NOW, act=act) | {"a.b": "exact", "a": {"b": "in"}}
    names = ["act.sub", "act.act.sub", "act.none", "sub.x", "a.b", "act.sub.x", "act."]
    found = check(said).named(names, unverified=False)
    assert found == {"act.sub": "agent", "act.act.sub": "first", "a.b": "exact"}


def test_expiry_is_exact_and_leeway_only_where_asked_for(check: Check) -> None:
    claims = access_claims(now=NOW, exp=1000, iat=900, auth_time=900)
    assert check(claims, now=999.999).expires_at == 1000
    for now in (1000, 1000.0, 1000.001, 2000):
        with pytest.raises(TokenExpired):
            check(claims, now=now)
    assert check(claims, now=1004.9, leeway=5.0)
    with pytest.raises(TokenExpired):
        check(claims, now=1005.0, leeway=5.0)


def test_nbf_is_exact_and_leeway_only_where_asked_for(check: Check) -> None:
    claims = access_claims(now=1000, nbf=1000)
    assert check(claims, now=1000)
    with pytest.raises(TokenNotYetValid, match="nbf"):
        check(claims, now=999.9)
    assert check(claims, now=995, leeway=5.0)
    with pytest.raises(TokenNotYetValid, match="nbf"):
        check(claims, now=994.9, leeway=5.0)


@pytest.mark.parametrize("name", ["iat", "auth_time"])
def test_clocks_may_drift_a_minute(check: Check, name: str) -> None:
    claims = access_claims(now=1000) | {name: 1060}
    assert check(claims, now=1000)
    with pytest.raises(TokenNotYetValid, match=name):
        check(claims | {name: 1061}, now=1000)


def test_rules_name_what_is_accepted_and_nothing_else_is(check: Check) -> None:
    access, identity = access_claims(now=NOW), id_claims(now=NOW)
    only_access = dataclasses.replace(RULES, token_uses=frozenset({"access"}))
    only_id = dataclasses.replace(RULES, token_uses=frozenset({"id"}))
    assert check(access, only_access)
    assert check(identity, only_id)
    with pytest.raises(WrongTokenUse):
        check(identity, only_access)
    with pytest.raises(WrongTokenUse):
        check(access, only_id)
    for nothing, refusal in (
        (dataclasses.replace(RULES, issuers=frozenset()), WrongIssuer),
        (dataclasses.replace(RULES, client_ids=frozenset()), WrongClient),
        (dataclasses.replace(RULES, token_uses=frozenset()), WrongTokenUse),
        (dataclasses.replace(RULES, issuers=frozenset({issuer_of("eu-west-1_Other")})), WrongIssuer),
    ):
        with pytest.raises(refusal):
            check(access, nothing)


def test_a_use_that_cognito_does_not_know_is_refused_whatever_the_rules_say(check: Check) -> None:
    rules = dataclasses.replace(RULES, token_uses=frozenset({"access", "refresh"}))
    for name in ("client_id", "aud"):
        with pytest.raises(WrongTokenUse):
            check(access_claims(now=NOW) | {"token_use": "refresh", name: CLIENT_ID}, rules)


def test_the_signature_is_judged_before_any_claim(key: VerificationKey) -> None:
    """What a forged token says decides nothing, not even which refusal it gets."""
    forger = KeyPair.generate("access-key", serial=1)
    for claims in (access_claims(now=0), access_claims(pool_id="eu-west-1_Other"), {"exp": "x"}, {}):
        with pytest.raises(BadSignature):
            verify(decode(sign(forger, claims)), key, RULES, now=NOW)


def test_issuer_is_judged_again_after_the_signature(keypair: KeyPair, key: VerificationKey) -> None:
    """Pool A's key under pool B's issuer: what `decode` said only chose which rules to ask."""
    unverified = decode(sign(keypair, access_claims(pool_id="eu-west-1_Other", now=NOW)))
    believed = unverified._replace(unverified_issuer=issuer_of(POOL_ID))
    with pytest.raises(WrongIssuer):
        verify(believed, key, RULES, now=NOW)


def test_decode_names_the_issuer_or_none(keypair: KeyPair) -> None:
    for issuer in (issuer_of(POOL_ID), "", "https://evil.example"):
        unverified = decode(sign(keypair, access_claims(iss=issuer)))
        assert (unverified.unverified_issuer, unverified.kid) == (issuer, keypair.kid)
    nothings: tuple[Any, ...] = (ABSENT, None, 1, [issuer_of(POOL_ID)], {})
    for nothing in nothings:
        assert decode(sign(keypair, access_claims(iss=nothing))).unverified_issuer is None


@pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0)])
def test_no_control_character_gets_into_what_is_passed_on(check: Check, code: int) -> None:
    for name in ("sub", "username", "scope", "jti", "origin_jti"):
        with pytest.raises(TokenPayloadRefused, match=f"{name} contains control characters"):
            check(access_claims(now=NOW) | {name: f"a{chr(code)}b"})
    with pytest.raises(TokenPayloadRefused, match="cognito:groups contains control"):
        check(access_claims(now=NOW) | {"cognito:groups": ["a", f"a{chr(code)}b"]})
    for name in ("email", "cognito:username"):
        with pytest.raises(TokenPayloadRefused, match=f"{name} contains control characters"):
            check(id_claims(now=NOW) | {name: f"a{chr(code)}b"})


def test_repr_shows_who_and_until_when_and_nothing_else(keypair: KeyPair, check: Check) -> None:
    said = id_claims(now=NOW, sub="the-subject") | {"custom:secret": "hunter2", "nonce": "the-nonce"}
    claims = check(said)
    assert repr(claims) == f"<Claims of the-subject in {POOL_ID}, use id, until {int(NOW) + 3600}>"
    unverified = decode(sign(keypair, said))
    for shown in (repr(claims), str(claims), repr(unverified), str(unverified)):
        for secret in ("hunter2", "alice", "the-nonce", said["jti"], said["origin_jti"], "access-key", "eyJ"):
            assert secret not in shown
    assert "the-subject" not in repr(unverified)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(CLIENT_ID),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from([*access_claims(), *id_claims(), "cognito:groups", "nbf"])


@given(st.dictionaries(NAMES, JSON, max_size=4), st.sampled_from([access_claims, id_claims]))
def test_whatever_a_signed_token_claims_it_is_verified_or_refused(
    changes: dict[str, Any], kind: Callable[..., dict[str, Any]]
) -> None:
    keypair = KeyPair.generate("access-key")
    key = parse_key_set(key_set_document(keypair))[keypair.kid]
    said = {**kind(now=NOW), **changes}
    try:
        claims = verify(decode(sign(keypair, said)), key, RULES, now=NOW)
    except InvalidToken:
        return
    assert claims.expires_at > NOW
    assert claims.issuer in RULES.issuers
    assert claims.client_id in RULES.client_ids
    assert claims.token_use in RULES.token_uses
    passed_on = (claims.subject, claims.username, claims.email, *claims.groups, *claims.scopes)
    assert all(isinstance(text, str) for text in passed_on if text is not None)
    assert claims.subject


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_as_a_token(token: bytes) -> None:
    with pytest.raises(InvalidToken):
        decode(token)


@given(st.binary(max_size=120), st.binary(max_size=120))
def test_any_header_and_any_payload_are_refused(header: bytes, payload: bytes) -> None:
    with pytest.raises(InvalidToken):
        decode(b".".join((base64url(header), base64url(payload), b"c2ln")))
    good = base64url(compact_json({"kid": "k", "alg": "RS256"}))
    # With a bracket in front it is no object, whatever it is.
    with pytest.raises(TokenPayloadRefused):
        decode(b".".join((good, base64url(b"[" + payload), b"c2ln")))


def test_a_payload_that_is_no_object_is_refused(keypair: KeyPair) -> None:
    good = compact_json({"kid": keypair.kid, "alg": "RS256"})
    for payload in (b"", b"[]", b"1", b"null", b'"{}"', b"[{}]"):
        with pytest.raises(TokenPayloadRefused):
            decode(sign_raw(keypair, good, payload))
