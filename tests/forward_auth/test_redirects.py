"""The endpoint that sends people to sign in: what it says to whom, over HTTP and over gRPC."""

from __future__ import annotations

import time
from pathlib import Path

import grpc
import pytest

from tests.support.envoy_client import GRPC, check, envoy
from tests.support.forward_auth import ROUTES, STYLES, TRUSTED, asked_gateway
from tests.support.portal import a_session, signed_in
from tests.support.running import Running, running
from tests.support.wire import Reply, get, once

HTML = "Accept: text/html,*/*;q=0.8"
ENDPOINT = "/oauth2/auth-or-sign-in"
SIGN_IN = "/oauth2/sign_in?return_to="
STEP_UP = "routes: [{path: /pay, max_age: 5m}]\n"


async def ask(gateway: Running, style: str, target: str, *lines: str, method: str = "GET") -> Reply:
    """Ask about a request as the proxy of this style does."""
    if style == "envoy":
        return await once(gateway.port, get(ENDPOINT + target, *lines, method=method), method=method)
    names = ("X-Original-URL", "X-Original-Method")
    if style == "traefik":
        names = ("X-Forwarded-Uri", "X-Forwarded-Method")
    named = (f"{names[0]}: {target}", f"{names[1]}: {method}")
    return await once(gateway.port, get(ENDPOINT, *named, *lines))


@pytest.mark.parametrize("style", STYLES)
async def test_a_navigation_without_credentials_is_sent_to_sign_in(tmp_path: Path, style: str) -> None:
    async with asked_gateway(tmp_path) as gateway:
        for lines, origin in (
            ((), "http://api.test"),
            (("Sec-Fetch-Mode: navigate",), "http://api.test"),
            (("X-Forwarded-Host: app.test:8443", "X-Forwarded-Proto: https"), "https://app.test:8443"),
        ):
            reply = await ask(gateway, style, "/api?x=1", HTML, *lines)
            assert (reply.status, reply.get("Location")) == (302, f"{origin}{SIGN_IN}/api%3Fx%3D1")
            assert reply.get("Cache-Control") == "no-store"
            assert b"x-auth-request-" not in reply.head.lower()
        for method, status, lines in (
            ("GET", 401, ()),
            ("POST", 401, (HTML,)),
            ("HEAD", 401, (HTML,)),
            ("GET", 401, (HTML, "Sec-Fetch-Mode: cors")),
            ("GET", 401, (HTML, "Sec-Purpose: prefetch")),
            ("GET", 401, (HTML, "Authorization: Bearer x.y.z")),
            ("GET", 200, (HTML, gateway.bearer())),
        ):
            reply = await ask(gateway, style, "/api", *lines, method=method)
            assert (method, lines, reply.status) == (method, lines, status)
            assert reply.get("Location") is None
        for target, lines, status in (
            ("/public/x", (), 200),
            ("/admin/x", (gateway.bearer(),), 403),
            ("/oauth2/sign_in", (), 403),
            ("/a/../b", (), 403),
            ("//evil.example/x", (), 403),
        ):
            reply = await ask(gateway, style, target, HTML, *lines)
            assert (target, reply.status, reply.get("Location")) == (target, status, None)


async def test_the_other_endpoint_never_redirects(tmp_path: Path) -> None:
    async with asked_gateway(tmp_path) as gateway:
        named = ("X-Original-URL: /api", "X-Original-Method: GET")
        for target, lines in (("/oauth2/auth", named), ("/oauth2/auth/api", ())):
            reply = await once(gateway.port, get(target, HTML, *lines))
            assert (reply.status, reply.get("Location")) == (401, None)


async def test_nobody_is_sent_back_to_a_request_that_is_not_named_or_not_believed(tmp_path: Path) -> None:
    async with asked_gateway(tmp_path) as gateway:
        assert (await once(gateway.port, get(ENDPOINT, HTML))).status == 401
        for lines in (("X-Original-URL: /api",), ("X-Original-URL: /api", "X-Forwarded-Uri: /x")):
            assert (await once(gateway.port, get(ENDPOINT, HTML, *lines))).status == 403
    async with running(tmp_path, ROUTES) as gateway:
        named = ("X-Original-URL: /api", "X-Original-Method: GET")
        assert (await once(gateway.port, get(ENDPOINT, HTML, *named))).status == 401
        assert (await once(gateway.port, get(f"{ENDPOINT}/public/x", HTML))).status == 404


async def test_without_pages_and_with_a_public_url(tmp_path: Path) -> None:
    async with asked_gateway(tmp_path, "sign_in: {enabled: false}\n") as gateway:
        assert (await ask(gateway, "nginx", "/api", HTML)).status == 401
    listen = f"{TRUSTED}, public_url: 'https://app.example.com'"
    async with running(tmp_path, ROUTES, listen_lines=listen) as gateway:
        reply = await ask(gateway, "nginx", "/api", HTML)
        assert reply.get("Location") == f"https://app.example.com{SIGN_IN}/api"


@pytest.mark.parametrize("style", STYLES)
async def test_a_sign_in_that_is_too_old_is_asked_for_again(tmp_path: Path, style: str) -> None:
    async with asked_gateway(tmp_path, STEP_UP) as gateway:
        browser = await signed_in(gateway, a_session(gateway.key, now=time.time() - 900))
        reply = await ask(gateway, style, "/pay?x=1", HTML, browser.cookie)
        location = reply.get("Location") or ""
        assert reply.status == 302
        assert location.startswith("http://api.test/oauth2/sign_in?return_to=%2Fpay%3Fx%3D1&")
        assert "again=1" in location
        assert (await ask(gateway, style, "/pay", browser.cookie)).status == 401


async def test_over_grpc_the_route_of_envoy_says_which_endpoint_it_is(tmp_path: Path) -> None:
    async with envoy(tmp_path, GRPC + ROUTES) as (_, stub):
        asked = check("/api?x=1", {"accept": "text/html"})
        for endpoint, status in (("", 401), ("auth", 401), ("auth-or-sign-in", 302)):
            if endpoint:
                asked.attributes.context_extensions["endpoint"] = endpoint
            denied = (await stub.Check(asked)).denied_response
            assert denied.status.code == status
            headers = {each.header.key.lower(): each.header.value for each in denied.headers}
            wanted = f"https://api.test{SIGN_IN}/api%3Fx%3D1" if status == 302 else None
            assert headers.get("location") == wanted
        asked.attributes.context_extensions["endpoint"] = "sign-in"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Check(asked)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "neither auth nor auth-or-sign-in" in (refused.value.details() or "")
