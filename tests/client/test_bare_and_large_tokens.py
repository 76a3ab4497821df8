"""Tokens as other gateways take them, and tokens of users in hundreds of groups: refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.running import logged, running
from tests.support.wire import get, once

ROUTES = "routes: [{path: /maybe, auth: optional}, {path: /open, auth: none}]\n"
GROUPS = {"cognito:groups": [f"group-{number:04d}-of-a-large-company" for number in range(430)]}


async def test_a_token_without_bearer_is_named(tmp_path: Path) -> None:
    async with running(tmp_path, ROUTES) as gateway:
        token = gateway.token()
        for value in (token, f" {token} "):
            reply = await once(gateway.port, get("/api", f"Authorization: {value}"))
            assert reply.status == 401
            assert "the Bearer scheme" in json.loads(reply.body)["detail"]
            # RFC 6750 section 3.1: no error code where there are no credentials of this scheme.
            assert "error=" not in (reply.get("WWW-Authenticate") or "")
            assert token not in reply.body.decode()
        for other in ("Basic dTpw", "eyJhbGciOiJSUzI1NiJ9", "a.b.c", f"Token {token}"):
            reply = await once(gateway.port, get("/api", f"Authorization: {other}"))
            assert reply.status == 401
            assert "the Bearer scheme" not in json.loads(reply.body)["detail"]
        for path in ("/maybe", "/open"):
            assert (await once(gateway.port, get(path, f"Authorization: {token}"))).status == 200
        lines = await logged(gateway, "request", 8)
        assert [line["reason"] for line in lines][:2] == ["bearer_missing"] * 2
        assert token not in str(gateway.log())


async def test_a_token_with_many_groups_has_a_separate_reason_and_limit(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        large = gateway.bearer(**GROUPS)
        assert 17_000 < len(large) < 24_000
        reply = await once(gateway.port, get("/api", large))
        assert reply.status == 401
        assert "larger than this server accepts" in json.loads(reply.body)["detail"]
        (line,) = await logged(gateway, "auth_failure", 1)
        assert line["reason"] == "token_too_large"
        assert gateway.worker.metrics.limits_reached["cognito.max_token_size"] == 1
        assert (await once(gateway.port, get("/api", gateway.bearer()))).status == 200


@pytest.mark.parametrize("groups", ["X-Auth-Request-Groups", None])
async def test_the_limit_can_be_raised_and_the_header_left_out(tmp_path: Path, groups: str | None) -> None:
    yaml = f"identity_headers: {{groups: {groups or 'null'}}}\n"
    yaml += "routes: [{path: /api, groups: [group-0001-of-a-large-company]}]\n"
    async with running(tmp_path, yaml, cognito_lines="max_token_size: 32KiB") as gateway:
        assert (await once(gateway.port, get("/api", gateway.bearer(**GROUPS)))).status == 200
        sent = gateway.upstream.last.all("X-Auth-Request-Groups")
        assert len(sent) == (groups is not None)
