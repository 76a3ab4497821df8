"""Ambiguous paths, byte by byte: none of them reaches what needs a token."""

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
async def test_a_path_that_is_not_open_needs_a_token(tmp_path: Path, target: str) -> None:
    async with running(tmp_path, ROUTES) as gateway:
        assert (await once(gateway.port, get(target))).status == 401
        assert gateway.upstream.requests == []
        for host in ("API.TEST", "api.test.", "api.test:8000", "127.0.0.1"):
            assert (await once(gateway.port, get(target, host=host))).status == 401


@pytest.mark.parametrize(
    "target", ["/public/a%20b?q=%0d%0a&r=//..;", "/public/caf%C3%A9", "/%70ublic/%23", "/a.b"]
)
async def test_an_open_path_is_forwarded_unchanged(tmp_path: Path, target: str) -> None:
    async with running(tmp_path, ROUTES) as gateway:
        assert (await once(gateway.port, get(target))).status == 200
        assert gateway.upstream.last.target == target.encode()


@pytest.mark.parametrize(
    "target", ["/oauth2/nothing", "/oauth2", "/oauth2/../public/", "/%6fauth2/x", "/oauth2/x?y"]
)
async def test_a_reserved_path_is_never_proxied(tmp_path: Path, target: str) -> None:
    async with running(tmp_path, "routes: [{path: '/**', auth: none}]\n") as gateway:
        assert (await once(gateway.port, get(target, gateway.bearer()))).status in {400, 404}
        assert gateway.upstream.requests == []


PASSING = """\
paths: {encoded_slash: pass, double_slash: pass, semicolon: pass}
routes:
- {path: /admin/**, groups: [admins]}
- {path: /public/**, auth: none}
"""


@pytest.mark.parametrize(
    "target",
    [
        *("/public/..%2fadmin", "/public%2f..%2fadmin", "/public/..%5cadmin", "/public/%2e%2e/admin"),
        *("/public/..;/admin", "/public/..;x=y/admin", "/public/../admin", "/public/%252e%252e/admin"),
        *("//admin", "/%2fadmin", "/;x/admin", "/public\\admin", "/public/%00"),
    ],
)
async def test_paths_that_no_setting_allows(tmp_path: Path, target: str) -> None:
    async with running(tmp_path, PASSING) as gateway:
        assert (await once(gateway.port, get(target, gateway.bearer()))).status == 400
        assert gateway.upstream.requests == []


@pytest.mark.parametrize(
    "target",
    [
        *("/admin;x=y", "/admin%2fx", "/admin%5Cx", "/admin//x", "/admin;/x", "/admin;public/x;y"),
        *("/admin%3b", "/admin/"),
    ],
)
async def test_the_admins_path_in_any_reading_is_the_admins(tmp_path: Path, target: str) -> None:
    async with running(tmp_path, PASSING) as gateway:
        assert (await once(gateway.port, get(target))).status == 401
        assert (await once(gateway.port, get(target, gateway.bearer()))).status == 403
        assert gateway.upstream.requests == []
        admin = gateway.bearer(**{"cognito:groups": ["admins"]})
        assert (await once(gateway.port, get(target, admin))).status == 200
        assert gateway.upstream.last.target == target.encode()


@pytest.mark.parametrize(
    "target", ["/public/a%2Fb", "/public/a%5Cb", "/public//b", "/public/a;v=1/b;w", "/public/a%3Bb"]
)
async def test_a_path_open_in_every_reading_is_forwarded_unchanged(tmp_path: Path, target: str) -> None:
    async with running(tmp_path, PASSING) as gateway:
        assert (await once(gateway.port, get(target))).status == 200
        assert gateway.upstream.last.target == target.encode()


@pytest.mark.parametrize("target", ["/public;x", "/public%2fa", "/public;/../a", "/public/a;b"])
async def test_a_path_open_in_only_one_reading_is_not_open(tmp_path: Path, target: str) -> None:
    routes = "routes: [{path: /public, auth: none}, {path: '/public/a;b', auth: none}]\n"
    async with running(tmp_path, "paths: {encoded_slash: pass, semicolon: pass}\n" + routes) as gateway:
        assert (await once(gateway.port, get(target))).status in {400, 401}
        assert gateway.upstream.requests == []


@pytest.mark.parametrize(
    "target",
    [
        *("/oauth2;x/sign_in", "/oauth2%2fsign_in", "/oauth2//x", "/;x%2foauth2/x", "/oauth2%5cx"),
        *("/oauth2;", "/.well-known;x/oauth-protected-resource", "/.well-known%2foauth-protected-resource/a"),
    ],
)
async def test_a_path_reserved_in_any_reading_is_never_proxied(tmp_path: Path, target: str) -> None:
    yaml = PASSING.partition("routes:")[0] + "routes: [{path: '/**', auth: none}]\n"
    async with running(tmp_path, yaml) as gateway:
        assert (await once(gateway.port, get(target))).status in {400, 404}
        assert gateway.upstream.requests == []
