"""A foreign page's WebSocket with its visitor's cookie: refused in every form in which a proxy may ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.envoy_client import check, envoy
from tests.support.forward_auth import STYLES, asked_gateway
from tests.support.portal import signed_in
from tests.support.wire import get, once

EVIL, OWN = "Origin: http://evil.test", "Origin: http://api.test"
# (method, lines, whether it may pass): what is left of a handshake behind a proxy, and what is none.
CASES = (
    ("GET", (), True),
    ("GET", (OWN,), True),
    ("GET", (OWN, "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13"), True),
    ("GET", (EVIL, "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13"), False),
    # HTTP/2's extended CONNECT (RFC 8441) has no key.
    ("GET", (EVIL, "Sec-WebSocket-Version: 13"), False),
    # A proxy that passes on Origin and Cookie, and nothing of the handshake.
    ("GET", (EVIL,), False),
    ("GET", ("Origin: null",), False),
    ("GET", (EVIL, "Sec-Fetch-Mode: websocket"), False),
    ("GET", (EVIL, "Sec-Fetch-Mode: cors", "Sec-Fetch-Mode: websocket"), False),
    ("HEAD", (EVIL,), False),
    # Proven to be a page's fetch, whose answer the page cannot read.
    ("GET", (EVIL, "Sec-Fetch-Mode: cors"), True),
    ("GET", (EVIL, "Sec-Fetch-Mode: cors", "Sec-WebSocket-Key: x"), False),
    ("POST", (EVIL, "Sec-Fetch-Mode: cors"), False),
    ("POST", (OWN,), True),
)


@pytest.mark.parametrize("style", STYLES)
async def test_a_foreign_pages_handshake_is_refused(tmp_path: Path, style: str) -> None:
    async with asked_gateway(tmp_path) as gateway:
        browser = await signed_in(gateway)
        for method, lines, passes in CASES:
            asked, target = ["X-Forwarded-Host: api.test", *lines], "/oauth2/auth"
            if style == "envoy":
                target += "/api"
            elif style == "nginx":
                asked += ["X-Original-URL: /api", f"X-Original-Method: {method}"]
            else:
                asked += ["X-Forwarded-Uri: /api", f"X-Forwarded-Method: {method}"]
            wire = method if style == "envoy" else "GET"
            reply = await browser.get(target, *asked, method=wire)
            assert (method, lines, reply.status) == (method, lines, 200 if passes else 403)


async def test_over_grpc_too(tmp_path: Path) -> None:
    async with envoy(tmp_path) as (gateway, stub):
        browser = await signed_in(gateway)
        for method, lines, passes in CASES:
            headers: dict[str, str] = {"cookie": browser.cookie.partition(": ")[2]}
            for line in lines:
                name, _, value = line.partition(": ")
                # As Envoy joins what comes twice.
                before = headers.get(name.lower())
                headers[name.lower()] = value if before is None else f"{before},{value}"
            request = check("/api", headers, method=method)
            request.attributes.request.http.scheme = "http"
            response = await stub.Check(request)
            denied = response.denied_response.status.code if response.HasField("denied_response") else 200
            assert (method, lines, denied) == (method, lines, 200 if passes else 403)


async def test_a_bearer_token_is_no_cookie(tmp_path: Path) -> None:
    """No page sends one of its visitor's along."""
    async with asked_gateway(tmp_path) as gateway:
        named = ["X-Original-URL: /api", "X-Original-Method: GET", EVIL, "Sec-WebSocket-Key: x"]
        assert (await once(gateway.port, get("/oauth2/auth", *named, gateway.bearer()))).status == 200
