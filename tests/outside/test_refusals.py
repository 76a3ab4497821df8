"""What a client is answered whose request is not served, by the gateway or for the upstream."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.programs import pinned, serving
from tests.support.promises import Bench, problem
from tests.support.tokens import KeyPair, access_claims, issuer_of, sign
from tests.support.wire import get, once

METADATA = "http://api.test/.well-known/oauth-protected-resource"
CHALLENGE = 'Bearer realm="cognito-gateway"'


async def test_no_credentials(bench: Bench) -> None:
    for lines in ([], ["Authorization: Basic YTpi"]):
        reply = await bench.served.ask("/", *lines)
        assert reply.status == 401
        assert reply.all("WWW-Authenticate") == [f'{CHALLENGE}, resource_metadata="{METADATA}"']
        problem(reply)
        line = await bench.log(reply, "request")
        assert (line["decision"], line["reason"], line["status"]) == ("refused", "no_credentials", 401)
    assert bench.upstream.requests == []


BAD_TOKENS: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"exp": int(time.time()) - 60}, "token_expired"),
    "another client's": ({"client_id": "another0client"}, "wrong_client"),
    "one for another API": ({"aud": "https://other.example.com"}, "wrong_audience"),
    "an ID token": ({"token_use": "id"}, "wrong_token_use"),
    "another pool's": ({"iss": issuer_of("ap-south-1_Another01")}, "wrong_issuer"),
    "not yet valid": ({"nbf": int(time.time()) + 3600}, "token_not_yet_valid"),
    "without exp": ({"exp": "soon"}, "token_payload"),
}


@pytest.mark.parametrize("which", BAD_TOKENS)
async def test_a_bad_token(bench: Bench, which: str) -> None:
    changes, reason = BAD_TOKENS[which]
    reply = await bench.bearer(**changes)
    assert reply.status == 401
    body = problem(reply)
    challenge = f'{CHALLENGE}, error="invalid_token", error_description="{body["detail"]}"'
    assert reply.all("WWW-Authenticate") == [f'{challenge}, resource_metadata="{METADATA}"']
    # The client hears the class; expiry is the one thing it can do something about.
    expired = "The access token has expired."
    assert body["detail"] == (expired if which == "expired" else "The access token is invalid.")
    line = await bench.log(reply, "auth_failure")
    assert line["reason"] == reason
    assert line["exact"] != body["detail"]
    assert (await bench.log(reply, "request"))["reason"] == reason
    assert bench.upstream.requests == []


async def test_two_credentials_and_malformed_ones(bench: Bench) -> None:
    token = bench.token()
    for lines in (
        [f"Authorization: Bearer {token}", f"Authorization: Bearer {token}"],
        [f"Authorization: Bearer {token}, Basic YTpi"],
        ["Authorization: Bearer"],
        ["Authorization: Bearer a b"],
        ["Authorization:"],
    ):
        reply = await bench.served.ask("/", *lines)
        assert reply.status == 400, lines
        body = problem(reply)
        challenge = f'{CHALLENGE}, error="invalid_request", error_description="{body["detail"]}"'
        assert reply.all("WWW-Authenticate") == [f'{challenge}, resource_metadata="{METADATA}"']
    assert bench.upstream.requests == []


@pytest.mark.parametrize(
    "head",
    [
        get("/a//b"),
        get("/a/../b"),
        get("/a/%2e%2e/b"),
        get("/a%2fb"),
        get("/a;b"),
        get("/a\\b"),
        get("/a", "Content-Length: 1", "Transfer-Encoding: chunked"),
        get("/a", "Content-Length: 1", "Content-Length: 2"),
        get("/a", "Host: other.test"),
        get("/a", "X-A : 1"),
        b"GET /a HTTP/1.1\r\n\r\n",
    ],
)
async def test_ambiguous_paths_and_bad_framing(bench: Bench, head: bytes) -> None:
    authorized = head.replace(b"\r\n", f"\r\nAuthorization: Bearer {bench.token()}\r\n".encode(), 1)
    reply = await once(bench.served.port, authorized)
    assert reply.status == 400
    assert reply.get("WWW-Authenticate") is None
    problem(reply)
    assert bench.upstream.requests == []


@pytest.mark.parametrize(
    ("target", "status", "reason"),
    [
        ("/silent", 504, "upstream_timeout"),
        ("/broken", 502, "upstream_broken"),
        ("/gone", 502, "upstream_broken"),
    ],
)
async def test_the_upstream_fails(bench: Bench, target: str, status: int, reason: str) -> None:
    reply = await bench.bearer(target)
    assert reply.status == status
    assert reply.get("WWW-Authenticate") is None
    problem(reply)
    line = await bench.log(reply, "request")
    assert (line["decision"], line["reason"]) == ("allowed", reason)


async def test_the_upstream_is_not_there(tmp_path: Path) -> None:
    key = KeyPair.generate("key-1")
    async with serving(tmp_path, upstream="http://127.0.0.1:9", pools=pinned(tmp_path, key)) as served:
        reply = await served.bearer(sign(key, access_claims()))
        assert reply.status == 502
        problem(reply)
        assert (await served.ask("/")).status == 401, "decided before the upstream is asked"


async def test_methods_heads_and_bodies_that_are_too_much(bench: Bench) -> None:
    for method in ("TRACE", "CONNECT"):
        target = "api.test:443" if method == "CONNECT" else "/"
        reply = await bench.served.ask(target, f"Authorization: Bearer {bench.token()}", method=method)
        assert 400 <= reply.status < 500
    reply = await bench.bearer("/", "X-Large: " + "x" * 40_000)
    assert reply.status in {400, 431}
    assert bench.upstream.requests == []
