"""Requests that a session authenticates, over raw HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.portal import HTML, Browser, a_session, form_token, signed_in
from tests.support.running import logged, running
from tests.support.tokens import access_claims, sign
from tests.support.wire import Client, Upstream, get, once

ROUTES = "routes: [{path: /open/**, auth: none}, {path: /maybe/**, auth: optional}]\n"


async def test_a_session_opens_the_api_and_stays_here(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        browser = await signed_in(gateway)
        browser.jar["theirs"] = "1"
        for _ in range(3):  # the long way, then the hot one
            assert (await browser.get("/api")).status == 200
        for received in gateway.upstream.requests:
            assert received.get("X-Auth-Request-Preferred-Username") == b"alice"
            assert received.all("Cookie") == [b"theirs=1"]
            assert received.get("Authorization") is None
        lines = await logged(gateway, "request", 3)
        assert {line["subject"] for line in lines} == {"5e0d3a9c-70b1-70e4-5f1b-8f7d9c0f2a11"}
        assert gateway.worker.metrics.token_cache_hits == 2, "checks and cache are those of bearers"


async def test_the_upstream_gets_the_token_if_configured(tmp_path: Path) -> None:
    async with running(tmp_path, upstream_lines="forward_token: true") as gateway:
        session = a_session(gateway.key)
        browser = await signed_in(gateway, session)
        await browser.get("/api")
        assert gateway.upstream.last.get("Authorization") == f"Bearer {session.access}".encode()


async def test_an_authorization_header_wins(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        browser = await signed_in(gateway)
        bob = gateway.bearer(username="bob")
        assert (await browser.get("/api", bob)).status == 200
        assert gateway.upstream.last.get("X-Auth-Request-Preferred-Username") == b"bob"
        assert (await browser.get("/api", "Authorization: Bearer x.y.z")).status == 401


async def test_open_routes_do_not_look(tmp_path: Path) -> None:
    async with running(tmp_path, ROUTES) as gateway:
        browser = await signed_in(gateway)
        assert (await browser.post("/open/a", origin="https://evil.test")).status == 200
        assert gateway.upstream.last.get("X-Auth-Request-User") is None
        assert (await browser.get("/maybe/a")).status == 200
        assert gateway.upstream.last.get("X-Auth-Request-Preferred-Username") == b"alice"
        assert (await Browser(gateway.port, {"cognito_gateway_session": "1.x"}).get("/maybe/a")).status == 200
        assert gateway.upstream.last.get("X-Auth-Request-User") is None


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Origin: http://api.test"], 200),
        (["Origin: HTTP://API.test:80"], 200),
        (["Sec-Fetch-Site: same-origin"], 200),
        (["Sec-Fetch-Site: none"], 200),
        ([], 403),
        (["Origin: https://evil.test"], 403),
        (["Origin: http://api.test.evil"], 403),
        (["Origin: null"], 403),
        (["Origin: https://api.test"], 403),
        (["Sec-Fetch-Site: cross-site"], 403),
        (["Sec-Fetch-Site: same-site"], 403),
        (["Origin: https://evil.test", "Sec-Fetch-Site: same-origin"], 403),
        (["Origin: http://api.test", "Origin: https://evil.test"], 403),
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_state_changing_requests_must_come_from_the_same_origin(
    tmp_path: Path, method: str, lines: list[str], status: int
) -> None:
    async with running(tmp_path) as gateway:
        browser = await signed_in(gateway)
        for _ in range(2):  # the long way and the hot one
            reply = await browser.get("/api", "Content-Length: 0", *lines, method=method)
            assert reply.status == status
        assert len(gateway.upstream.requests) == (2 if status == 200 else 0)
        if status == 403:
            (line, _) = await logged(gateway, "request", 2)
            assert line["reason"] == "cross_origin"
        bearer = get("/api", "Content-Length: 0", gateway.bearer(), *lines, method=method)
        assert (await once(gateway.port, bearer)).status == 200, "a bearer token is no cookie"


async def test_a_websocket_of_another_site_is_refused(tmp_path: Path) -> None:
    handshake = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x"]
    switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    upstream = Upstream(answer=switched)
    async with running(tmp_path, upstream=upstream) as gateway:
        browser = await signed_in(gateway)
        for origin, status in (("http://evil.test", 403), ("http://api.test", 101)):
            async with await Client.connect(gateway.port) as client:
                request = get("/ws", browser.cookie, *handshake, f"Origin: {origin}")
                assert (await client.ask(request)).status == status
        async with await Client.connect(gateway.port) as client:
            assert (await client.ask(get("/ws", browser.cookie, *handshake))).status == 403


async def test_navigation_is_sent_to_sign_in_and_programs_are_not(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        reply = await once(gateway.port, get("/a/b?c=d", HTML))
        assert reply.status == 302
        assert reply.get("location") == "/oauth2/sign_in?return_to=/a/b%3Fc%3Dd"
        assert reply.get("cache-control") == "no-store"
        named_alike = await once(gateway.port, get("/oauth2x", HTML))
        assert named_alike.get("location") == "/oauth2/sign_in?return_to=/oauth2x"
        navigated = await once(gateway.port, get("/a", HTML, "Sec-Fetch-Mode: navigate"))
        assert navigated.status == 302
        for lines in (
            ["Accept: */*"],
            ["Accept: application/json"],
            [],
            [HTML, "Sec-Fetch-Mode: cors"],
            [HTML, "Authorization: Basic YTpi", "Sec-Fetch-Mode: no-cors"],
        ):
            assert (await once(gateway.port, get("/a", *lines))).status == 401
        assert (await once(gateway.port, get("/a", HTML, "Content-Length: 0", method="POST"))).status == 401
        bad = await once(gateway.port, get("/a", HTML, "Authorization: Bearer x.y.z"))
        assert bad.status == 401, "a token that is not good is told so"
        away = await once(gateway.port, get("//evil.test/", HTML))
        assert away.get("location") in {None, "/oauth2/sign_in"}


async def test_without_pages_there_is_no_redirect_and_cookies_are_ignored(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        browser = await signed_in(gateway)
    async with running(tmp_path, "sign_in: {enabled: false}\n") as gateway:
        browser.port = gateway.port
        assert (await browser.get("/a", HTML)).status == 401
        assert gateway.upstream.requests == []


@pytest.mark.parametrize(
    "cookie",
    [
        "cognito_gateway_session=",
        "cognito_gateway_session=1.",
        "cognito_gateway_session=9.AAAA",
        "cognito_gateway_session=1." + "A" * 16_000,
        "cognito_gateway_session=\xff\xfe; cognito_gateway_session_1=x",
        "; ".join(f"cognito_gateway_session_{n}=x" for n in range(200)),
        "cognito_gateway_session",
        "=cognito_gateway_session; ;;; =",
    ],
)
async def test_broken_cookies_are_no_session(tmp_path: Path, cookie: str) -> None:
    async with running(tmp_path) as gateway:
        for _ in range(2):
            assert (await once(gateway.port, get("/a", f"Cookie: {cookie}"))).status == 401
        assert gateway.upstream.requests == []
        assert not [line for line in gateway.log() if line["event"] == "log"]


async def test_a_session_that_ended_with_its_tokens_is_cleared_by_our_pages(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        session = a_session(gateway.key, lifetime=-1, refresh="")
        browser = await signed_in(gateway, session)
        assert (await browser.get("/a")).all("set-cookie") == []
        assert (await browser.get("/oauth2/userinfo")).status == 401
        assert list(browser.jar) == ["cognito_gateway_session"]


async def test_a_session_of_a_client_that_is_not_ours_any_more_is_none(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        foreign = sign(gateway.key, access_claims(client_id="2another")).decode()
        browser = await signed_in(gateway, a_session(gateway.key, access=foreign))
        reply = await browser.get("/a")
        assert reply.status == 401
        assert "invalid_token" not in (reply.get("www-authenticate") or "")
        assert (await browser.get("/a", HTML)).status == 302


async def test_a_token_that_does_not_hold_is_not_forwarded(tmp_path: Path) -> None:
    lines = "forward_token: true"
    async with running(tmp_path, ROUTES, upstream_lines=lines) as gateway:
        foreign = sign(gateway.key, access_claims(client_id="2another")).decode()
        browser = await signed_in(gateway, a_session(gateway.key, access=foreign))
        for _ in range(2):  # the long way and the hot one
            assert (await browser.get("/maybe/a")).status == 200
            assert gateway.upstream.last.get("Authorization") is None


async def test_another_proxy_asks_about_a_request_with_a_session(tmp_path: Path) -> None:
    async with running(tmp_path, listen_lines="trusted_proxies: [127.0.0.1]") as gateway:
        browser = await signed_in(gateway)

        async def ask(method: str, *lines: str) -> int:
            named = ["X-Original-URL: http://api.test/a", f"X-Original-Method: {method}"]
            return (await browser.get("/oauth2/auth", *named, *lines)).status

        for _ in range(2):
            assert await ask("GET") == 200
            assert await ask("POST") == 403
            assert await ask("POST", "Origin: http://api.test") == 200
            assert await ask("GET", "Sec-WebSocket-Key: x", "Origin: http://evil.test") == 403
            assert await ask("GET", "Sec-WebSocket-Key: x", "Origin: http://api.test") == 200
        browser.jar.clear()
        assert await ask("GET", HTML) == 401, "never a redirect: its proxy decides"


async def test_id_tokens_if_the_pool_requires_them(tmp_path: Path) -> None:
    async with running(tmp_path, pool_lines="token_use: [id]") as gateway:
        browser = await signed_in(gateway)
        assert (await browser.get("/api")).status == 200
        assert gateway.upstream.last.get("X-Auth-Request-Email") == b"alice@example.com"


async def test_the_users_claims_of_both_tokens(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        session = a_session(gateway.key)
        browser = await signed_in(gateway, session)
        reply = await browser.get("/oauth2/userinfo")
        claims = json.loads(reply.body)
        assert (claims["username"], claims["email"]) == ("alice", "alice@example.com")
        assert claims["token_use"] == "access"
        for secret in (session.access, session.id_token, session.refresh):
            assert secret.encode() not in reply.body


async def test_nothing_secret_is_logged(tmp_path: Path) -> None:
    async with running(tmp_path, "log: {level: debug}\n") as gateway:
        session = a_session(gateway.key)
        browser = await signed_in(gateway, session)
        await browser.get("/api")
        await browser.get("/oauth2/userinfo")
        await logged(gateway, "request", 2)
        written = gateway.stream.data.decode()
        for secret in (*browser.jar.values(), session.access, session.id_token, session.refresh):
            assert secret[:24] not in written
        assert session.access not in repr(session)


CORS = "cors: {{allow_origins: ['https://app.test', 'null'], allow_credentials: {}}}\n"


@pytest.mark.parametrize(
    ("credentials", "origin", "status"),
    [
        ("true", "https://app.test", 200),
        ("false", "https://app.test", 403),
        ("true", "https://evil.test", 403),
        ("true", "null", 403),
    ],
)
async def test_an_origin_that_cors_trusts_with_cookies_may_use_them(
    tmp_path: Path, credentials: str, origin: str, status: int
) -> None:
    async with running(tmp_path, CORS.format(credentials)) as gateway:
        browser = await signed_in(gateway)
        reply = await browser.post("/api", origin=origin)
        assert reply.status == status
        assert len(gateway.upstream.requests) == (1 if status == 200 else 0)


NULL = ("Origin: null", "Sec-Fetch-Site: same-origin")
TOP = ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")


async def test_forms_of_pages_that_send_no_referrer_are_the_sites_own(tmp_path: Path) -> None:
    """Chromium sends `Origin: null` with them; sandboxed frames send it too, with another destination."""
    async with running(tmp_path, listen_lines="trusted_proxies: [127.0.0.1]") as gateway:
        browser = await signed_in(gateway)
        empty = "Content-Length: 0"
        cases = {
            (*NULL, *TOP): 200,
            (*NULL, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"): 403,
            (*NULL, "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"): 403,
            ("Origin: null", "Sec-Fetch-Site: cross-site", *TOP): 403,
            ("Origin: null", *TOP): 403,
            NULL: 403,
        }
        for lines, status in cases.items():
            assert (await browser.get("/form", empty, *lines, method="POST")).status == status, lines
            named = ["X-Original-URL: http://api.test/form", "X-Original-Method: POST"]
            asked = await browser.get("/oauth2/auth", *named, *lines)
            assert asked.status == status, lines
        token = await form_token(gateway, browser)
        kind = "Content-Type: application/x-www-form-urlencoded"
        for lines, status in reversed(list(cases.items())):
            body = f"csrf={token}"
            head = get(
                "/oauth2/sign_out",
                browser.cookie,
                kind,
                f"Content-Length: {len(body)}",
                *lines,
                method="POST",
            )
            reply = await once(gateway.port, head + body.encode())
            assert (reply.status == 403) == (status == 403), lines  # Cognito is away here: 502


async def test_an_anonymous_websocket_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        browser = await signed_in(gateway)
        upgrade = (
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: eA==",
        )
        assert (await browser.get("/ws", *upgrade, *NULL, *TOP)).status == 403


async def test_a_librarys_request_is_not_redirected_to_sign_in(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        browser = Browser(gateway.port)
        script = "X-Requested-With: XMLHttpRequest"
        assert (await browser.get("/a", HTML)).status == 302
        assert (await browser.get("/a", HTML, script)).status == 401
        assert (await browser.get("/a", HTML, script, "Sec-Fetch-Mode: cors")).status == 401
        # Some apps' web views write it into every navigation; the browser's own word is better.
        assert (await browser.get("/a", HTML, script, "Sec-Fetch-Mode: navigate")).status == 302
