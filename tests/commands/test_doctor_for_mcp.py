"""What `doctor` finds about the front door for MCP clients, its Redis and its app client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import run_here as run
from tests.support.ports import free_port
from tests.support.redis_server import redis_server
from tests.support.site import CLIENT, FLOWS, POOL, Site, seed, site


def findings(path: Path, about: str) -> list[tuple[str, str, str]]:
    """Return level, sentence and fix of each finding whose subject begins so."""
    done = run("doctor", "--json", "--config", path)
    assert done.stderr == ""
    return [
        (each["level"], each["what"], each["fix"])
        for each in json.loads(done.stdout)["findings"]
        if each["about"].startswith(about)
    ]


async def found(at: Site, about: str) -> list[tuple[str, str, str]]:
    # The gateway that is asked runs in this process.
    return await asyncio.to_thread(findings, at.folder / "gateway.yaml", about)


async def front_door(at: Site, **mcp: str) -> None:
    path = at.folder / "gateway.yaml"
    members = json.dumps({"resource": f"{at.url}/mcp", **mcp})
    path.write_text(f"{path.read_text()}mcp: {members}\n")
    await at.worker.reload(at.source.load().config)


async def test_clients_find_the_gateway(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        await front_door(at)
        assert await found(at, "MCP metadata") == [
            ("good", "is as MCP clients need it", ""),
            ("good", "is as MCP clients need it", ""),
        ]


async def test_where_the_pool_registers_clients(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        path = at.folder / "gateway.yaml"
        path.write_text(
            path.read_text().replace(
                f'"client_ids": ["{CLIENT}"]', f'"clients": "bound", "audiences": ["{at.url}/mcp"]'
            )
        )
        await front_door(at, registration="native")
        assert await found(at, "MCP metadata") == [("good", "is as MCP clients need it", "")]


async def test_the_public_address_leads_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with site(tmp_path) as at, site(tmp_path / "other") as other:
        path = at.folder / "gateway.yaml"
        before = path.read_text()
        path.write_text(f"{before}mcp: {{resource: '{at.upstream.url}/mcp'}}\n")
        for level, what, fix in await found(at, "MCP metadata"):
            assert (level, what) == ("broken", "answers 200 without the document")
            assert "leads to the gateway" in fix
        path.write_text(f"{before}mcp: {{resource: 'http://127.0.0.1:{free_port()}/mcp'}}\n")
        for level, what, fix in await found(at, "MCP metadata"):
            assert level == "warning"
            assert what.startswith("cannot be fetched from this machine: ")
            assert fix.startswith("start the gateway")
        await front_door(other)
        path.write_text(f"{before}mcp: {{resource: '{other.url}/others'}}\n")
        resource, issuer = await found(at, "MCP metadata")
        assert resource[0] == "broken"
        assert resource[1].startswith("has another authorization_servers than the configuration: ")
        assert issuer[0] == "good"


@pytest.mark.parametrize(
    ("client", "refuses"),
    [
        ({"ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_SRP_AUTH"]}, True),
        ({"ExplicitAuthFlows": FLOWS}, False),
        (
            {
                "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH"],
                "RefreshTokenRotation": {"Feature": "ENABLED", "RetryGracePeriodSeconds": 10},
            },
            False,
        ),
        ({"ExplicitAuthFlows": ["USER_PASSWORD_AUTH"]}, False),
    ],
)
async def test_an_app_client_that_cannot_refresh(
    tmp_path: Path, client: Mapping[str, Any], refuses: bool
) -> None:
    async with site(tmp_path, seeded=seed(**client)) as at:
        broken = [each for each in await found(at, "app client") if "refreshing" in each[1]]
        assert bool(broken) == refuses
        for level, what, fix in broken:
            assert (level, what) == ("broken", "does not allow refreshing tokens")
            assert "ALLOW_REFRESH_TOKEN_AUTH" in fix


async def test_a_callback_that_the_app_client_lacks(tmp_path: Path) -> None:
    """Without listen.public_url, the resource says where people come back to."""
    async with site(tmp_path, pool={"domain": "http://127.0.0.1:9"}, sign_in="pages: managed") as at:
        await front_door(at)
        callback = f"{at.url}/oauth2/callback"

        async def lacks() -> bool:
            return any(callback in each[1] for each in await found(at, "app client"))

        assert await lacks()
        at.local.call(
            "UpdateUserPoolClient", UserPoolId=POOL, ClientId=CLIENT, ExplicitAuthFlows=FLOWS,
            CallbackURLs=[callback], AllowedOAuthFlows=["code"], AllowedOAuthScopes=["openid"],
            AllowedOAuthFlowsUserPoolClient=True, SupportedIdentityProviders=["COGNITO"],
        )  # fmt: skip
        assert not await lacks()


@pytest.mark.engine
async def test_the_redis_of_the_codes(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a" * 44 + "\n")
    (tmp_path / "secret").chmod(0o600)
    with redis_server(tmp_path) as redis:
        session = f"session: {{secret_file: '{tmp_path}/secret', redis_url: '{redis.url}'}}"
        async with site(tmp_path, sign_in=session) as at:
            await front_door(at)
            assert await found(at, "Redis") == [("good", "answers", "")]
            redis.stop()
            ((level, what, fix),) = await found(at, "Redis")
    assert level == "broken"
    assert what.startswith("cannot be used: ")
    assert "that Redis runs" in fix
