"""Tokens for one MCP server where the gateway answers for other proxies, which serve many hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from tests.support.envoy_client import GRPC, Stub, check
from tests.support.mcp_client import MCP, registered, tokens_of
from tests.support.site import Site, site
from tests.support.wire import get, once


@asynccontextmanager
async def with_token(folder: Path, more: str = "") -> AsyncIterator[tuple[Site, str]]:
    async with site(folder, more=MCP + more, listen_lines="trusted_proxies: [127.0.0.1]") as at:
        yield at, (await tokens_of(await registered(at), at.browser()))["access_token"]


async def asked(at: Site, token: str, *lines: str, target: str = "/oauth2/auth") -> int:
    return (await once(at.worker.port, get(target, f"Authorization: Bearer {token}", *lines))).status


async def test_a_token_is_good_at_its_own_host_alone(tmp_path: Path) -> None:
    async with with_token(tmp_path) as (at, token):
        for _ in range(2):  # remembered, the second time
            for host, status in (
                ("api.test", 200),
                ("API.test:443", 200),
                ("other.test", 401),
                ("api.test:8443", 401),
                ("api.test.evil.test", 401),
            ):
                nginx = (f"X-Original-URL: https://{host}/mcp/x", "X-Original-Method: GET")
                assert await asked(at, token, *nginx) == status, host
                traefik = ("X-Forwarded-Uri: /mcp/x", "X-Forwarded-Method: GET")
                assert await asked(at, token, *traefik, f"X-Forwarded-Host: {host}") == status, host
            named = ("X-Original-URL: https://api.test/other", "X-Original-Method: GET")
            assert await asked(at, token, *named) == 401
        # The URL that nginx names counts, not what its client says.
        assert await asked(at, token, *nginx, "X-Forwarded-Host: api.test") == 401
        refused = await at.logged("auth_failure")
        assert {line["reason"] for line in refused} == {"wrong_audience"}


async def test_behind_envoy_the_host_of_its_client_counts(tmp_path: Path) -> None:
    async with with_token(tmp_path) as (at, token):
        target = "/oauth2/auth/mcp/x"
        for host, status in (("api.test", 200), ("other.test", 401)):
            head = get(target, f"Authorization: Bearer {token}", "X-Forwarded-Host: api.test")
            head = head.replace(b"Host: " + _host_of(head), f"Host: {host}".encode())
            assert (await once(at.worker.port, head)).status == status, host
            # The client repeats what Envoy's path says, to be asked about its own X-Forwarded-Host.
            named = b"X-Forwarded-Uri: /mcp/x\r\nX-Forwarded-Method: GET\r\n"
            repeated = head.replace(b"Authorization:", named + b"Authorization:")
            assert (await once(at.worker.port, repeated)).status == status, host


def _host_of(head: bytes) -> bytes:
    return head.partition(b"Host: ")[2].partition(b"\r\n")[0]


@pytest.mark.parametrize(("host", "allowed"), [("api.test", True), ("other.test", False)])
async def test_by_envoys_grpc(tmp_path: Path, host: str, allowed: bool) -> None:
    async with (
        with_token(tmp_path, GRPC) as (at, token),
        grpc.aio.insecure_channel(f"127.0.0.1:{at.worker.grpc_port}") as channel,
    ):
        headers = {"authorization": f"Bearer {token}", "x-forwarded-host": "api.test"}
        answer = await Stub(channel).Check(check("/mcp/x", headers, host=host))
        assert (answer.status.code == 0) == allowed
