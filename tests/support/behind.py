"""Checks that hold for every proxy in front of an API, through the documented configuration, unchanged.

`check_all` runs all of them, so that a proxy is started once.
"""

from __future__ import annotations

import asyncio
import json

from tests.support.assertions import HEADER, payload
from tests.support.portal import signed_in
from tests.support.recipes import WRITTEN, names
from tests.support.running import Running
from tests.support.tunnels import UPGRADE, echo
from tests.support.waiting import PATIENCE
from tests.support.wire import Client, Reply, Upstream, get, once

# Headers with which a client may try to impersonate a user.
CLIENTS_OWN = (
    "X-Auth-Request-User: root",
    "x-auth-request-user: root",
    "X_Auth_Request_User: root",
    "X.Auth.Request.User: root",
    "X-Auth_Request-Groups: admins",
    "X-Auth-Request-Groups: admins",
    "X-Auth-Request-Email: root@example.com",
    "X-Auth-Request-Access-Token: x",
)
# Of assertions, as the gateway names them by default.
COPIES = tuple(
    f"{name}: forged"
    for name in (HEADER, HEADER.lower(), HEADER.replace("-", "_"), HEADER.replace("-", ".", 1))
)
MISLEADING = (
    "X-Original-URL: /public/x",
    "X-Original-URI: /public/x",
    "X-Original-Method: GET",
    "X-Forwarded-Uri: /public/x",
    "X-Forwarded-Method: OPTIONS",
    "X_Original_URL: /public/x",
    "X-Rewrite-URL: /public/x",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-For: 10.0.0.1",
)
# A header that the proxy must set for the gateway, declared hop-by-hop by the client.
NAMED_AWAY = (
    "Connection: X-Original-URL, X-Original-Method",
    "Connection: X-Forwarded-Uri, X-Forwarded-Method",
    "Connection: X-Auth-Request-User",
    "Connection: Authorization",
)
# The two endpoints that proxies call, which no client may reach, and what some of the proxies read as them.
EXACT = (
    *("/oauth2/auth", "/oauth2/auth/", "/oauth2/auth/public/x", "/oauth2/auth/api", "/oauth2/auth?x"),
    *("/oauth2/auth/admin/x?/", "/oauth2/auth-or-sign-in", "/oauth2/auth-or-sign-in/api"),
    *("/oauth2/auth-or-sign-in/", "/oauth2/auth-or-sign-in?x"),
)
ENDPOINTS = (
    *EXACT,
    *("/oauth2/auth%2dor-sign-in/api", "/oauth2//auth-or-sign-in/api", "/oauth2/AUTH-or-sign-in"),
    *("/oauth2/%61uth", "/oauth2/%61uth/api", "/oauth2/auth%2fapi", "/oauth2//auth/api"),
    *("//oauth2/auth/api", "/oauth2/./auth/api", "/x/../oauth2/auth/api", "/public/../oauth2/auth"),
    *("/oauth2/AUTH/api", "/oauth2/auth;x/api", "/oauth2/x/..%2fauth", "/oauth2\\auth"),
)


