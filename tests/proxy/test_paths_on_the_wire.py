"""ATTACKS "Paths", byte by byte: none of them reaches what needs a token."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.running import running
from tests.support.wire import get, once

ROUTES = "routes: [{path: '/public/**', auth: none}, {path: '/a.b', auth: none}]\n"


@pytest.mark.parametrize(
    "target",
    [
        *("/public/../admin", "/public/%2e%2e/admin", "/public/.%2e/admin", "/public/%2E%2E%2fadmin"),
        *("/public%2f..%2fadmin", "/public/..%5cadmin", "/public/..\\admin", "//admin", "/public//admin"),
        *("/public/%252e%252e/admin", "/public/%25%32%65%25%32%65/admin", "/public/%zz", "/public/%00"),
        *("/public/%0d%0aX:%20y", "/public/..;/admin", "/public/;x/admin", "/public/a%3bb", "/public/%c0%ae"),
        *("/admin#/public/", "/public/#", "/public/./a", "/public/.."),
    ],
)
async def test_an_ambiguous_path_is_a_400(tmp_path: Path, target: str) -> None:
    async with running(tmp_path, ROUTES) as gateway:
        for lines in ([], [gateway.bearer()]):
            reply = await once(gateway.port, get(target, *lines))
            assert reply.status == 400
            assert reply.get("content-type") == "application/problem+json"
        assert gateway.upstream.requests == []


@pytest.mark.parametrize(
    "target",
    [
        *("/admin", "/admin?x=/public/", "/admin%23/public/", "/admin%3F/public/", "/PUBLIC/a", "/publicx"),
        *("/public%20/a", "/aXb", "/%61%64min", "/public%E2%80%8B/a", "/ public".replace(" ", "%20")),
    ],
)
async def test_what_is_not_open_needs_a_token(tmp_path: Path, target: str) -> None:
    async with running(tmp_path, ROUTES) as gateway:
        assert (await once(gateway.port, get(target))).status == 401
        assert gateway.upstream.requests == []
        for host in ("API.TEST", "api.test.", "api.test:8000", "127.0.0.1"):
            assert (await once(gateway.port, get(target, host=host))).status == 401


@pytest.mark.parametrize(
    "target", ["/public/a%20b?q=%0d%0a&r=//..;", "/public/caf%C3%A9", "/%70ublic/%23", "/a.b"]
)
async def test_an_open_path_goes_on_untouched(tmp_path: Path, target: str) -> None:
    async with running(tmp_path, ROUTES) as gateway:
        assert (await once(gateway.port, get(target))).status == 200
        assert gateway.upstream.last.target == target.encode()


@pytest.mark.parametrize(
    "target", ["/oauth2/nothing", "/oauth2", "/oauth2/../public/", "/%6fauth2/x", "/oauth2/x?y"]
)
async def test_what_is_reserved_is_never_proxied(tmp_path: Path, target: str) -> None:
    async with running(tmp_path, "routes: [{path: '/**', auth: none}]\n") as gateway:
        assert (await once(gateway.port, get(target, gateway.bearer()))).status in {400, 404}
        assert gateway.upstream.requests == []
