"""Pages over raw HTTP: found or not, guarded in any case."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.running import logged, running
from tests.support.wire import Reply, get, once

HTML = "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"


def assert_guarded(reply: Reply) -> None:
    policy = reply.get("content-security-policy") or ""
    for directive in (
        "default-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    ):
        assert directive in policy
    assert "unsafe" not in policy
    assert reply.all("cache-control") == ["no-store"]
    assert reply.get("x-content-type-options") == "nosniff"
    assert reply.get("referrer-policy") == "same-origin"
    assert len(reply.all("x-request-id")) == 1


async def test_the_callers_claims_without_a_token(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        token = gateway.token(**{"cognito:groups": ["admins"]})
        reply = await once(gateway.port, get("/oauth2/userinfo", f"Authorization: Bearer {token}"))
        assert reply.status == 200
        claims = json.loads(reply.body)
        assert (claims["username"], claims["cognito:groups"]) == ("alice", ["admins"])
        assert token.encode() not in reply.body
        assert_guarded(reply)
        refused = await once(gateway.port, get("/oauth2/userinfo"))
        assert refused.status == 401
        assert "Bearer" in (refused.get("www-authenticate") or "")
        forged = await once(gateway.port, get("/oauth2/userinfo", "Authorization: Bearer x.y.z"))
        assert forged.status == 401
        assert gateway.upstream.requests == []


@pytest.mark.parametrize("target", ["/oauth2/nothing", "/oauth2/userinfo/", "/oauth2//"])
async def test_unknown_pages_are_ours_to_refuse(tmp_path: Path, target: str) -> None:
    async with running(tmp_path) as gateway:
        assert (await once(gateway.port, get(target))).status in {400, 404}
        assert gateway.upstream.requests == []


async def test_a_refusal_is_a_page_for_a_browser_and_echoes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        reply = await once(gateway.port, get("/oauth2/<script>alert(1)</script>", HTML))
        assert reply.status == 404
        assert_guarded(reply)
        assert reply.all("content-type") == ["text/html; charset=utf-8"]
        assert b"alert" not in reply.body
        (line,) = await logged(gateway, "request", 1)
        assert line["reason"] == "not_found"


async def test_an_answer_names_its_line_in_the_log(tmp_path: Path) -> None:
    targets = ("/oauth2/", "/oauth2/sign_in", "/oauth2/nothing")
    async with running(tmp_path) as gateway:
        for number, target in enumerate(targets, 1):
            reply = await once(gateway.port, get(target, HTML))
            assert_guarded(reply)
            line = (await logged(gateway, "request", number))[-1]
            assert (line["path"], line["request_id"]) == (target, reply.get("x-request-id"))
        file = re.search(rb"/oauth2/static/[^\"]+", reply.body)
        assert file is not None
        kept = await once(gateway.port, get(file[0].decode()))
        assert (kept.status, kept.get("x-request-id")) == (200, None)


async def test_other_methods_get_an_allow_header(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        reply = await once(gateway.port, get("/oauth2/userinfo", "Content-Length: 0", method="DELETE"))
        assert (reply.status, reply.get("allow")) == (405, "GET, HEAD")
        head = await once(gateway.port, get("/oauth2/userinfo", method="HEAD"), method="HEAD")
        assert head.status == 401


async def test_without_pages_there_is_nothing_and_nothing_is_loaded(tmp_path: Path) -> None:
    async with running(tmp_path, "sign_in: {enabled: false}\n") as gateway:
        assert (await once(gateway.port, get("/oauth2/userinfo", gateway.bearer()))).status == 404
        assert (await once(gateway.port, get("/oauth2/", HTML))).status == 404


async def test_a_query_with_a_name_twice_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        reply = await once(gateway.port, get("/oauth2/userinfo?a=1&a=2", gateway.bearer()))
        assert reply.status == 400
        assert json.loads(reply.body)["title"] == "Bad request"
