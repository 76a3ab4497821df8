"""Routes that ask for more than a token, through real sockets: what is refused never reaches the upstream."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.running import Running, logged, running
from tests.support.tokens import POOL_ID
from tests.support.wire import Client, get, once

ROUTES = """\
routes:
- {path: /public/**, auth: none}
- {path: /admin/**, groups: [admins]}
- {path: /write, scopes: [api/read, api/write], groups: [users]}
- {path: /tenant, claims: {'custom:tenant': [acme, 7], email_verified: true}}
- {path: /pool, pool: ap-south-1_TestPool1}
- {path: /maybe, auth: optional, groups: [admins]}
""".replace("ap-south-1_TestPool1", POOL_ID)


def member(gateway: Running, *groups: str) -> str:
    return gateway.bearer(**{"cognito:groups": list(groups)})


@pytest.mark.parametrize(
    "target",
    ["/admin", "/admin/", "/admin/x?y", "/%61dmin", "/admin/a%20b", "/admin?x=/public/", "/admin/%23/public"],
)
async def test_only_the_group_gets_in(tmp_path: Path, target: str) -> None:
    async with running(tmp_path, ROUTES) as gateway:
        assert (await once(gateway.port, get(target))).status == 401
        for groups in ((), ("users",), ("Admins",), ("admins,users",)):
            reply = await once(gateway.port, get(target, member(gateway, *groups)))
            assert reply.status == 403
            assert json.loads(reply.body)["title"] == "Forbidden"
        assert gateway.upstream.requests == []
        assert (await once(gateway.port, get(target, member(gateway, "users", "admins")))).status == 200
        assert gateway.upstream.last.target == target.encode()


async def test_the_challenge_names_the_scopes_and_the_log_what_is_missing(tmp_path: Path) -> None:
    async with running(tmp_path, ROUTES) as gateway:
        reply = await once(gateway.port, get("/write", gateway.bearer(scope="api/read openid")))
        assert reply.all("WWW-Authenticate") == [
            'Bearer realm="cognito-gateway", error="insufficient_scope", error_description="The access token '
            'does not grant access to this resource.", scope="api/read api/write", resource_metadata='
            '"http://api.test/.well-known/oauth-protected-resource/write"'
        ]
        (line,) = await logged(gateway, "auth_denied", 1)
        assert line["exact"] == "in none of the groups users; the token lacks the scopes api/write"
        assert (line["reason"], line["pool"]) == ("missing_group", POOL_ID)
        assert line["subject"]
        (access,) = await logged(gateway, "request", 1)
        assert (access["decision"], access["reason"], access["status"]) == ("refused", "missing_group", 403)
        # A refusal for a group alone names no scope.
        reply = await once(gateway.port, get("/admin", gateway.bearer()))
        assert "scope=" not in (reply.get("WWW-Authenticate") or "")


async def test_claims_of_the_token_are_asked_for(tmp_path: Path) -> None:
    async with running(tmp_path, ROUTES) as gateway:
        for tenant, verified, status in (
            ("acme", True, 200),
            (7, "true", 200),
            ("7", True, 200),
            ("evil", True, 403),
            ("acme", False, 403),
        ):
            claims = {"custom:tenant": tenant, "email_verified": verified}
            assert (await once(gateway.port, get("/tenant", gateway.bearer(**claims)))).status == status
        assert (await once(gateway.port, get("/tenant", gateway.bearer()))).status == 403


async def test_a_refused_principal_does_not_spoil_the_connection_or_the_token(tmp_path: Path) -> None:
    async with running(tmp_path, ROUTES) as gateway, await Client.connect(gateway.port) as client:
        bearer = gateway.bearer()
        for target, status in (("/x", 200), ("/admin", 403), ("/x", 200), ("/pool", 200), ("/maybe", 403)):
            assert (await client.ask(get(target, bearer))).status == status
        assert (await client.ask(get("/maybe"))).status == 200
        assert gateway.upstream.last.get("X-Auth-Request-User") is None


@pytest.mark.parametrize(
    "lines",
    [
        ["X-HTTP-Method-Override: GET"],
        ["X-Original-Method: OPTIONS"],
        ["X-Original-URL: /public/a"],
        ["X-Rewrite-URL: /public/a"],
        ["X-Forwarded-Uri: /public/a"],
        ["User-Agent: kube-probe/1.30"],
        ["User-Agent: GoogleHC/1.0"],
        ["Connection: X-Auth-Request-Groups", "X-Auth-Request-Groups: admins"],
        ["X_Auth_Request_Groups: admins"],
    ],
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "get", "PROPFIND"])
async def test_no_header_and_no_method_opens_the_admins_path(
    tmp_path: Path, lines: list[str], method: str
) -> None:
    async with running(tmp_path, ROUTES) as gateway:
        for credentials, statuses in (([], {401, 400}), ([gateway.bearer()], {403, 400})):
            reply = await once(gateway.port, get("/admin", *credentials, *lines, method=method))
            assert reply.status in statuses
        for host in ("API.TEST", "api.test.", "api.test:8000", "127.0.0.1"):
            assert (await once(gateway.port, get("/admin", gateway.bearer(), host=host))).status == 403
        assert gateway.upstream.requests == []