class Front:
    """A proxy on `port`, in front of `upstream`, that asks `gateway` for decisions."""

    def __init__(self, port: int, gateway: Running, upstream: Upstream, kind: str = "") -> None:
        self.port = port
        self.gateway = gateway
        self.upstream = upstream
        self.kind = kind

    async def ask(self, target: str, *lines: str, method: str = "GET") -> Reply:
        return await once(self.port, get(target, *lines, "Connection: close", method=method), method=method)

    async def check_all(self) -> None:
        await self.routes_decide()
        await self.the_identity_is_ours_alone()
        await self.the_assertion_is_ours_alone()
        await self.nothing_a_client_says_changes_the_question()
        await self.ambiguous_paths_stay_out()
        await self.refusals_tell_what_is_missing()
        await self.bodies_pass()
        await self.the_endpoint_is_nobodys_business()
        await self.what_servers_believe_ends_here()
        await self.methods_have_case()
        await self.no_foreign_page_opens_a_websocket()
        await self.websockets_open()
        await self.no_other_upgrade_passes()

    async def routes_decide(self) -> None:
        user = self.gateway.bearer()
        admin = self.gateway.bearer(**{"cognito:groups": ["admins"]})
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
            ("/api?x=1&y=%20", "GET", (user,), 200),
            ("/admin/x", "GET", (user,), 403),
            ("/admin/x", "PUT", (admin,), 200),
        ):
            before = len(self.upstream.requests)
            reply = await self.ask(target, *lines, method=method)
            assert (target, method, reply.status) == (target, method, status)
            assert len(self.upstream.requests) - before == (status == 200)
            if status == 200:
                assert self.upstream.last.request_line.decode() == f"{method} {target} HTTP/1.1"

    async def the_identity_is_ours_alone(self) -> None:
        groups = ["admins", "a,b"]
        admin = self.gateway.bearer(**{"cognito:groups": groups})
        for lines in ((), CLIENTS_OWN, *((line,) for line in CLIENTS_OWN)):
            assert (await self.ask("/admin/x", admin, *lines)).status == 200
            names = self._identity()
            assert names.pop("x-auth-request-groups") == ["admins,a%2Cb"]
            assert len(names.pop("x-auth-request-user")) == 1
            assert len(names.pop("x-auth-request-preferred-username")) == 1
            assert names == {}
            assert self.upstream.last.all("Authorization") == []
            assert b"root" not in self.upstream.last.head
            for target in ("/public/x", "/maybe"):
                assert (await self.ask(target, *lines)).status == 200
                assert self._identity() == {}

    async def the_assertion_is_ours_alone(self) -> None:
        bearer = self.gateway.bearer()
        for lines in ((), COPIES, *((line,) for line in COPIES)):
            assert (await self.ask("/api", bearer, *lines)).status == 200
            (assertion,) = self.upstream.last.all(HEADER)
            assert payload(b"%b: %b" % (HEADER.encode(), assertion))["aud"] == "orders-api"
            assert b"forged" not in self.upstream.last.head
            for target in ("/public/x", "/maybe"):
                assert (await self.ask(target, *lines)).status == 200
                assert b"forged" not in self.upstream.last.head
                # Empty in the best case of some proxies.
                assert self.upstream.last.get(HEADER) in {None, b""}

    def _identity(self) -> dict[str, list[str]]:
        """Return the non-empty identity headers of the upstream's last request, with names folded as in
        CGI."""
        found: dict[str, list[str]] = {}
        for name, value in self.upstream.last.headers:
            folded = name.decode("latin-1").lower().replace("_", "-").replace(".", "-")
            if folded.startswith("x-auth-") and value:
                found.setdefault(folded, []).append(value.decode("latin-1"))
        return found

    async def nothing_a_client_says_changes_the_question(self) -> None:
        user = self.gateway.bearer()
        before = len(self.upstream.requests)
        for lines in (MISLEADING, *((line,) for line in (*MISLEADING, *NAMED_AWAY))):
            head = get("/admin/x", user, *lines)
            reply = await once(self.port, head)
            assert (lines, reply.status) == (lines, 403) or (lines, reply.status) == (lines, 401)
            assert (await once(self.port, get("/api", *lines))).status in {401, 403}
            assert (await once(self.port, get("/form", *lines, method="POST"))).status in {401, 403}
        assert len(self.upstream.requests) == before

    async def ambiguous_paths_stay_out(self) -> None:
        user = self.gateway.bearer()
        before = len(self.upstream.requests)
        for target in (
            "/public/../admin/x",
            "/public/%2e%2e/admin/x",
            "/public/..%2fadmin/x",
            "/public\\..\\admin",
            "/public/..;/admin/x",
            "//admin/x",
            "/admin//x",
            "/public/%252e%252e/admin/x",
            "/%61dmin/x",
            "/admin/x#/public/x",
            "/admin/x?/public/x",
            "/ADMIN/../admin/x",
        ):
            reply = await self.ask(target, user)
            assert (target, reply.status) in {(target, 400), (target, 403), (target, 404)}
        for host in ("a?x", "a#x", "user@a"):
            reply = await once(self.port, get("/admin/x", user, "Connection: close", host=host))
            assert (host, reply.status) in {(host, 400), (host, 403)}
        absolute = get(
            "http://evil.example/public/../admin/x", user, "Connection: close", host="evil.example"
        )
        assert (await once(self.port, absolute)).status in {400, 403}
        assert len(self.upstream.requests) == before

    async def refusals_tell_what_is_missing(self) -> None:
        nobody = await self.ask("/api?x=1")
        assert nobody.all("WWW-Authenticate") == [
            'Bearer realm="cognito-gateway", resource_metadata='
            '"http://api.test/.well-known/oauth-protected-resource/api"'
        ]
        user = await self.ask("/admin/x", self.gateway.bearer())
        assert user.status == 403
        assert 'error="insufficient_scope"' in (user.get("WWW-Authenticate") or "")
        two = await self.ask("/api", self.gateway.bearer(), self.gateway.bearer())
        assert two.status in {400, 401}
        document = await self.ask("/.well-known/oauth-protected-resource/api")
        assert json.loads(document.body)["resource"] == "http://api.test/api"

    async def bodies_pass(self) -> None:
        head = get(
            "/api", self.gateway.bearer(), "Content-Length: 100000", "Connection: close", method="POST"
        )
        reply = await once(self.port, head + b"x" * 100_000)
        assert reply.status == 200
        assert len(self.upstream.last.body) == 100_000
        chunked = get(
            "/api", self.gateway.bearer(), "Transfer-Encoding: chunked", "Connection: close", method="POST"
        )
        assert (await once(self.port, chunked + b"5\r\nhello\r\n0\r\n\r\n")).status == 200
        assert self.upstream.last.body == b"hello"

    async def the_endpoint_is_nobodys_business(self) -> None:
        """The response to it has an identity, or a signed assertion, that the API trusts."""
        before = len(self.upstream.requests)
        naming = ("X-Forwarded-Method: GET", "X-Forwarded-Uri: /api")
        for target in (*ENDPOINTS, "http://api.test/oauth2/auth/api"):
            for lines, method in (((), "GET"), ((), "POST"), (naming, "GET")):
                reply = await self.ask(target, self.gateway.bearer(), *lines, method=method)
                expected = {404} if target in EXACT else {400, 401, 403, 404}
                assert reply.status in expected, (target, method, lines, reply.status)
                assert b"x-auth-request-" not in reply.head.lower()
                assert reply.get(HEADER) is None
        assert len(self.upstream.requests) == before
        assert (await self.ask("/oauth2/nothing")).status == 404

    async def what_servers_believe_ends_here(self) -> None:
        """gateway/config/trusted_names.py: the names as they are written, and as CGI folds them."""
        believed = [name for name in names() if name not in WRITTEN]
        odd = [name.replace("-", sign, 1) for sign in "_." for name in believed if "-" in name]
        every = [f"{name}: evil" for name in (*believed, *odd, "api_key", "x~y")]
        for begin in range(0, len(every), 40):
            assert (await self.ask("/public/x", *every[begin : begin + 40])).status == 200
            arrived = [name for name, value in self.upstream.last.headers if b"evil" in value]
            assert arrived == []

    async def methods_have_case(self) -> None:
        before = len(self.upstream.requests)
        for method in ("get", "Get", "post"):
            reply = await once(self.port, get("/form", "Connection: close", method=method))
            assert (method, reply.status) in {(method, 400), (method, 403), (method, 405)}
        assert len(self.upstream.requests) == before

    async def no_foreign_page_opens_a_websocket(self) -> None:
        """With its visitor's cookie (browsers set Origin; pages cannot)."""
        cookie = (await signed_in(self.gateway)).cookie
        handshake = (
            *("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        )
        assert (await self.ask("/api", cookie)).status == 200
        assert (await self.ask("/api", cookie, "Origin: http://api.test")).status == 200
        assert (
            await self.ask("/api", cookie, "Origin: http://evil.test", "Sec-Fetch-Mode: cors")
        ).status == 200
        before = len(self.upstream.requests)
        for lines in ((*handshake,), (*handshake, "Sec-Fetch-Mode: websocket"), ("Connection: close",)):
            for origin in ("http://evil.test", "null"):
                reply = await once(self.port, get("/api", cookie, f"Origin: {origin}", *lines))
                assert (lines, origin, reply.status) == (lines, origin, 403)
        assert len(self.upstream.requests) == before

    async def websockets_open(self) -> None:
        """With a token, and with a cookie from our own page; without either they do not."""
        before = len(self.upstream.requests)
        refused = await once(self.port, get("/api", *UPGRADE))
        assert (refused.status, bool(refused.get("WWW-Authenticate"))) == (401, True)
        assert len(self.upstream.requests) == before
        cookie = (await signed_in(self.gateway)).cookie
        self.upstream.script = echo
        try:
            for lines in ((self.gateway.bearer(),), (cookie, "Origin: http://api.test")):
                async with await Client.connect(self.port) as client:
                    assert (await client.ask(get("/api", *UPGRADE, *lines))).status == 101
                    await client.send(b"hello")
                    assert await asyncio.wait_for(client.reader.readexactly(5), PATIENCE) == b"hello"
                assert self.upstream.last.get("X-Auth-Request-User")
                assert self.upstream.last.all("Authorization") == []
        finally:
            self.upstream.script = None

    async def no_other_upgrade_passes(self) -> None:
        """A server that takes h2c would serve what comes on the connection, and nobody would be asked."""
        for named in (
            ("h2c",),
            ("h2c, websocket",),
            ("h2c", "websocket"),
            ("websocket", "h2c"),
            ("TLS/1.0",),
        ):
            lines = ("Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")
            upgrades = [f"Upgrade: {each}" for each in named]
            before = len(self.upstream.requests)
            async with await Client.connect(self.port) as client:
                reply = await client.ask(get("/public/x", *lines, *upgrades))
            assert reply.status in {200, 400, 403}
            if len(self.upstream.requests) > before:
                passed = b",".join(self.upstream.last.all("Upgrade")).lower()
                assert passed in {b"", b"websocket"}, named
