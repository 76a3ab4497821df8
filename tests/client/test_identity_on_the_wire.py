"""Claims as identity headers: what the upstream's socket receives, byte by byte."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.support.running import running
from tests.support.tokens import sign_raw
from tests.support.wire import get, once

YAML = """\
identity_headers: {claims: {X-Auth-Request-Tenant: 'custom:tenant', X-Auth-Request-Roles: 'custom:roles'}}
"""
HOSTILE = [
    "a\r\nX-Auth-Request-User: root",
    "a\nX-Admin: 1",
    "nul\0byte",
    "tab\tbed",
    "del\x7f",
    "next\x85line",
    "line\u2028separator",
    "a,b",
    "Zoë",
    "日本語",
    "😀",
    "100%0d%0a",
    " spaces ",
    '"quoted"; b=c',
]


@pytest.mark.parametrize("value", HOSTILE)
async def test_any_claim_is_one_line_and_reads_back(tmp_path: Path, value: str) -> None:
    async with running(tmp_path, YAML) as gateway:
        bearer = gateway.bearer(**{"custom:tenant": value, "custom:roles": [value, "plain"]})
        assert (await once(gateway.port, get("/", bearer))).status == 200
        arrived = gateway.upstream.last
        assert all(0x20 <= byte <= 0x7E or byte in b"\r\n" for byte in arrived.head)
        assert arrived.head.count(b"\n") == arrived.head.count(b"\r\n")
        (tenant,) = arrived.all("X-Auth-Request-Tenant")
        assert unquote(tenant.decode("ascii")) == value
        (roles,) = arrived.all("X-Auth-Request-Roles")
        assert [unquote(each) for each in roles.decode("ascii").split(",")] == [value, "plain"]
        assert len(arrived.all("X-Auth-Request-User")) == 1
        assert arrived.get("X-Admin") is None


@pytest.mark.parametrize("group", ["a,b", "Zoë", "日本語", "100%", "a b"])
async def test_a_group_is_one_member_of_the_list(tmp_path: Path, group: str) -> None:
    async with running(tmp_path) as gateway:
        bearer = gateway.bearer(**{"cognito:groups": ["x", group]})
        assert (await once(gateway.port, get("/", bearer))).status == 200
        (groups,) = gateway.upstream.last.all("X-Auth-Request-Groups")
        assert [unquote(each) for each in groups.decode("ascii").split(",")] == ["x", group]


@pytest.mark.parametrize("value", ["a\r\nb", "nul\0", "\x7f", "\x85"])
@pytest.mark.parametrize("claim", ["sub", "username", "cognito:groups"])
async def test_a_name_with_control_characters_is_refused(tmp_path: Path, claim: str, value: str) -> None:
    async with running(tmp_path) as gateway:
        bearer = gateway.bearer(**{claim: [value] if claim == "cognito:groups" else value})
        assert (await once(gateway.port, get("/", bearer))).status == 401
        assert gateway.upstream.requests == []


@pytest.mark.parametrize("escape", [r"\ud800", r"\udfff", r"\udc00\ud800"])
async def test_a_lone_surrogate_is_refused_anywhere(tmp_path: Path, escape: str) -> None:
    async with running(tmp_path, YAML) as gateway:
        token = gateway.token(**{"custom:tenant": "MARK"})
        payload = base64.urlsafe_b64decode(token.split(".")[1] + "==")
        header = b'{"kid":"key-1","alg":"RS256"}'
        forged = sign_raw(gateway.key, header, payload.replace(b"MARK", escape.encode()))
        reply = await once(gateway.port, get("/", f"Authorization: Bearer {forged.decode()}"))
        assert reply.status == 401
        assert gateway.upstream.requests == []


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (True, "true"),
        (7, "7"),
        (None, "null"),
        ({"a": "ü,b"}, '{"a":"%C3%BC,b"}'),
        ([1, "a"], '[1,"a"]'),
        ([], ""),
        ("", ""),
    ],
)
async def test_non_string_claims_are_sent_as_json(tmp_path: Path, value: object, sent: str) -> None:
    async with running(tmp_path, YAML) as gateway:
        bearer = gateway.bearer(**{"custom:tenant": value})
        assert (await once(gateway.port, get("/", bearer))).status == 200
        assert gateway.upstream.last.all("X-Auth-Request-Tenant") == [sent.encode()]


async def test_a_missing_claim_gives_no_header(tmp_path: Path) -> None:
    async with running(tmp_path, YAML) as gateway:
        lines = ["X-Auth-Request-Tenant: acme", "x_auth_request_roles: admin", gateway.bearer()]
        assert (await once(gateway.port, get("/", *lines))).status == 200
        assert gateway.upstream.last.get("X-Auth-Request-Tenant") is None
        assert b"acme" not in gateway.upstream.last.head
        assert b"x_auth_request_roles" not in gateway.upstream.last.head
