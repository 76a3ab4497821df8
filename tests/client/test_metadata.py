"""RFC 9728: the metadata that challenges point to, as a client follows them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.running import running
from tests.support.tokens import POOL_ID, issuer_of
from tests.support.wire import get, once

ROUTES = """\
routes:
- {path: /write, methods: [PUT], scopes: [api/read, api/write]}
- {path: /write, scopes: [api/read]}
- {path: /café, scopes: [api/coffee]}
- {path: /plain}
"""


@pytest.mark.parametrize(
    ("target", "scopes"),
    [
        ("/", ["api/read", "api/write", "api/coffee"]),
        ("/write", ["api/read", "api/write"]),
        ("/caf%C3%A9", ["api/coffee"]),
        ("/plain", None),
        ("/x/", None),
    ],
)
async def test_a_refused_client_finds_what_it_needs(
    tmp_path: Path, target: str, scopes: list[str] | None
) -> None:
    async with running(tmp_path, ROUTES) as gateway:
        refused = await once(gateway.port, get(target))
        assert refused.status == 401
        found = re.search(r'resource_metadata="([^"]+)"', refused.get("WWW-Authenticate") or "")
        assert found
        url = found.group(1)
        # Section 3.1: the well-known part stands between host and path.
        assert url == "http://api.test/.well-known/oauth-protected-resource" + target.rstrip("/") + (
            "/" if target.endswith("/") and target != "/" else ""
        )
        reply = await once(gateway.port, get(url.removeprefix("http://api.test")))
        assert (reply.status, reply.get("Content-Type")) == (200, "application/json")
        assert (reply.get("Cache-Control"), reply.get("Vary")) == ("public, max-age=300", None)
        document = json.loads(reply.body)
        # Section 3.3: to the letter what was asked for.
        assert document["resource"] == "http://api.test" + target
        assert document["authorization_servers"] == [issuer_of(POOL_ID)]
        assert document["bearer_methods_supported"] == ["header"]
        assert document.get("scopes_supported") == scopes
        assert gateway.upstream.requests == []


@pytest.mark.parametrize(
    "target",
    ["/.well%2Dknown/oauth-protected-resource", "/%2ewell-known/oauth-protected-resource/a"],
)
async def test_another_spelling_of_it_is_ours_and_nothing(tmp_path: Path, target: str) -> None:
    async with running(tmp_path, "routes: [{path: /**, auth: none}]\n") as gateway:
        assert (await once(gateway.port, get(target))).status == 404
        assert gateway.upstream.requests == []


async def test_a_cache_separates_responses_by_forwarded_headers(tmp_path: Path) -> None:
    trusted = "trusted_proxies: [127.0.0.0/8]"
    target, told = "/.well-known/oauth-protected-resource", "X-Forwarded-Host: shop.test"
    async with running(tmp_path, listen_lines=trusted) as gateway:
        for lines, resource in (([told], "http://shop.test/"), ([], "http://api.test/")):
            reply = await once(gateway.port, get(target, *lines))
            assert json.loads(reply.body)["resource"] == resource
            assert reply.get("Vary") == "X-Forwarded-Host, X-Forwarded-Proto"
    async with running(tmp_path, listen_lines=f"{trusted}, public_url: 'https://public.test'") as gateway:
        reply = await once(gateway.port, get(target, told))
        assert json.loads(reply.body)["resource"] == "https://public.test/"
        assert reply.get("Vary") is None


async def test_it_can_be_read_only(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        reply = await once(
            gateway.port, get("/.well-known/oauth-protected-resource", gateway.bearer(), method="POST")
        )
        assert (reply.status, reply.get("Allow")) == (405, "GET, HEAD")
