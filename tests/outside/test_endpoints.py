"""The paths that are the gateway's own, and what it does with those that are the API's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.programs import serving, until
from tests.support.promises import Bench, problem
from tests.support.tokens import POOL_ID, access_claims, issuer_of
from tests.support.wire import Upstream


@pytest.mark.parametrize("target", ["/oauth2", "/oauth2/whatever", "/%6Fauth2/x", "/oauth2/auth/x?y"])
async def test_the_reserved_prefix_is_never_proxied(bench: Bench, target: str) -> None:
    for reply in (await bench.bearer(target), await bench.served.ask(target)):
        assert reply.status == 404
        problem(reply)
    assert bench.upstream.requests == []


# GET by a stranger, POST without our cookie and a form, OPTIONS; of the pool nothing but its keys is known.
ANSWERS = {
    "/oauth2/": (303, 303, 405),
    "/oauth2/auth": (401, 401, 401),
    "/oauth2/setup": (404, 303, 405),
    "/oauth2/sign_in": (200, 403, 405),
    "/oauth2/sign_up": (200, 403, 405),
    "/oauth2/confirm": (200, 403, 405),
    "/oauth2/forgot_password": (200, 403, 405),
    "/oauth2/challenge": (303, 403, 405),
    "/oauth2/sign_out": (303, 400, 405),
    "/oauth2/start": (404, 405, 405),
    "/oauth2/callback": (404, 405, 405),
    "/oauth2/userinfo": (401, 405, 405),
    "/oauth2/credentials": (401, 403, 405),
    "/.well-known/oauth-protected-resource": (200, 405, 405),
}


async def test_each_endpoint_answers_each_method_as_promised(bench: Bench) -> None:
    async def settled() -> bool:
        return (await bench.served.ask("/oauth2/sign_up")).status != 503

    # Nobody may read the pool's settings; until that is known, sign-up is not offered.
    await until(settled)
    seen = {}
    for path in ANSWERS:
        got = await bench.served.ask(path)
        head = await bench.served.ask(path, method="HEAD")
        assert (head.status, head.body) == (got.status, b""), path
        others = [
            await bench.served.ask(path, "Content-Length: 0", method="POST"),
            await bench.served.ask(path, method="OPTIONS"),
        ]
        seen[path] = (got.status, *(reply.status for reply in others))
        for reply in (got, *others):
            if reply.status >= 400:
                problem(reply)
            assert (reply.get("Allow") is not None) == (reply.status == 405)
    assert seen == ANSWERS
    assert bench.upstream.requests == []


async def test_not_configured(tmp_path: Path) -> None:
    routes = "routes: [{path: /open, auth: none}, {path: /either, auth: optional}]"
    pools = "  user_pools: []"
    async with (
        Upstream().running() as upstream,
        serving(tmp_path, upstream=upstream.url, pools=pools, more=routes) as served,
    ):
        for target in ("/", "/oauth2/auth", "/oauth2/userinfo"):
            for lines in ([], ["Authorization: Bearer a.b.c"]):
                reply = await served.ask(target, *lines)
                assert (reply.status, reply.get("WWW-Authenticate")) == (503, None)
                assert "http://api.test/oauth2/" in problem(reply)["detail"]
                assert reply.get("Link") == '<http://api.test/oauth2/>; rel="help"'
        assert (await served.ask("/either", "Authorization: Bearer a.b.c")).status == 503
        assert upstream.requests == []
        for target in ("/open", "/either"):
            assert (await served.ask(target)).status == 200
        for target in ("/oauth2/", "/oauth2/setup"):
            assert (await served.ask(target, "Accept: text/html")).status == 200
        browser = await served.ask("/api", "Accept: text/html", "Sec-Fetch-Mode: navigate")
        assert (browser.status, browser.get("Location")) == (302, "/oauth2/")


async def test_the_portal_sends_strangers_to_sign_in(bench: Bench) -> None:
    reply = await bench.served.ask("/oauth2/", "Accept: text/html")
    assert (reply.status, reply.get("Location")) == (303, "/oauth2/sign_in")
    assert bench.upstream.requests == []


async def test_paths_that_only_resemble_the_prefix_belong_to_the_api(bench: Bench) -> None:
    for target in ("/oauth2x", "/api/oauth2/x", "/oauth"):
        assert (await bench.bearer(target)).status == 200
        assert bench.upstream.last.target == target.encode()


@pytest.mark.parametrize(("path", "resource"), [("", "/"), ("/api/v1/config", "/api/v1/config")])
async def test_protected_resource_metadata(bench: Bench, path: str, resource: str) -> None:
    reply = await bench.served.ask(f"/.well-known/oauth-protected-resource{path}")
    assert reply.status == 200
    assert reply.get("Content-Type") == "application/json"
    document = json.loads(reply.body)
    assert document["resource"] == f"http://api.test{resource}"
    assert document["authorization_servers"] == [issuer_of(POOL_ID)]
    assert bench.upstream.requests == []


async def test_probes(bench: Bench) -> None:
    health = await bench.served.probe("/healthz")
    ready = await bench.served.probe("/readyz")
    assert (health.status, ready.status) == (200, 200)
    assert json.loads(ready.body)["status"] == "ready"
    for path in ("/metrics", "/healthz", "/readyz"):
        assert (await bench.served.ask(path)).status == 401, "they are not on the public port"


async def test_routes_that_need_no_token(bench: Bench) -> None:
    spoofed = ("X-Auth-Request-User: mallory", "X_Auth_Request_User: mallory", "X.Auth.Request.User: mallory")
    assert (await bench.served.ask("/open", "Authorization: Bearer nonsense", *spoofed)).status == 200
    assert (await bench.served.ask("/either", *spoofed)).status == 200
    assert not [line for each in bench.upstream.requests for line in each.headers if b"mallory" in line[1]]
    assert (await bench.served.ask("/either", "Authorization: Bearer nonsense")).status == 401
    assert (await bench.bearer("/either", *spoofed)).status == 200
    assert bench.upstream.last.all("X-Auth-Request-User") == [access_claims()["sub"].encode()]
    assert bench.upstream.last.get("Authorization") is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc-123._X", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("eyJhbGciOiJSUzI1NiJ9", False),
        ("a b", False),
        ("a,b", False),
        ("é", False),
    ],
)
async def test_request_ids(bench: Bench, given: str, *, kept: bool) -> None:
    refused = await bench.served.ask("/", f"X-Request-Id: {given}")
    passed = await bench.bearer("/", f"X-Request-Id: {given}")
    (at_upstream,) = bench.upstream.last.all("X-Request-Id")
    for reply, seen in ((refused, str(refused.get("X-Request-Id"))), (passed, at_upstream.decode())):
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", seen)
        assert (seen == given) == kept
        assert (await bench.log(reply, "request"))["request_id"] == seen
