"""Tokens that must be refused, each with its reason, and similar tokens that must be accepted.

Created with fresh keys for one pool and client. The attacker may hold tokens and keys of other pools and
tokens of other clients of this pool, and may even use this pool's key to sign what Cognito never would.
Checked by the verifier directly and, if they fit into a header, through the gateway's port.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from tests.support import hostile_claims, hostile_jws
from tests.support.forge import Acceptable, Forge, Hostile, of_size
from tests.support.tokens import (
    ABSENT,
    CLIENT_ID,
    POOL_ID,
    KeyPair,
    compact_json,
    updated_issuer_of,
)


def hostile_tokens(
    keypair: KeyPair, *, pool_id: str = POOL_ID, client_id: str = CLIENT_ID, now: float | None = None
) -> list[Hostile]:
    """Return tokens refused by a gateway for access tokens of this pool and client, with `keypair` as its
    only key."""
    forge = Forge(keypair, pool_id, client_id, time.time() if now is None else now)
    families = (*hostile_jws.FAMILIES, *hostile_claims.FAMILIES)
    return [hostile for family in families for hostile in family(forge)]


def hostile_id_tokens(
    keypair: KeyPair, *, pool_id: str = POOL_ID, client_id: str = CLIENT_ID, now: float | None = None
) -> list[Hostile]:
    """Return tokens refused by a gateway for ID tokens, but not access tokens, of this pool and client."""
    forge = Forge(keypair, pool_id, client_id, time.time() if now is None else now)
    return list(hostile_claims.id_tokens(forge))


def acceptable_tokens(
    keypair: KeyPair, *, pool_id: str = POOL_ID, client_id: str = CLIENT_ID, now: float | None = None
) -> list[Acceptable]:
    """Return tokens accepted where `hostile_tokens` are refused: the most similar valid one of each
    family."""
    forge = Forge(keypair, pool_id, client_id, time.time() if now is None else now)
    return [Acceptable(name, token) for name, token in _neighbours(forge)]


def acceptable_id_tokens(
    keypair: KeyPair, *, pool_id: str = POOL_ID, client_id: str = CLIENT_ID, now: float | None = None
) -> list[Acceptable]:
    """Return tokens accepted where `hostile_id_tokens` are refused."""
    forge = Forge(keypair, pool_id, client_id, time.time() if now is None else now)
    return [Acceptable(name, token) for name, token in _id_neighbours(forge)]


def _neighbours(forge: Forge) -> Iterator[tuple[str, bytes]]:
    kid, now = forge.keypair.kid, int(forge.now)
    yield "as Cognito makes it", forge.access()
    yield "updated issuer", forge.access(iss=updated_issuer_of(forge.pool_id))
    yield "largest token", of_size(forge, 16 * 1024)
    yield "header with typ", forge.header(typ="JWT")
    yield "header of an access token (RFC 9068)", forge.header(typ="at+jwt")
    yield "header members in another order", forge.header_text(compact_json({"alg": "RS256", "kid": kid}))
    yield (
        "header with white space",
        forge.header_text(json.dumps({"alg": "RS256", "kid": kid}, indent=2).encode()),
    )
    yield (
        "payload with white space",
        forge.payload_text(b" \r\n\t" + json.dumps(forge.claims()).encode() + b" "),
    )
    yield "payload with escapes", forge.payload_with(b'"\\u0061\\ud83d\\ude00":"\\u00e9\\/"')
    yield "payload in plain UTF-8", forge.payload_with('"naïve":"日本 😀"'.encode())
    yield "escaped backslash before ud800", forge.payload_with(b'"path":"C:\\\\ud800"')
    yield "brackets inside a string", forge.payload_with(b'"art":"' + b"[{" * 200 + b'"')
    yield "an escaped quote before brackets", forge.payload_with(b'"art":"\\"' + b"[" * 200 + b'"')
    yield "nested to the limit", forge.payload_with(b'"deep":' + b"[" * 15 + b"]" * 15)
    yield "many flat objects", forge.payload_with(b'"flat":[' + b",".join([b"{}"] * 100) + b"]")
    yield "integer of 20 digits", forge.payload_with(b'"big":18446744073709551615')
    yield "negative integer of 20 digits", forge.payload_with(b'"big":-99999999999999999999')
    yield "large float", forge.payload_with(b'"big":1e308')
    yield "same member name at two levels", forge.payload_with(b'"act":{"sub":"x","exp":1}')
    yield "exp one second ahead", forge.access(exp=now + 1)
    yield "exp as a fraction", forge.payload_text(compact_json(forge.claims(exp=now + 0.5 + 1)))
    yield (
        "exp in exponent form",
        forge.payload_text(compact_json(forge.claims(exp=0)).replace(b'"exp":0', b'"exp":9e9')),
    )
    yield "nbf now", forge.access(nbf=now)
    yield "iat and auth_time half a minute ahead", forge.access(iat=now + 30, auth_time=now + 30)
    yield (
        "no iat, auth_time or jti",
        forge.access(iat=ABSENT, auth_time=ABSENT, jti=ABSENT, origin_jti=ABSENT),
    )
    yield "machine to machine", forge.access(sub=forge.client_id, username=ABSENT, scope="api/read api/write")
    yield "no scope", forge.access(scope=ABSENT)
    yield "no groups", forge.access(**{"cognito:groups": []})
    yield (
        "groups with comma, space, percent and accents",
        forge.access(**{"cognito:groups": ["a,b", "two words", "100%", "équipe", "日本"]}),
    )
    yield "user name with a no-break space", forge.access(username="a\xa0b")
    yield "client ID in aud as well", forge.access(aud=[forge.client_id, "https://api.example.com"])
    yield "control characters in a claim nobody forwards", forge.access(**{"custom:note": "two\nlines"})


def _id_neighbours(forge: Forge) -> Iterator[tuple[str, bytes]]:
    yield "ID token as Cognito makes it", forge.id()
    yield "ID token without e-mail", forge.id(email=ABSENT, email_verified=ABSENT)
    yield (
        "ID token with groups and roles",
        forge.id(**{"cognito:groups": ["admins"], "cognito:roles": ["arn:aws:iam::123456789012:role/admin"]}),
    )
    yield (
        "ID token with identities",
        forge.id(identities=[{"userId": "1", "providerName": "Okta", "issuer": None, "primary": "true"}]),
    )
    yield (
        "ID token with a nonce and at_hash",
        forge.id(nonce="n-0S6_WzA2Mj", at_hash="MTIzNDU2Nzg5MDEyMzQ1Ng"),
    )
    yield "ID token with an internationalised e-mail", forge.id(email="josé@例え.jp")
