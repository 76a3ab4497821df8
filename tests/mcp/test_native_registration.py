"""`mcp.registration: native`: a client discovers the pool, registers there and brings its bound token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp

from local_cognito.server import LocalCognito
from tests.support.emulator_login import CHALLENGE, VERIFIER
from tests.support.local_cognito import serving
from tests.support.managed_login import PASSWORD, person
from tests.support.running import Running, running
from tests.support.wire import Reply, get, once

RESOURCE = "https://api.test/mcp"
APP = "http://127.0.0.1:7654/callback"


def new_pool(local: LocalCognito) -> str:
    registration = {"OpenDcrEnabled": True}
    made = local.call("CreateUserPool", PoolName="mcp", DcrConfiguration=registration)
    where = {"UserPoolId": made["UserPool"]["Id"]}
    local.call("CreateUserPoolDomain", **where, Domain="mcp")
    local.call("AdminCreateUser", **where, Username="alice")
    local.call("AdminSetUserPassword", **where, Username="alice", Password=PASSWORD, Permanent=True)
    return str(where["UserPoolId"])


async def ask(gateway: Running, target: str, token: str = "") -> Reply:
    lines = [f"Authorization: Bearer {token}"] if token else []
    return await once(gateway.port, get(target, *lines))


async def discovered(gateway: Running, http: aiohttp.ClientSession) -> dict[str, Any]:
    """Follow the challenge to the pool's discovery document, as a client that knows only the resource."""
    refused = await ask(gateway, "/mcp")
    assert refused.status == 401
    address = (refused.get("www-authenticate") or "").partition('resource_metadata="')[2].partition('"')[0]
    document = json.loads((await ask(gateway, urlsplit(address).path)).body)
    assert document["resource"] == RESOURCE
    (issuer,) = document["authorization_servers"]
    async with http.get(f"{issuer}/.well-known/openid-configuration") as answer:
        found: dict[str, Any] = await answer.json()
    return found


async def test_a_client_that_the_pool_registered_calls_with_its_bound_token(tmp_path: Path) -> None:
    async with serving() as local, person(local) as alice, aiohttp.ClientSession() as http:
        pool = f"{{id: {new_pool(local)}, clients: bound, audiences: ['{RESOURCE}']}}"
        cognito = f"cognito: {{endpoint_url: '{local.url}', user_pools: [{pool}]}}\n"
        yaml = f"mcp: {{resource: '{RESOURCE}', registration: native}}\n"
        async with running(
            tmp_path, yaml, cognito=cognito, listen_lines="public_url: 'https://api.test'"
        ) as gateway:
            endpoints = await discovered(gateway, http)
            metadata = {
                "client_name": "A client",
                "redirect_uris": [APP],
                "grant_types": ["authorization_code", "refresh_token"],
                "token_endpoint_auth_method": "none",
            }
            async with http.post(endpoints["registration_endpoint"], json=metadata) as answer:
                assert answer.status == 201
                client_id = (await answer.json())["client_id"]

            async def token(**resource: str) -> str:
                asked = {
                    "response_type": "code",
                    "client_id": client_id,
                    "redirect_uri": APP,
                    "scope": "openid",
                    "code_challenge": CHALLENGE,
                    "code_challenge_method": "S256",
                    **resource,
                }
                assert endpoints["authorization_endpoint"] == f"{local.url}/oauth2/authorize"
                back = await alice.open(asked)
                back = back or await alice.submit(username="alice", password=PASSWORD)
                assert back.startswith(APP)
                form = {
                    "grant_type": "authorization_code",
                    "client_id": client_id,
                    "redirect_uri": APP,
                    "code": dict(parse_qsl(urlsplit(back).query))["code"],
                    "code_verifier": VERIFIER,
                    **resource,
                }
                headers = {"Content-Type": "application/x-www-form-urlencoded"}
                url = endpoints["token_endpoint"]
                async with http.post(url, data=urlencode(form), headers=headers) as answer:
                    return str((await answer.json())["access_token"])

            assert (await ask(gateway, "/mcp", await token(resource=RESOURCE))).status == 200
            # Known to nobody but the pool, the client gets in by the audience alone.
            for elsewhere in ({}, {"resource": "https://other.test/mcp"}):
                assert (await ask(gateway, "/mcp", await token(**elsewhere))).status == 401
