"""What the upstream sees of a head: strip, then inject, on every kind of request."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.running import running
from tests.support.tunnels import SWITCH, UPGRADE
from tests.support.wire import Client, Upstream, get, once

ROUTES = "routes: [{path: '/open/**', auth: none}, {path: '/maybe/**', auth: optional}]\n"
SUBJECT = b"5e0d3a9c-70b1-70e4-5f1b-8f7d9c0f2a11"
SPOOFED = [
    "X-Auth-Request-User: root",
    "x-auth-request-user: root",
    "X_Auth_Request_User: root",
    "X.Auth.Request.User: root",
    "X-Auth_Request.USER: root",
    # lighttpd makes one variable of these and the first.
    *(f"X{sign}Auth{sign}Request{sign}User: root" for sign in "!#$%&'*+^`|~"),
    "X-Auth-Request-User: root2",
    "X-Auth-Request-Preferred-Username: root",
    "X-Auth-Request-Groups: admins",
    "X-Auth-Request-Email: root@example.com",
    "X-Auth-Request-Anything: root",
    "Connection: close, X-Auth-Request-User, X-Request-Id, X-Forwarded-For, Host",
]  # fmt: skip
FORWARDING = [
    "X-Forwarded-For: 9.9.9.9",
    "X_Forwarded_For: 9.9.9.9",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: evil.test",
    "X-Forwarded-Prefix: evil",
    "X-Forwarded-User: evil",
    "X-Forwarded: evil",
    "Forwarded: for=9.9.9.9",
    "X-Real-IP: 9.9.9.9",
    "X-Original-URL: /evil",
    "X.Original.URL: /evil",
    "X+Original~URL: /evil",
    "X-Original-Method: evil",
    "X-Rewrite-URL: /evil",
    "X-Amzn-Oidc-Data: evil",
    "X_Amzn_Oidc_Identity: evil",
]


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST", "HEAD"])
@pytest.mark.parametrize("path", ["/open/a", "/maybe/a", "/private"])
async def test_no_client_speaks_for_us(tmp_path: Path, method: str, path: str) -> None:
    async with running(tmp_path, ROUTES) as gateway:
        for lines in (SPOOFED + FORWARDING, [*SPOOFED, *FORWARDING, gateway.bearer()]):
            before = len(gateway.upstream.requests)
            reply = await once(gateway.port, get(path, *lines, method=method), method=method)
            authenticated = lines[-1].startswith("Authorization")
            if path == "/private" and not authenticated:
                assert reply.status == 401
                assert len(gateway.upstream.requests) == before
                continue
            assert reply.status == 200
            seen = gateway.upstream.last
            user = [SUBJECT] if authenticated and path != "/open/a" else []
            assert seen.all("X-Auth-Request-User") == user
            assert b"root" not in seen.head
            assert b"admins" not in seen.head
            assert b"evil" not in seen.head
            assert b"9.9.9.9" not in seen.head
            assert seen.all("X-Forwarded-For") == [b"127.0.0.1"]
            assert seen.all("X-Forwarded-Proto") == [b"http"]
            assert seen.all("X-Forwarded-Host") == [b"api.test"]
            assert seen.all("Host") == [b"api.test"]
            assert len(seen.all("X-Request-Id")) == 1
            assert seen.get("Authorization") is None


@pytest.mark.parametrize("path", ["/open/a", "/maybe/a", "/private"])
async def test_no_client_speaks_for_us_in_a_handshake(tmp_path: Path, path: str) -> None:
    async with running(tmp_path, ROUTES, upstream=Upstream(answer=SWITCH)) as gateway:
        async with await Client.connect(gateway.port) as client:
            reply = await client.ask(get(path, *SPOOFED[:-1], *FORWARDING, gateway.bearer(), *UPGRADE))
            assert reply.status == 101
            seen = gateway.upstream.last
            assert seen.all("X-Auth-Request-User") == ([] if path == "/open/a" else [SUBJECT])
            for word in (b"root", b"admins", b"evil", b"9.9.9.9", b"authorization"):
                assert word not in seen.head.lower()
            assert seen.all("X-Forwarded-For") == [b"127.0.0.1"]


async def test_a_trusted_proxy_is_believed_in_its_plain_spelling(tmp_path: Path) -> None:
    async with running(tmp_path, ROUTES, listen_lines="trusted_proxies: [127.0.0.0/8]") as gateway:
        assert (await once(gateway.port, get("/open/", *FORWARDING))).status == 200
        seen = gateway.upstream.last
        assert seen.all("X-Forwarded-For") == [b"9.9.9.9, 127.0.0.1"]
        assert seen.all("X-Forwarded-Proto") == [b"https"]
        assert seen.all("X-Forwarded-Host") == [b"evil.test"]
        assert seen.all("X_Forwarded_For") == []


async def test_hop_by_hop_headers_end_here(tmp_path: Path) -> None:
    lines = [
        "Connection: keep-alive, X-Named",
        "X-Named: 1",
        "Keep-Alive: timeout=5",
        "Proxy-Authorization: Basic x",
        "Proxy-Connection: keep-alive",
        "TE: trailers",
        "Trailer: X",
        "X-Kept: 1",
    ]
    async with running(tmp_path, ROUTES) as gateway:
        assert (await once(gateway.port, get("/open/", *lines))).status == 200
        names = [name.lower() for name, _ in gateway.upstream.last.headers]
        assert names[:2] == [b"host", b"x-kept"]
        assert not {b"connection", b"x-named", b"keep-alive", b"te", b"trailer"} & set(names)
        assert not {b"proxy-authorization", b"proxy-connection"} & set(names)


async def test_end_to_end_headers_keep_order_spelling_and_bytes(tmp_path: Path) -> None:
    lines = ["aCCept: */*", "X-A: 1", "x-a: 2", "X-Latin: \xe9", "Accept-Encoding: gzip", "X-Empty:"]
    async with running(tmp_path, ROUTES) as gateway:
        await once(gateway.port, get("/open/", *lines))
        assert gateway.upstream.last.headers[1:7] == [
            (b"aCCept", b"*/*"), (b"X-A", b"1"), (b"x-a", b"2"), (b"X-Latin", b"\xe9"),
            (b"Accept-Encoding", b"gzip"), (b"X-Empty", b""),
        ]  # fmt: skip


async def test_our_cookies_stay_here(tmp_path: Path) -> None:
    async with running(tmp_path, ROUTES) as gateway:
        lines = [
            "Cookie: a=1; cognito_gateway_session=S; __Host-cognito_gateway=T; b=2",
            "Cookie: cognito_gateway=U",
        ]
        await once(gateway.port, get("/open/", *lines))
        assert gateway.upstream.last.all("Cookie") == [b"a=1; b=2"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc-1._Z", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("", False),
        ("a b", False),
        ("é", False),
        ("4f1c9c1e-7a35-4b0c-9a0e-2f1d7c8e5b6a", True),
        ("web-1.2026.11", True),
        # What looks like a JWT, or like its first part.
        ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", False),
        ("eyJhbGciOiJSUzI1NiJ9", False),
        ("abcdefghij.abcdefghij.abcdefghij", False),
    ],
)
async def test_a_sane_request_id_is_kept(tmp_path: Path, given: str, kept: bool) -> None:
    async with running(tmp_path, ROUTES) as gateway:
        await once(gateway.port, get("/open/", f"X-Request-Id: {given}"))
        ids = gateway.upstream.last.all("X-Request-Id")
        assert (ids == [given.encode("latin-1")]) == kept
        assert len(ids) == 1
        assert ids[0]


async def test_host_is_kept_or_replaced(tmp_path: Path) -> None:
    async with running(tmp_path, ROUTES, upstream_lines="host_header: upstream") as gateway:
        expected = f"127.0.0.1:{gateway.upstream.port}".encode()
        for sent in (get("/open/"), b"GET /open/ HTTP/1.0\r\n\r\n"):
            assert (await once(gateway.port, sent)).status == 200
            assert gateway.upstream.last.all("Host") == [expected]
    async with running(tmp_path, ROUTES, upstream_lines="host_header: 'api.internal:8443'") as gateway:
        assert (await once(gateway.port, get("/open/"))).status == 200
        assert gateway.upstream.last.all("Host") == [b"api.internal:8443"]


@pytest.mark.parametrize("forward", [False, True])
async def test_which_credentials_travel_on(tmp_path: Path, forward: bool) -> None:
    flag = "forward_token: true" if forward else ""
    async with running(tmp_path, ROUTES, upstream_lines=flag) as gateway:
        token = gateway.token()
        for path, value, passes in (
            ("/open/", "Basic dTpw", True),
            ("/open/", f"Bearer {token}", forward),
            ("/open/", f"bEARER {token}", forward),
            ("/open/", "Bearer not.a.token", forward),
            ("/open/", f"Basic dTpw, Bearer {token}", forward),
            ("/maybe/", "Basic dTpw", True),
            ("/maybe/", f"bearer {token}", forward),
            ("/private", f"BEARER {token}", forward),
        ):
            assert (await once(gateway.port, get(path, f"Authorization: {value}"))).status == 200
            assert gateway.upstream.last.all("Authorization") == ([value.encode()] if passes else [])


@pytest.mark.parametrize("path", ["/maybe/", "/private"])
async def test_two_credentials_and_malformed_ones_are_refused(tmp_path: Path, path: str) -> None:
    async with running(tmp_path, ROUTES) as gateway:
        bearer = gateway.bearer()
        for lines in ([bearer, bearer], [bearer, "authorization: Basic dTpw"], ["Authorization: Bearer"]):
            reply = await once(gateway.port, get(path, *lines))
            assert reply.status == 400
            assert 'error="invalid_request"' in (reply.get("www-authenticate") or "")
        assert gateway.upstream.requests == []


async def test_no_header_changes_what_is_decided(tmp_path: Path) -> None:
    routes = "routes: [{path: /open, methods: [GET], auth: none}]\n"
    lines = [
        "X-HTTP-Method-Override: GET", "X-Original-Method: OPTIONS", "X-Original-URL: /open",
        "X-Forwarded-Uri: /open", "User-Agent: kube-probe/1.30", "X-Rewrite-URL: /open",
    ]  # fmt: skip
    async with running(tmp_path, routes) as gateway:
        for sent in (get("/open", *lines, method="POST"), get("/x", *lines), get("/x?/open", *lines)):
            assert (await once(gateway.port, sent)).status == 401
        assert gateway.upstream.requests == []


async def test_no_cookie_of_one_travels_with_another(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: session=alice\r\nContent-Length: 2\r\n\r\nok"
    async with running(tmp_path, ROUTES, upstream=Upstream(answer=answer)) as gateway:
        assert (await once(gateway.port, get("/open/"))).get("set-cookie") == "session=alice"
        await once(gateway.port, get("/open/"))
        assert gateway.upstream.last.get("Cookie") is None
        assert gateway.upstream.connections == 1


async def test_headers_that_the_answers_connection_names_end_here(tmp_path: Path) -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nX-Hop: 1\r\nConnection: keep-alive, X-Hop\r\nX-End: 2\r\n"
        b"Keep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok"
    )
    async with running(tmp_path, upstream=Upstream(answer=answer)) as gateway:
        for _ in range(2):  # the second on the same connection: nothing is left over
            reply = await once(gateway.port, get("/", gateway.bearer()))
            assert (reply.get("X-Hop"), reply.get("X-End"), reply.get("Keep-Alive")) == (None, "2", None)
