"""Attributes that Cognito has not verified name nobody: no header, no assertion member, no rule that fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.config.load import load
from tests.support.assertions import HEADER, curve, payload, settings
from tests.support.running import Running, running
from tests.support.tokens import ABSENT, id_claims, sign
from tests.support.wire import get, once

HEADERS = "claims: {X-Mail: email, X-Phone: phone_number, X-Name: name}"
ROUTES = """
routes:
  - {path: /mail, claims: {email: alice@example.com}}
  - {path: /phone, claims: {phone_number: '+15550100'}}
"""
BOTH = "token_use: [access, id]"


def bearer(gateway: Running, **changes: Any) -> str:
    said = {"phone_number": "+15550100", "phone_number_verified": True, "name": "Alice", **changes}
    return f"Authorization: Bearer {sign(gateway.key, id_claims(**said)).decode()}"


@pytest.mark.parametrize("verified", [False, ABSENT, None, "false", "no", 1, 0, [True]])
async def test_an_unverified_address_is_no_identity(tmp_path: Path, verified: object) -> None:
    yaml = f"identity_headers: {{{HEADERS}}}\n{ROUTES}"
    async with running(tmp_path, yaml, pool_lines=BOTH) as gateway:
        token = bearer(gateway, email_verified=verified, phone_number_verified=verified)
        assert (await once(gateway.port, get("/api", token))).status == 200
        seen = gateway.upstream.last
        for name in ("X-Auth-Request-Email", "X-Mail", "X-Phone"):
            assert seen.all(name) == []
        assert seen.all("X-Name") == [b"Alice"]
        for path in ("/mail", "/phone"):
            assert (await once(gateway.port, get(path, token))).status == 403
        assert len(gateway.upstream.requests) == 1


@pytest.mark.parametrize("verified", [True, "true"])
async def test_a_verified_address_is_an_identity(tmp_path: Path, verified: object) -> None:
    yaml = f"identity_headers: {{{HEADERS}}}\n{ROUTES}"
    async with running(tmp_path, yaml, pool_lines=BOTH) as gateway:
        token = bearer(gateway, email_verified=verified, phone_number_verified=verified)
        for path in ("/mail", "/phone"):
            assert (await once(gateway.port, get(path, token))).status == 200
        seen = gateway.upstream.last
        assert seen.all("X-Auth-Request-Email") == seen.all("X-Mail") == [b"alice@example.com"]
        assert seen.all("X-Phone") == [b"+15550100"]


async def test_each_attribute_counts_alone(tmp_path: Path) -> None:
    yaml = f"identity_headers: {{{HEADERS}}}\n{ROUTES}"
    async with running(tmp_path, yaml, pool_lines=BOTH) as gateway:
        token = bearer(gateway, email_verified=False)
        assert (await once(gateway.port, get("/mail", token))).status == 403
        assert (await once(gateway.port, get("/phone", token))).status == 200
        assert gateway.upstream.last.all("X-Mail") == []


async def test_an_access_token_cannot_bring_it_either(tmp_path: Path) -> None:
    async with running(tmp_path, f"identity_headers: {{{HEADERS}}}\n{ROUTES}") as gateway:
        assert (await once(gateway.port, get("/api", gateway.bearer(email="root@example.com")))).status == 200
        assert gateway.upstream.last.all("X-Mail") == []


async def test_sending_unverified_addresses_can_be_enabled(tmp_path: Path) -> None:
    yaml = f"identity_headers: {{{HEADERS}, unverified: send}}\n{ROUTES}"
    async with running(tmp_path, yaml, pool_lines=BOTH) as gateway:
        token = bearer(gateway, email_verified=False, phone_number_verified=False)
        for path in ("/mail", "/phone"):
            assert (await once(gateway.port, get(path, token))).status == 200
        assert gateway.upstream.last.all("X-Auth-Request-Email") == [b"alice@example.com"]


@pytest.mark.parametrize(("verified", "unverified"), [(True, "omit"), (False, "omit"), (False, "send")])
async def test_assertions_say_the_same(tmp_path: Path, verified: bool, unverified: str) -> None:
    yaml = settings(tmp_path, curve()).replace(
        "identity_headers: {", f"identity_headers: {{unverified: {unverified}, "
    )
    async with running(tmp_path, yaml, pool_lines=BOTH) as gateway:
        assert (await once(gateway.port, get("/api", bearer(gateway, email_verified=verified)))).status == 200
        line = gateway.upstream.last.get(HEADER)
        assert line is not None
        assert ("email" in payload(b"X: " + line)) == (verified or unverified == "send")


async def test_the_pool_is_said_where_it_is_wanted(tmp_path: Path) -> None:
    async with running(tmp_path, "identity_headers: {pool: X-Auth-Request-Pool}\n") as gateway:
        forged = ["X-Auth-Request-Pool: other", "X_Auth_Request_Pool: other"]
        assert (await once(gateway.port, get("/", gateway.bearer(), *forged))).status == 200
        pool = gateway.worker.config.cognito.user_pools[0].id.encode()
        assert gateway.upstream.last.all("X-Auth-Request-Pool") == [pool]


def test_groups_of_any_of_several_pools_are_warned_of(tmp_path: Path) -> None:
    pools = [f"{{id: us-east-1_Abc{number}, client_ids: [c{number}]}}" for number in range(2)]
    path = tmp_path / "gateway.yaml"
    for among, route, warned in (
        (pools, "{path: /a, groups: [admins]}", True),
        (pools, "{path: /a, groups: [admins], pool: us-east-1_Abc0}", False),
        (pools[:1], "{path: /a, groups: [admins]}", False),
    ):
        path.write_text(f"cognito: {{user_pools: [{', '.join(among)}]}}\nroutes: [{route}]\n")
        assert bool([line for line in load(path, {}).warnings if "routes[0].groups" in line]) == warned
