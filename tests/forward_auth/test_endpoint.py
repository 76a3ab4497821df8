"""`/oauth2/auth` on a real socket, asked as each proxy asks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.forward_auth import ROUTES, STYLES, asked_gateway, keyless
from tests.support.key_server import KeyServer
from tests.support.running import Running, logged, running
from tests.support.wire import Client, Reply, get, once


async def ask(gateway: Running, style: str, target: str, *lines: str, method: str = "GET") -> Reply:
    """Ask about `method target` as this proxy does, with these headers of its client."""
    if style == "envoy":
        return await once(gateway.port, get(f"/oauth2/auth{target}", *lines, method=method), method=method)
    names = {
        "nginx": ("X-Original-URL", "X-Original-Method"),
        "traefik": ("X-Forwarded-Uri", "X-Forwarded-Method"),
    }[style]
    return await once(
        gateway.port,
        get("/oauth2/auth", f"{names[0]}: {target}", f"{names[1]}: {method}", *lines),
    )


@pytest.mark.parametrize("style", STYLES)
async def test_the_routes_decide_by_the_original_request(style: str, tmp_path: Path) -> None:
    async with asked_gateway(tmp_path) as gateway:
        user, admin = gateway.bearer(), gateway.bearer(**{"cognito:groups": ["admins"]})
        for target, method, lines, status in (
            ("/public/x", "GET", (), 200),
            ("/public/x?y=/admin/", "DELETE", (), 200),
            ("/form", "GET", (), 200),
            ("/form", "HEAD", (), 200),
            ("/form", "POST", (), 401),
            ("/form", "OPTIONS", (), 401),
            ("/maybe", "GET", (), 200),
            ("/maybe", "GET", ("Authorization: Bearer x.y.z",), 401),
            ("/api", "GET", (), 401),
            ("/api?x=/public/", "GET", (), 401),
            ("/api", "POST", (user,), 200),
            ("/admin/x", "GET", (user,), 403),
            ("/admin/x", "GET", (admin,), 200),
            ("/admin", "PUT", (user,), 403),
        ):
            reply = await ask(gateway, style, target, *lines, method=method)
            assert (target, method, reply.status) == (target, method, status)
            assert reply.get("Location") is None
        assert not gateway.upstream.requests


@pytest.mark.parametrize("style", STYLES)
async def test_whatever_the_path_hides_is_refused_as_the_proxying_gateway_refuses(
    style: str, tmp_path: Path
) -> None:
    async with asked_gateway(tmp_path) as gateway:
        for target in (
            "/public/../admin/x",
            "/public/%2e%2e/admin/x",
            "/public/..%2fadmin",
            "/public/.%2e/admin",
            "/public\\..\\admin",
            "/public/..;/admin",
            "//admin",
            "/public//x",
            "/public/%252e%252e/admin",
            "/public/%zz",
            "/public/%00",
            "/public/%0d%0aX: y".replace(" ", "%20"),
            "/oauth2/sign_in",
            "/oauth2/auth",
            "/.well-known/oauth-protected-resource",
        ):
            for lines in ((), (gateway.bearer(),)):
                reply = await ask(gateway, style, target, *lines)
                assert (target, reply.status) == (target, 403)


@pytest.mark.parametrize("style", STYLES)
async def test_yes_comes_with_the_identity_and_no_with_challenge_and_problem(
    style: str, tmp_path: Path
) -> None:
    async with asked_gateway(tmp_path) as gateway:
        groups = ["admins", "a,b"]
        yes = await ask(gateway, style, "/admin/x", gateway.bearer(**{"cognito:groups": groups}))
        assert yes.status == 200
        assert yes.get("X-Auth-Request-Groups") == "admins,a%2Cb"
        assert yes.get("X-Auth-Request-User")
        assert yes.get("Cache-Control") == "no-store"
        assert yes.body == b""
        open_route = await ask(
            gateway,
            style,
            "/public/x",
            gateway.bearer(),
            "X-Auth-Request-User: root",
        )
        assert open_route.status == 200
        assert b"auth-request" not in open_route.head.lower()

        nobody = await ask(gateway, style, "/api")
        challenge = nobody.get("WWW-Authenticate") or ""
        assert challenge.startswith('Bearer realm="cognito-gateway", resource_metadata=')
        assert challenge.endswith('/.well-known/oauth-protected-resource/api"')
        assert "error=" not in challenge
        assert nobody.get("Content-Type") == "application/problem+json"
        assert json.loads(nobody.body)["status"] == 401

        user = await ask(gateway, style, "/admin/x", gateway.bearer())
        assert (user.status, 'error="insufficient_scope"' in (user.get("WWW-Authenticate") or "")) == (
            403,
            True,
        )

        two = await ask(gateway, style, "/api", gateway.bearer(), gateway.bearer())
        assert two.status == 401  # 400 would be a 500 of nginx
        assert 'error="invalid_request"' in (two.get("WWW-Authenticate") or "")
        problem = json.loads(two.body)
        assert (problem["status"], problem["title"]) == (401, "Unauthorized")


async def test_the_challenge_names_the_original_host(tmp_path: Path) -> None:
    async with asked_gateway(tmp_path) as gateway:
        whole = await once(
            gateway.port,
            get("/oauth2/auth", "X-Original-URL: https://api.example.com/a?b", "X-Original-Method: GET"),
        )
        parts = await once(
            gateway.port,
            get(
                "/oauth2/auth",
                "X-Forwarded-Uri: /a?b",
                "X-Forwarded-Method: GET",
                "X-Forwarded-Host: api.example.com",
                "X-Forwarded-Proto: https",
            ),
        )
        for reply in (whole, parts):
            assert (reply.get("WWW-Authenticate") or "").endswith(
                'resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/a"'
            )


async def test_from_peers_that_are_not_trusted_the_original_request_is_ignored(tmp_path: Path) -> None:
    async with running(tmp_path, ROUTES) as gateway:
        named = ("X-Original-URL: /public/x", "X-Original-Method: GET")
        for lines in ((), named, ("X-Forwarded-Uri: /public/x", "X-Forwarded-Method: GET"), named[:1]):
            reply = await once(gateway.port, get("/oauth2/auth", *lines))
            assert reply.status == 401
            # Not even to find out what a token may do: "a valid token" is the question.
            reply = await once(gateway.port, get("/oauth2/auth", *lines, gateway.bearer()))
            assert reply.status == 200
        named = ("X-Original-URL: /admin/x", "X-Original-Method: GET")
        assert (await once(gateway.port, get("/oauth2/auth", *named, gateway.bearer()))).status == 200
        for target in ("/oauth2/auth/public/x", "/oauth2/auth/", "/oauth2/authx", "/oauth2/%61uth"):
            reply = await once(gateway.port, get(target, gateway.bearer()))
            assert (target, reply.status) == (target, 404)
        assert not gateway.upstream.requests


async def test_without_a_named_request_any_method_asks_for_a_valid_token(tmp_path: Path) -> None:
    # A route that opens everything opens nothing that nobody named.
    async with asked_gateway(tmp_path, "routes: [{path: /**, auth: none}]") as gateway:
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"):
            reply = await once(gateway.port, get("/oauth2/auth", method=method), method=method)
            assert (method, reply.status) == (method, 401)
            reply = await once(
                gateway.port, get("/oauth2/auth", gateway.bearer(), method=method), method=method
            )
            assert (method, reply.status) == (method, 200)


async def test_headers_that_name_two_requests_or_half_of_one_are_refused(tmp_path: Path) -> None:
    async with asked_gateway(tmp_path) as gateway:
        named = ("X-Original-URL: /admin/x", "X-Original-Method: GET")
        other = ("X-Forwarded-Uri: /public/x", "X-Forwarded-Method: GET")
        for lines in (
            (*named, *other),
            (*named, "X-Original-URL: /public/x"),
            (*named, "X-Original-Method: OPTIONS"),
            (*named, "Connection: X-Original-URL"),
            (*named, "Connection: X-Original-URL, X-Original-Method"),
            ("X-Original-Method: OPTIONS",),
            ("X-Original-URL: /public/x",),
            ("X-Original-URL: https://a?/public/x", "X-Original-Method: GET"),
        ):
            for token in ((), (gateway.bearer(),)):
                reply = await once(gateway.port, get("/oauth2/auth", *lines, *token))
                assert (lines, reply.status) == (lines, 403)
        reply = await once(gateway.port, get("/oauth2/auth/public/x", *named, gateway.bearer()))
        assert reply.status == 403


async def test_other_servers_words_for_an_original_path_open_nothing(tmp_path: Path) -> None:
    """Neither at the endpoint nor when the gateway proxies, trusted or not."""
    async with asked_gateway(tmp_path) as gateway:
        for line in (
            "X-Rewrite-URL: /public/x",
            "X-HTTP-Method-Override: OPTIONS",
            "X-Original-Method: OPTIONS",
            "X-Original-URL: /public/x",
            "X-Original-URI: /public/x",
            "X_Original_URL: /public/x",
            "X-Forwarded-Uri: /public/x",
            "X-Forwarded-Prefix: /public",
            "X-Auth-Request-Redirect: /public/x",
            "User-Agent: kube-probe/1.30",
            "User-Agent: ELB-HealthChecker/2.0",
            "User-Agent: GoogleHC/1.0",
        ):
            for target in ("/api", "/admin/x"):
                assert (await once(gateway.port, get(target, line))).status == 401
            assert (await once(gateway.port, get("/oauth2/auth", line))).status in {401, 403}
        assert not gateway.upstream.requests


async def test_answers_do_not_wait_for_a_body_that_was_promised(tmp_path: Path) -> None:
    async with asked_gateway(tmp_path) as gateway:
        named = ("X-Original-URL: /public/x", "X-Original-Method: POST")
        for lines in (
            ("Content-Length: 5",),
            ("Transfer-Encoding: chunked",),
            ("Content-Length: 5", "Expect: 100-continue"),
        ):
            async with await Client.connect(gateway.port) as client:
                reply = await client.ask(get("/oauth2/auth", *named, *lines, method="POST"))
                assert (reply.status, reply.get("Connection")) == (200, "close")
                # What comes now is no second request.
                await client.send(get("/oauth2/auth", gateway.bearer()))
                assert await client.closed()
        async with await Client.connect(gateway.port) as client:
            for _ in range(3):
                body = get("/oauth2/auth", *named, "Content-Length: 5", method="POST") + b"hello"
                reply = await client.ask(body)
                assert reply.status == 200
                if reply.get("Connection") == "close":
                    break
        async with await Client.connect(gateway.port) as client:  # as nginx and Traefik ask
            for _ in range(3):
                reply = await client.ask(get("/oauth2/auth", *named, "Content-Length: 0"))
                assert (reply.status, reply.get("Connection")) == (200, None)


async def test_head_is_answered_without_a_body_whatever_the_original_method(tmp_path: Path) -> None:
    async with asked_gateway(tmp_path) as gateway, await Client.connect(gateway.port) as client:
        named = ("X-Original-URL: /api", "X-Original-Method: HEAD")
        reply = await client.ask(get("/oauth2/auth", *named))
        assert json.loads(reply.body)["status"] == 401
        named = ("X-Original-URL: /api", "X-Original-Method: GET")
        reply = await client.ask(get("/oauth2/auth", *named, method="HEAD"), method="HEAD")
        assert reply.status == 401
        # The connection is in step: nothing of a body is left on it.
        assert (await client.ask(get("/oauth2/auth", gateway.bearer()))).status == 200


async def test_log_and_metrics_hold_the_original_request(tmp_path: Path) -> None:
    async with asked_gateway(tmp_path) as gateway:
        forwarded = "X-Forwarded-For: 192.0.2.7"
        await ask(gateway, "nginx", "/admin/x?secret=1", gateway.bearer(), forwarded, method="PUT")
        await ask(gateway, "traefik", "/public/x", forwarded, method="POST")
        await once(gateway.port, get("/oauth2/auth", "X-Original-URL: /x"))
        lines = await logged(gateway, "request", 3)
        seen = [
            (line["method"], line["path"], line["status"], line["decision"], line["reason"]) for line in lines
        ]
        assert seen == [
            ("PUT", "/admin/x", 403, "refused", "missing_group"),
            ("POST", "/public/x", 200, "allowed", "open_route"),
            ("GET", "/oauth2/auth", 403, "refused", "original_request_unclear"),
        ]
        assert [line["client"] for line in lines[:2]] == ["192.0.2.7"] * 2
        metrics = gateway.worker.metrics
        assert metrics.auth_decisions["refused", "original_request_unclear"] == 1
        assert metrics.requests["POST", 200] == 1


async def test_without_keys_the_answer_is_503_and_keys_that_are_slow_to_come_are_waited_for(
    tmp_path: Path,
) -> None:
    endpoint, folder = KeyServer(b"{}"), tmp_path / "second"
    folder.mkdir()
    async with asked_gateway(tmp_path) as donor, endpoint.running():
        named = ("X-Original-URL: /admin/x", "X-Original-Method: GET")
        async with keyless(folder, endpoint) as worker:
            reply = await once(worker.port, get("/oauth2/auth", *named, donor.bearer()))
            assert reply.status == 503
            assert int(reply.get("Retry-After") or 0) > 0
            assert (await once(worker.port, get("/oauth2/auth", *named))).status == 401
        endpoint.document, endpoint.mode = (tmp_path / "jwks.json").read_bytes(), "slow"
        async with keyless(folder, endpoint) as worker:
            assert (await once(worker.port, get("/oauth2/auth", *named, donor.bearer()))).status == 403
        async with keyless(folder, endpoint) as worker:
            assert (await once(worker.port, get("/oauth2/auth", donor.bearer()))).status == 200
        async with keyless(folder, endpoint) as worker:
            reply = await once(worker.port, get("/oauth2/auth/api", donor.bearer()))
            assert reply.status == 200
            assert reply.get("X-Auth-Request-User")


CORS = "cors: {allow_origins: ['https://app.example.com']}\n"
PREFLIGHT = ("Origin: https://app.example.com", "Access-Control-Request-Method: PUT")


@pytest.mark.parametrize("style", STYLES)
async def test_a_preflight_passes_where_the_gateway_would_answer_it(style: str, tmp_path: Path) -> None:
    async with asked_gateway(tmp_path, ROUTES + CORS) as gateway:
        reply = await ask(gateway, style, "/admin/x", *PREFLIGHT, gateway.bearer(), method="OPTIONS")
        assert (reply.status, reply.get("Access-Control-Allow-Origin")) == (200, "https://app.example.com")
        assert b"x-auth-request-" not in reply.head.lower()
        assert len(reply.all("X-Request-Id")) == 1
        for method, lines, status in (
            ("OPTIONS", ("Origin: https://evil.example", PREFLIGHT[1]), 403),
            ("OPTIONS", PREFLIGHT[:1], 401),
            ("OPTIONS", PREFLIGHT[1:], 401),
            ("GET", PREFLIGHT, 401),
            ("POST", PREFLIGHT, 401),
        ):
            reply = await ask(gateway, style, "/api", *lines, method=method)
            assert (method, lines, reply.status) == (method, lines, status)
        # What the page of a listed origin is told of a refusal it may read.
        assert reply.get("Access-Control-Allow-Origin") == "https://app.example.com"
        assert (await ask(gateway, style, "/oauth2/sign_in", *PREFLIGHT, method="OPTIONS")).status == 403
        assert (await ask(gateway, style, "/a/../b", *PREFLIGHT, method="OPTIONS")).status == 403
    async with asked_gateway(tmp_path) as gateway:
        assert (await ask(gateway, style, "/api", *PREFLIGHT, method="OPTIONS")).status == 401


async def test_a_preflight_without_a_named_request_needs_a_token_as_any_other(tmp_path: Path) -> None:
    async with asked_gateway(tmp_path, ROUTES + CORS) as gateway:
        reply = await once(gateway.port, get("/oauth2/auth", *PREFLIGHT, method="OPTIONS"))
        assert reply.status == 401
