"""The hooks over real sockets: what they change, and who cannot reach them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import jwt
import pytest

from local_cognito import seed
from local_cognito.server import LocalCognito
from tests.support.local_cognito import serving

POOL, CLIENT = "us-east-1_LocalDemo", "1demo2client3local4cognito"


class Server:
    def __init__(self, local: LocalCognito, session: aiohttp.ClientSession) -> None:
        self.local, self.http = local, session

    async def hook(self, path: str, body: Any, **headers: str) -> tuple[int, str]:
        async with self.http.post(self.local.url + path, json=body, headers=headers) as answer:
            return answer.status, await answer.text()

    async def keys(self) -> tuple[int, list[str]]:
        async with self.http.get(f"{self.local.url}/{POOL}/.well-known/jwks.json") as answer:
            body = await answer.json()
            return answer.status, [key["kid"] for key in body.get("keys", [])]

    def sign_in(self) -> dict[str, str]:
        request = {"USERNAME": "alice@example.com", "PASSWORD": "Wonderland-2024"}
        return dict(
            self.local.call(
                "InitiateAuth", ClientId=CLIENT, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=request
            )["AuthenticationResult"]
        )


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving(seed.read(seed.DEMO)) as local, aiohttp.ClientSession() as session:
        yield Server(local, session)


async def test_the_clock_moves_forward(server: Server) -> None:
    token = server.sign_in()["AccessToken"]
    assert server.local.call("GetUser", AccessToken=token)
    status, text = await server.hook("/_clock", {"forward": 3600})
    assert status == 200
    assert abs(float(text.partition(":")[2].rstrip("}")) - time.time() - 3600) < 30
    with pytest.raises(Exception, match="Access Token has expired"):
        server.local.call("GetUser", AccessToken=token)
    wrong: tuple[Any, ...] = ({"forward": -1}, {"forward": "1"}, {}, [], {"forward": 1, "back": 1})
    for body in wrong:
        assert (await server.hook("/_clock", body))[0] == 400


async def test_keys_rotate_and_old_ones_stay_or_go(server: Server) -> None:
    _, before = await server.keys()
    token = server.sign_in()["AccessToken"]
    assert (await server.hook("/_keys", {"pool": POOL}))[0] == 200
    _, both = await server.keys()
    assert len(both) == 4
    assert set(before) < set(both)
    assert jwt.get_unverified_header(server.sign_in()["AccessToken"])["kid"] not in before
    assert server.local.call("GetUser", AccessToken=token), "signed with a key that is still Cognito's"
    assert (await server.hook("/_keys", {"pool": POOL, "keep": False}))[0] == 200
    _, after = await server.keys()
    assert len(after) == 2
    assert set(after).isdisjoint(both)
    with pytest.raises(Exception, match="Invalid Access Token"):
        server.local.call("GetUser", AccessToken=token)
    assert (await server.hook("/_keys", {"pool": "nobody"}))[0] == 400


async def test_key_sets_and_the_api_fail_and_slow(server: Server) -> None:
    assert (await server.hook("/_faults", {"keys": {"status": 503, "times": 2}}))[0] == 200
    assert [(await server.keys())[0] for _ in range(3)] == [503, 503, 200]
    await server.hook("/_faults", {"keys": {"delay": 1500}})
    begun = time.monotonic()
    assert (await server.keys())[0] == 200
    assert time.monotonic() - begun >= 1.5
    # Longer than any machine takes without it: the test's own limit would end it.
    await server.hook("/_faults", {"keys": {"delay": 60_000}})
    await server.hook("/_faults", {"keys": {}, "api": {"status": 500}})
    assert (await asyncio.wait_for(server.keys(), 55))[0] == 200
    for _ in range(2):
        async with server.http.post(server.local.url + "/", data=b"{}") as answer:
            assert answer.status == 500
    await server.hook("/_faults", {"api": {}})
    async with server.http.post(server.local.url + "/", data=b"{}") as answer:
        assert answer.status == 400
    wrong: tuple[Any, ...] = ({"other": {}}, {"keys": {"status": 200}}, {"keys": {"delay": "1"}})
    for body in wrong:
        assert (await server.hook("/_faults", body))[0] == 400


async def test_web_pages_do_not_reach_them(server: Server) -> None:
    body = {"forward": 3600}
    assert (await server.hook("/_clock", body, Host="evil.example:9229"))[0] == 403
    assert (await server.hook("/_clock", body, **{"Content-Type": "text/plain"}))[0] == 400
    async with server.http.options(server.local.url + "/_clock") as answer:
        assert answer.status == 405, "a browser that asks first gets no permission"
    token = server.sign_in()["AccessToken"]
    assert jwt.decode(token, options={"verify_signature": False})["iat"] <= time.time()
