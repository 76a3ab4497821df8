"""The signed assertion: what an upstream can verify, through sockets and by the clock."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.config.load import load
from gateway.config.model import Config
from gateway.errors import GatewayError
from gateway.gate.assertion import Signer
from gateway.tokens.claims import Claims
from tests.support.assertions import HEADER, curve, payload, pem, settings
from tests.support.running import Running, running
from tests.support.tokens import CLIENT_ID, POOL_ID, access_claims
from tests.support.wire import Client, get, once

ROOT = Path(__file__).parents[2]


def rsa_key(bits: int = 2048) -> bytes:
    return pem(rsa.generate_private_key(65537, bits))


async def key_set(gateway: Running) -> list[dict[str, str]]:
    reply = await once(gateway.port, get("/oauth2/jwks.json"))
    assert reply.status == 200
    assert reply.get("Content-Type") == "application/jwk-set+json"
    assert not any(private in reply.body for private in (b'"d"', b'"p"', b"PRIVATE"))
    keys: list[dict[str, str]] = json.loads(reply.body)["keys"]
    return keys


def verified(assertion: bytes | None, keys: list[dict[str, str]], algorithm: str) -> dict[str, Any]:
    assert assertion is not None
    kid = jwt.get_unverified_header(assertion)["kid"]
    (key,) = [each for each in keys if each["kid"] == kid]
    claims: dict[str, Any] = jwt.decode(
        assertion,
        jwt.PyJWK(key).key,
        algorithms=[algorithm],
        issuer="cognito-gateway",
        audience="orders-api",
        options={"require": ["exp", "iat", "sub", "jti"]},
    )
    return claims


@pytest.mark.parametrize(("make", "algorithm"), [(curve, "ES256"), (rsa_key, "RS256")])
async def test_the_upstream_verifies_who_it_is(tmp_path: Path, make: Any, algorithm: str) -> None:
    async with running(tmp_path, settings(tmp_path, make())) as gateway:
        groups = ["a,b", "Zoë"]
        bearer = gateway.bearer(**{"cognito:groups": groups, "scope": "api/read api/write"})
        assert (await once(gateway.port, get("/x", bearer))).status == 200
        (assertion,) = gateway.upstream.last.all(HEADER)
        claims = verified(assertion, await key_set(gateway), algorithm)
        assert {name: claims[name] for name in claims.keys() - {"iat", "exp", "jti"}} == {
            "iss": "cognito-gateway",
            "aud": "orders-api",
            "sub": access_claims()["sub"],
            "username": "alice",
            "groups": groups,
            "scope": "api/read api/write",
            "client_id": CLIENT_ID,
            "pool": POOL_ID,
        }
        assert claims["exp"] - claims["iat"] == 120
        # The same one for the same principal.
        await once(gateway.port, get("/y", bearer))
        assert gateway.upstream.last.all(HEADER) == [assertion]


@pytest.mark.parametrize("trusted", ["[]", "[127.0.0.1]"])
async def test_no_client_receives_its_assertion(tmp_path: Path, trusted: str) -> None:
    listen = f"trusted_proxies: {trusted}"
    async with running(tmp_path, settings(tmp_path, curve()), listen_lines=listen) as gateway:
        # With it they could go past the gateway, and past its routes, to an upstream that believes it.
        asked = await once(gateway.port, get("/oauth2/auth", gateway.bearer()))
        assert (asked.status, asked.get("X-Auth-Request-Preferred-Username")) == (200, "alice")
        assert asked.all(HEADER) == []
        named = ("X-Original-URL: /x", "X-Original-Method: GET")
        asked = await once(gateway.port, get("/oauth2/auth", gateway.bearer(), *named))
        assert (asked.status, len(asked.all(HEADER))) == (200, 0 if trusted == "[]" else 1)


async def test_the_documented_upstream_works(tmp_path: Path) -> None:
    page = (ROOT / "docs/upstream-identity.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (example,) = re.findall(r"```yaml\n(identity_headers:\n  assertion:\n.*?)```", page, re.DOTALL)
    settings(tmp_path, curve())
    (tmp_path / "a.key").rename(tmp_path / "assertion.key")
    async with running(tmp_path, example) as gateway:
        await once(gateway.port, get("/x", gateway.bearer()))
        headers = {name.decode(): value.decode() for name, value in gateway.upstream.last.headers}
        names: dict[str, Any] = {}
        exec(code.replace("127.0.0.1:8000", f"127.0.0.1:{gateway.port}"), names)
        who = await asyncio.to_thread(names["principal"], headers)
        assert who["sub"] == access_claims()["sub"]
        forged = headers | {HEADER: headers[HEADER][:-8] + "AAAAAAAA"}
        with pytest.raises(jwt.InvalidTokenError):
            await asyncio.to_thread(names["principal"], forged)


SPELLINGS = [HEADER, HEADER.lower(), HEADER.replace("-", "_"), HEADER.upper().replace("-", ".")]


@pytest.mark.parametrize("configured", [True, False])
async def test_a_clients_own_copy_never_arrives(tmp_path: Path, *, configured: bool) -> None:
    routes = "routes: [{path: /open, auth: none}, {path: /maybe, auth: optional}]\n"
    more = settings(tmp_path, curve()) if configured else ""
    async with running(tmp_path, routes + more) as gateway:
        forged = [f"{name}: forged" for name in SPELLINGS]
        for method in ("GET", "OPTIONS", "POST"):
            for target, lines in (("/open", []), ("/maybe", []), ("/maybe", [gateway.bearer()])):
                head = get(target, *forged, *lines, f"Connection: {HEADER}", method=method)
                assert (await once(gateway.port, head)).status == 200
                arrived = gateway.upstream.last
                assert b"forged" not in arrived.head
                assert len(arrived.all(HEADER)) == (1 if configured and lines else 0)


async def test_another_header_is_stripped_as_well(tmp_path: Path) -> None:
    yaml = settings(tmp_path, curve(), more=", header: X-Who-Signed")
    async with running(tmp_path, yaml + "routes: [{path: /open, auth: none}]\n") as gateway:
        await once(gateway.port, get("/open", "x_who_signed: forged", "X-Who.Signed: forged"))
        assert b"forged" not in gateway.upstream.last.head
        await once(gateway.port, get("/x", "x_who_signed: forged", gateway.bearer()))
        (assertion,) = gateway.upstream.last.all("X-Who-Signed")
        verified(assertion, await key_set(gateway), "ES256")


async def test_the_keys_are_for_reading_and_there_only_when_configured(tmp_path: Path) -> None:
    async with running(tmp_path, settings(tmp_path, curve()) + "sign_in: {enabled: false}\n") as gateway:
        assert len(await key_set(gateway)) == 1
        reply = await once(gateway.port, get("/oauth2/jwks.json", method="POST"))
        assert (reply.status, reply.get("Allow")) == (405, "GET, HEAD")
        assert (await once(gateway.port, get("/oauth2/jwks.json/x"))).status == 404
        head = await once(gateway.port, get("/oauth2/jwks.json", method="HEAD"), method="HEAD")
        assert head.status == 200
    async with running(tmp_path) as gateway:
        assert (await once(gateway.port, get("/oauth2/jwks.json"))).status == 404


async def test_a_new_key_signs_and_both_are_published(tmp_path: Path) -> None:
    old, new = curve(), rsa_key()
    async with running(tmp_path, settings(tmp_path, old)) as gateway:
        async with await Client.connect(gateway.port) as client:
            bearer = gateway.bearer()
            await client.ask(get("/x", bearer))
            first = gateway.upstream.last.get(HEADER)
            settings(tmp_path, new, old)
            await gateway.worker.reload(gateway.worker.config)
            await client.ask(get("/x", bearer))
            second = gateway.upstream.last.get(HEADER)
            keys = await key_set(gateway)
            assert [key["alg"] for key in keys] == ["RS256", "ES256"]
            verified(first, keys, "ES256")
            verified(second, keys, "RS256")
            # What is broken changes nothing.
            (tmp_path / "a.key").write_bytes(b"nonsense")
            with pytest.raises(GatewayError, match="contains no private key"):
                await gateway.worker.reload(gateway.worker.config)
            await client.ask(get("/x", bearer))
            assert gateway.upstream.last.get(HEADER) == second


async def test_verified_tokens_stay_remembered_where_the_keys_are_the_same(tmp_path: Path) -> None:
    async with running(tmp_path, settings(tmp_path, curve())) as gateway:
        bearer = gateway.bearer()
        await once(gateway.port, get("/x", bearer))
        before = gateway.upstream.last.get(HEADER)
        await gateway.worker.reload(gateway.worker.config)
        await once(gateway.port, get("/x", bearer))
        assert gateway.upstream.last.get(HEADER) == before


# --- by the clock ---


def configuration(folder: Path, *keys: bytes, more: str = "", leeway: str = "0s") -> Config:
    path = folder / "gateway.yaml"
    path.write_text(settings(folder, *keys, more=more) + f"cognito: {{clock_leeway: {leeway}}}\n")
    return load(path, {}).config


def signer(config: Config) -> Signer:
    assert config.identity_headers.assertion is not None
    return Signer(config, config.identity_headers.assertion)


def of(expires_at: float, **changes: Any) -> Claims:
    values: Mapping[str, Any] = {
        **dict.fromkeys(Claims._fields),
        "subject": "s",
        "pool_id": "eu_1",
        "client_id": "c",
        "groups": (),
        "scopes": frozenset(),
        "expires_at": expires_at,
        "unverified": (),
        **changes,
    }
    return Claims(**values)


def test_one_is_used_until_a_quarter_of_its_life_is_left(tmp_path: Path) -> None:
    assertion = signer(configuration(tmp_path, curve(), more=", lifetime: 100s")).assertion(of(10_000.0))
    first = assertion.line(1000.0)
    assert (payload(first)["iat"], payload(first)["exp"]) == (1000, 1100)
    assert assertion.line(1074.9) == first
    second = assertion.line(1075.0)
    assert payload(second)["exp"] == 1175
    assert payload(second)["jti"] != payload(first)["jti"]


def test_no_assertion_outlives_its_token_or_is_signed_for_every_request_at_its_end(tmp_path: Path) -> None:
    assertion = signer(configuration(tmp_path, curve(), more=", lifetime: 100s")).assertion(of(1030.0))
    first = assertion.line(1000.0)
    assert payload(first)["exp"] == 1030
    assert assertion.line(1029.9) == first


def test_leeway_stretches_it_as_it_does_the_token(tmp_path: Path) -> None:
    config = configuration(tmp_path, curve(), more=", lifetime: 100s", leeway="60s")
    assertion = signer(config).assertion(of(1000.0))
    first = assertion.line(1010.0)
    assert payload(first)["exp"] == 1060
    assert assertion.line(1059.0) == first


def test_hostile_claims_stay_claims(tmp_path: Path) -> None:
    hostile = 'x"\r\n\0é\u2028, X-Auth-Request-User: root'
    made = signer(configuration(tmp_path, curve()))
    line = made.assertion(of(5000.0, subject=hostile, groups=(hostile, "a,b"), email=hostile)).line(1000.0)
    assert line.isascii()
    assert line.count(b"\r\n") == 1
    assert payload(line)["sub"] == hostile
    assert payload(line)["groups"] == [hostile, "a,b"]


def test_the_default_audience_and_issuer(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    for upstream, audience in (
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("https://api.internal:443/", "https://api.internal"),
        ("unix:/run/api.sock", "unix:/run/api.sock"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ):
        text = settings(tmp_path, curve()).replace(", audience: orders-api", "")
        path.write_text(
            text + f"upstream: {{url: '{upstream}'}}\nlisten: {{public_url: https://api.example.com}}\n"
        )
        claims = payload(signer(load(path, {}).config).assertion(of(5000.0)).line(1000.0))
        assert (claims["iss"], claims["aud"]) == ("https://api.example.com", audience)


def test_the_same_file_is_the_same_signer_and_another_is_not(tmp_path: Path) -> None:
    old, new = curve(), curve()
    one = signer(configuration(tmp_path, old))
    assert one == signer(configuration(tmp_path, old))
    assert one != signer(configuration(tmp_path, old, new))
    assert one != signer(configuration(tmp_path, new))
    assert one != SimpleNamespace()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "contains no private key: use PEM"),
        (pem(ec.generate_private_key(ec.SECP256R1()), b"hunter2"), "the key is encrypted"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "must be EC P-256"),
        (rsa_key(1024), "must be EC P-256"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "an unreadable private key"),
    ],
)
def test_an_unusable_key_file_is_reported(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(GatewayError, match=told) as caught:
        signer(configuration(tmp_path, content))
    assert str(tmp_path / "a.key") in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_nothing_secret_is_shown(tmp_path: Path) -> None:
    made = signer(configuration(tmp_path, curve()))
    assert re.fullmatch(r"<Signer ES256, key [\w-]{43}>", repr(made))
    assert "private" not in repr(made.key)
