"""Applications register themselves (RFC 7591) and sign users in with what they were given."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.emulator import claims
from tests.support.emulator_login import Login

APP = "http://127.0.0.1:8765/callback"
OPEN = {"OpenDcrEnabled": True, "AllowedScopes": ["api/read"]}
METADATA = {"client_name": "An app (beta)", "redirect_uris": [APP], "token_endpoint_auth_method": "none"}


def turn_on(login: Login, **settings: Any) -> None:
    login.local.call("UpdateUserPool", UserPoolId=login.pool_id, DcrConfiguration=settings)


async def register(login: Login, body: Any, path: str = "", **headers: str) -> tuple[int, dict[str, Any]]:
    url = f"{login.local.url}{path}/oauth2/register"
    async with login.http.post(url, json=body, headers=headers) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.status, await answer.json()


async def discovered(login: Login) -> str | None:
    url = f"{login.local.url}/{login.pool_id}/.well-known/openid-configuration"
    async with login.http.get(url) as answer:
        found: str | None = (await answer.json()).get("registration_endpoint")
        return found


async def test_an_app_registers_and_signs_a_user_in(login: Login) -> None:
    assert await discovered(login) is None
    turn_on(login, **OPEN)
    assert await discovered(login) == f"{login.local.url}/oauth2/register"
    status, made = await register(login, METADATA)
    assert status == 201
    assert "client_secret" not in made
    assert (made["client_name"], made["redirect_uris"]) == ("An app -beta-", [APP])
    assert made["scope"] == "openid email phone profile api/read"
    which = {"client_id": made["client_id"], "redirect_uri": APP}
    code = await login.code(**which, scope="openid api/read", resource="https://api.example.com")
    status, tokens = await login.token(login.exchange(code, **which))
    assert status == 200
    access = claims(tokens["access_token"])
    assert (access["client_id"], access["aud"]) == (made["client_id"], "https://api.example.com")
    where = {"UserPoolId": login.pool_id}
    described = login.local.call("DescribeUserPoolClient", **where, ClientId=made["client_id"])
    assert described["UserPoolClient"]["ClientType"] == "DCR"
    listed = login.local.call("ListUserPoolClients", **where, ClientType="DCR")["UserPoolClients"]
    assert [client["ClientId"] for client in listed] == [made["client_id"]]


async def test_registration_is_off_until_the_pool_turns_it_on(login: Login) -> None:
    assert (await register(login, METADATA))[0] == 400
    turn_on(login)
    status, refused = await register(login, METADATA)
    assert (status, refused["error"]) == (401, "invalid_token"), "not open, only on"
    turn_on(login, EnableStatus="Disabled", OpenDcrEnabled=True)
    assert (await register(login, METADATA))[0] == 400
    lite = login.local.call("CreateUserPool", PoolName="p", UserPoolTier="LITE")["UserPool"]["Id"]
    with pytest.raises(Exception, match="FeatureUnavailableInTierException"):
        login.local.call("UpdateUserPool", UserPoolId=lite, UserPoolTier="LITE", DcrConfiguration={})


async def test_two_pools_register_at_their_own_paths(login: Login) -> None:
    turn_on(login, **OPEN)
    other = login.local.call("CreateUserPool", PoolName="o", DcrConfiguration=OPEN | {"AllowedScopes": []})
    login.local.call("CreateUserPoolDomain", UserPoolId=other["UserPool"]["Id"], Domain="other")
    assert (await register(login, METADATA))[0] == 400
    assert await discovered(login) == f"{login.local.url}/{login.pool_id}/oauth2/register"
    assert (await register(login, METADATA, f"/{login.pool_id}"))[0] == 201


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uris": []}, "invalid_client_metadata"),
        ({"redirect_uris": ["http://evil.example/"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://app.example/#part"]}, "invalid_redirect_uri"),
        ({"redirect_uris": [APP] * 21}, "invalid_client_metadata"),
        ({"redirect_uris": APP}, "invalid_client_metadata"),
        ({"grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({"grant_types": ["refresh_token"]}, "invalid_client_metadata"),
        ({"grant_types": ["implicit"]}, "invalid_client_metadata"),
        ({"scope": "openid api/write"}, "invalid_client_metadata"),
        ({"scope": "aws.cognito/dcr/register"}, "invalid_client_metadata"),
        ({"scope": "aws.cognito.signin.user.admin"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"client_name": "x" * 129}, "invalid_client_metadata"),
    ],
)
async def test_a_registration_asks_for_no_more_than_the_pool_allows(
    login: Login, changes: dict[str, Any], error: str
) -> None:
    turn_on(login, OpenDcrEnabled=True, AllowedScopes=["api/read", "aws.cognito/dcr/register"])
    status, refused = await register(login, {**METADATA, **changes})
    assert (status, refused["error"]) == (400, error)


async def test_what_is_no_registration_is_refused(login: Login) -> None:
    turn_on(login, **OPEN)
    assert (await register(login, []))[1]["error"] == "invalid_client_metadata"
    for data, kind in ((b"{", "application/json"), (b"a=b", "application/x-www-form-urlencoded")):
        url, headers = login.local.url + "/oauth2/register", {"Content-Type": kind}
        async with login.http.post(url, data=data, headers=headers) as answer:
            assert (answer.status, (await answer.json())["error"]) == (400, "invalid_client_metadata")


async def test_a_machine_with_the_scope_registers_what_is_not_open(login: Login) -> None:
    turn_on(login, AllowedScopes=["api/read"])

    async def token(*scopes: str) -> str:
        client_id, secret = login.client(
            GenerateSecret=True, AllowedOAuthFlows=["client_credentials"], AllowedOAuthScopes=list(scopes)
        )
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        return str((await login.token(form))[1]["access_token"])

    machine = {"client_name": "m", "grant_types": ["client_credentials"]}
    for bad in (await token("api/read"), "no.token.here"):
        status, refused = await register(login, machine, Authorization=f"Bearer {bad}")
        assert (status, refused["error"]) == (401, "invalid_token")
    bearer = f"Bearer {await token('aws.cognito/dcr/register')}"
    status, made = await register(login, machine, Authorization=bearer)
    assert (status, made["scope"]) == (201, "api/read")
    form = {"grant_type": "client_credentials", "client_id": made["client_id"]}
    status, answer = await login.token({**form, "client_secret": made["client_secret"]})
    assert (status, claims(answer["access_token"])["scope"]) == (200, "api/read")
