"""Pages of other origins, as a browser sends their requests: what they may ask, and what they get to read."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

from tests.support.running import Running, logged, running
from tests.support.wire import Client, Reply, Upstream, get, once

APP = "https://app.example.com"
CORS = (
    f"cors: {{allow_origins: ['{APP}', 'http://localhost:5173'], allow_headers: [Authorization, X-Thing]}}\n"
)
ROUTES = "routes: [{path: /open/**, auth: none}, {path: /admin/**, groups: [admins]}]\n"
ASKS = ("Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: authorization")


async def preflight(gateway: Running, target: str, origin: str, *lines: str) -> Reply:
    head = get(target, f"Origin: {origin}", *(lines or ASKS), method="OPTIONS")
    return await once(gateway.port, head)


async def test_a_preflight_is_answered_here(tmp_path: Path) -> None:
    async with running(tmp_path, CORS + ROUTES) as gateway:
        for target in ("/x", "/open/x", "/admin/x", "/"):
            reply = await preflight(gateway, target, APP)
            assert reply.status == 204
            assert reply.all("Access-Control-Allow-Origin") == [APP]
            assert reply.all("Access-Control-Allow-Methods") == ["GET, HEAD, POST"]
            assert reply.all("Access-Control-Allow-Headers") == ["Authorization, X-Thing"]
            assert reply.all("Access-Control-Max-Age") == ["600"]
            assert reply.all("Vary") == [
                "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
            ]
            assert reply.get("Access-Control-Allow-Credentials") is None
            assert reply.get("Content-Length") is None, "RFC 9110 section 8.6"
        assert gateway.upstream.requests == []
        line = (await logged(gateway, "request", 4))[-1]
        assert (line["decision"], line["reason"], line["status"]) == ("allowed", "preflight", 204)
        assert reply.all("X-Request-Id") == [line["request_id"]]


@pytest.mark.parametrize(
    "origin",
    [
        *(
            "https://evil.example.com",
            "https://app.example.com.evil.test",
            "https://app.example.comx",
            "null",
        ),
        *("http://app.example.com", "https://app.example.com:8443", "https://APP.example.com", "https://a"),
        *("https://app.example.com/", "https://app.example.com https://evil.test", "*", ""),
    ],
)
async def test_another_origins_preflight_is_refused_and_its_page_reads_nothing(
    tmp_path: Path, origin: str
) -> None:
    async with running(tmp_path, CORS + ROUTES) as gateway:
        refused = await preflight(gateway, "/open/x", origin)
        asked = await once(gateway.port, get("/open/x", f"Origin: {origin}"))
        unauthorized = await once(gateway.port, get("/x", f"Origin: {origin}"))
        assert (refused.status, asked.status, unauthorized.status) == (403, 200, 401)
        for reply in (refused, asked, unauthorized):
            assert b"access-control-" not in reply.head.lower()
            assert "Origin" in reply.all("Vary"), "a cache must not show it to the others"
        assert len(gateway.upstream.requests) == 1


async def test_an_options_request_that_is_no_preflight_is_judged_as_any(tmp_path: Path) -> None:
    async with running(tmp_path, CORS + ROUTES) as gateway, await Client.connect(gateway.port) as client:
        for _ in range(2):
            for lines in ([], [f"Origin: {APP}"], ["Access-Control-Request-Method: GET"]):
                assert (await client.ask(get("/x", *lines, method="OPTIONS"))).status == 401
                assert (await client.ask(get("/open/x", *lines, method="OPTIONS"))).status == 200
            preflight = get("/open/x", f"Origin: {APP}", *ASKS, method="OPTIONS")
            # Also of a target that was asked for before, which is otherwise remembered.
            assert (await client.ask(preflight)).status == 204
        two = get("/open/x", f"Origin: {APP}", "Origin: https://evil.test", *ASKS, method="OPTIONS")
        assert b"access-control-" not in (await client.ask(two)).head.lower()


async def test_our_refusals_can_be_read(tmp_path: Path) -> None:
    more = "rate_limit: {requests_per_second: 1, burst: 3}\n"
    async with running(tmp_path, CORS + ROUTES + more) as gateway:
        bearer = gateway.bearer()
        statuses = []
        for target, *lines in (
            ("/x",),
            ("/x", "Authorization: Bearer nonsense"),
            ("/a//b",),
            ("/admin/x", bearer),
            *[("/x", bearer)] * 4,
        ):
            reply = await once(gateway.port, get(target, f"Origin: {APP}", *lines))
            statuses.append(reply.status)
            assert reply.all("Access-Control-Allow-Origin") == [APP]
            assert "Origin" in reply.all("Vary")
            if reply.status >= 400:
                exposed = reply.get("Access-Control-Expose-Headers") or ""
                assert {"WWW-Authenticate", "Retry-After", "X-Request-Id"} <= set(exposed.split(", "))
        assert statuses[:4] == [401, 401, 400, 403]
        assert statuses[-1] == 429


async def test_the_upstream_fails_and_the_page_may_know(tmp_path: Path) -> None:
    async with running(tmp_path, CORS, upstream_url="http://127.0.0.1:9") as gateway:
        reply = await once(gateway.port, get("/x", f"Origin: {APP}", gateway.bearer()))
        assert (reply.status, reply.get("Access-Control-Allow-Origin")) == (502, APP)


async def test_upstream_responses_without_cors_headers_get_ours(tmp_path: Path) -> None:
    yaml = CORS.replace("}\n", ", allow_credentials: true, expose_headers: [X-Total, ETag]}\n") + ROUTES
    own = b"HTTP/1.1 200 OK\r\naccess-control-ALLOW-origin: https://theirs.test\r\nContent-Length: 0\r\n\r\n"
    upstream = Upstream()
    async with running(tmp_path, yaml, upstream=upstream) as gateway:
        reply = await once(gateway.port, get("/open/x", f"Origin: {APP}"))
        assert reply.all("Access-Control-Allow-Origin") == [APP]
        assert reply.all("Access-Control-Allow-Credentials") == ["true"]
        assert reply.all("Access-Control-Expose-Headers") == ["X-Total, ETag"]
        assert reply.all("Vary") == ["Origin"]
        reply = await preflight(gateway, "/x", APP)
        assert reply.get("Access-Control-Allow-Credentials") == "true"
        upstream.answer = own
        reply = await once(gateway.port, get("/open/x", f"Origin: {APP}"))
        assert reply.all("Access-Control-Allow-Origin") == ["https://theirs.test"]
        assert reply.get("Access-Control-Allow-Credentials") is None
        # The request's own header reaches the upstream in any case.
        assert upstream.last.get("Origin") == APP.encode()


async def test_every_origin(tmp_path: Path) -> None:
    async with running(tmp_path, "cors: {allow_origins: ['*']}\n" + ROUTES) as gateway:
        for origin in ("https://any.test", "null"):
            assert (await preflight(gateway, "/x", origin)).get("Access-Control-Allow-Origin") == "*"
            reply = await once(gateway.port, get("/open/x", f"Origin: {origin}"))
            assert (reply.get("Access-Control-Allow-Origin"), reply.get("Vary")) == ("*", None)
        assert (await once(gateway.port, get("/open/x"))).get("Access-Control-Allow-Origin") is None


async def test_null_only_where_it_is_listed(tmp_path: Path) -> None:
    async with running(tmp_path, "cors: {allow_origins: ['null']}\n" + ROUTES) as gateway:
        assert (await preflight(gateway, "/x", "null")).get("Access-Control-Allow-Origin") == "null"


async def test_our_pages_are_not_readable_by_other_origins(tmp_path: Path) -> None:
    async with running(tmp_path, CORS.replace("}\n", ", allow_credentials: true}\n")) as gateway:
        reply = await once(gateway.port, get("/oauth2/nothing", f"Origin: {APP}", "Accept: text/html"))
        assert (reply.get("Content-Type") or "").startswith("text/html")
        assert b"access-control-" not in reply.head.lower()
        metadata = await once(gateway.port, get("/.well-known/oauth-protected-resource", f"Origin: {APP}"))
        assert metadata.get("Access-Control-Allow-Origin") == APP


async def test_without_cors_preflights_are_requests_as_any_other(tmp_path: Path) -> None:
    async with running(tmp_path, ROUTES) as gateway:
        assert (await preflight(gateway, "/x", APP)).status == 401
        reply = await preflight(gateway, "/open/x", APP)
        assert reply.status == 200
        assert b"access-control-" not in reply.head.lower()
        assert gateway.upstream.last.request_line == b"OPTIONS /open/x HTTP/1.1"


async def test_a_reload_disables_cors(tmp_path: Path) -> None:
    async with running(tmp_path, CORS + ROUTES) as gateway, await Client.connect(gateway.port) as client:
        head = get("/open/x", f"Origin: {APP}", *ASKS, method="OPTIONS")
        assert (await client.ask(head)).status == 204
        config = gateway.worker.config
        await gateway.worker.reload(dataclasses.replace(config, cors=None))
        await asyncio.sleep(0)
        assert (await client.ask(head)).status == 200
