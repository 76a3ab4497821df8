"""The token, user info and revocation endpoints; resource servers, domains and what clients may be set to."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from local_cognito.errors import AwsError
from tests.support.emulator import claims
from tests.support.emulator_login import CALLBACK, VERIFIER, Login


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


async def test_a_code_becomes_tokens_once(login: Login) -> None:
    form = login.exchange(await login.code())
    status, answer = await login.token(form)
    assert status == 200
    assert set(answer) == {"access_token", "id_token", "refresh_token", "token_type", "expires_in"}
    access, identity = claims(answer["access_token"]), claims(answer["id_token"])
    assert access["scope"] == "openid email"
    assert identity["nonce"] == "n0nce"
    half = hashlib.sha256(answer["access_token"].encode()).digest()[:16]
    assert identity["at_hash"] == base64.urlsafe_b64encode(half).rstrip(b"=").decode()
    assert await login.token(form) == (400, {"error": "invalid_grant"})


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": None},
        {"code_verifier": "w" * 43},
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": None},
        {"code": "made-up"},
    ],
)
async def test_a_code_that_does_not_fit_is_spent(login: Login, changes: dict[str, str | None]) -> None:
    code = await login.code()
    changed = {**login.exchange(code), **changes}
    form = {name: value for name, value in changed.items() if value is not None}
    assert await login.token(form) == (400, {"error": "invalid_grant"})
    again = await login.token(login.exchange(code))
    assert again[0] == (200 if "code" in changes else 400)


async def test_a_code_is_for_five_minutes_and_one_client(login: Login) -> None:
    code = await login.code()
    login.clock.forward(300)
    assert (await login.token(login.exchange(code)))[1] == {"error": "invalid_grant"}
    code = await login.code()
    other, _ = login.client()
    assert (await login.token(login.exchange(code, client_id=other)))[1] == {"error": "invalid_grant"}


async def test_without_a_challenge_there_must_be_no_verifier(login: Login) -> None:
    plain: dict[str, str | None] = {"code_challenge": None, "code_challenge_method": None}
    code = await login.code(**plain)
    assert (await login.token(login.exchange(code, code_verifier=VERIFIER)))[0] == 400
    code = await login.code(**plain)
    assert (await login.token(login.exchange(code, code_verifier=None)))[0] == 200


async def test_scopes_decide_about_id_token_and_api(login: Login) -> None:
    _, answer = await login.token(login.exchange(await login.code(scope="api/read")))
    assert "id_token" not in answer
    with pytest.raises(AwsError, match="does not have required scopes"):
        login.local.call("GetUser", AccessToken=answer["access_token"])
    _, answer = await login.token(login.exchange(await login.code(scope=None)))
    assert login.local.call("GetUser", AccessToken=answer["access_token"])["Username"] == "alice"


async def test_a_secret_is_proved_in_one_of_two_ways(login: Login) -> None:
    client_id, secret = login.client(GenerateSecret=True)

    async def form(**changes: str | None) -> dict[str, str]:
        code = await login.code(client_id=client_id)
        return login.exchange(code, **{"client_id": client_id, **changes})

    assert (await login.token(await form()))[1] == {"error": "invalid_client"}
    assert (await login.token(await form(client_secret="wrong")))[1] == {"error": "invalid_client"}
    assert (await login.token(await form(client_secret=secret)))[0] == 200
    header = basic(client_id, secret)
    assert (await login.token(await form(), Authorization=header))[0] == 200
    assert (await login.token(await form(client_id=None), Authorization=header))[0] == 200
    both = await login.token(await form(client_secret=secret), Authorization=header)
    assert both[1]["error"] == "invalid_request"
    for wrong in (basic(client_id, "wrong"), "Basic !", "Bearer x", basic("nobody", secret)):
        other = await login.token(await form(client_id=None), Authorization=wrong)
        assert other[1]["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"client_id": "nobody", "grant_type": "refresh_token"}, "invalid_client"),
        ({"client_id": "CLIENT"}, "invalid_request"),
        ({"client_id": "CLIENT", "grant_type": "password"}, "unsupported_grant_type"),
        ({"client_id": "CLIENT", "grant_type": "client_credentials"}, "unauthorized_client"),
        ({"client_id": "CLIENT", "grant_type": "authorization_code"}, "invalid_request"),
        ({"client_id": "CLIENT", "grant_type": "refresh_token"}, "invalid_request"),
        ({"client_id": "CLIENT", "grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
    ],
)
async def test_mistakes_have_oauths_names(login: Login, form: dict[str, str], error: str) -> None:
    given = {name: value.replace("CLIENT", login.client_id) for name, value in form.items()}
    status, answer = await login.token(given)
    assert (status, answer["error"]) == (400, error)


async def test_only_forms_with_each_parameter_once_are_read(login: Login) -> None:
    twice = f"grant_type=refresh_token&client_id={login.client_id}&grant_type=authorization_code"
    assert (await login.token(twice))[1]["error"] == "invalid_request"
    for kind in ("application/json", "application/x-www-form-urlencoded; charset=nonsense"):
        status, answer = await login.token("grant_type=x", **{"Content-Type": kind})
        assert (status, answer["error"]) == (400, "invalid_request")


async def test_refreshing_keeps_scopes_and_sign_in(login: Login) -> None:
    _, first = await login.token(login.exchange(await login.code()))
    login.clock.forward(60)
    form = {"grant_type": "refresh_token", "client_id": login.client_id}
    status, second = await login.token({**form, "refresh_token": first["refresh_token"]})
    assert status == 200
    assert "refresh_token" not in second
    before, after = claims(first["id_token"]), claims(second["id_token"])
    assert claims(second["access_token"])["scope"] == "openid email"
    assert (before["auth_time"], before["origin_jti"]) == (after["auth_time"], after["origin_jti"])
    assert "nonce" not in after


async def test_refresh_tokens_rotate_here_too(login: Login) -> None:
    rotation = {"RefreshTokenRotation": {"Feature": "ENABLED"}, "ExplicitAuthFlows": ["ALLOW_USER_AUTH"]}
    login.client_id, _ = login.client(**rotation)
    _, first = await login.token(login.exchange(await login.code()))
    form = {"grant_type": "refresh_token", "client_id": login.client_id}
    form["refresh_token"] = first["refresh_token"]
    _, second = await login.token(form)
    assert second["refresh_token"] != first["refresh_token"]
    assert (await login.token(form))[1] == {"error": "invalid_grant"}


async def test_client_credentials_are_for_machines(login: Login) -> None:
    machine: dict[str, Any] = {
        "AllowedOAuthFlows": ["client_credentials"],
        "AllowedOAuthScopes": ["api/read"],
        "GenerateSecret": True,
    }
    client_id, secret = login.client(**machine)
    form = {"grant_type": "client_credentials"}
    header = basic(client_id, secret)
    status, answer = await login.token(form, Authorization=header)
    assert (status, set(answer)) == (200, {"access_token", "expires_in", "token_type"})
    token = claims(answer["access_token"])
    assert (token["sub"], token["client_id"], token["scope"]) == (client_id, client_id, "api/read")
    assert {"username", "cognito:groups", "origin_jti"}.isdisjoint(token)
    assert (await login.token({**form, "scope": "api/read"}, Authorization=header))[0] == 200
    for scope in ("api/write", "openid"):
        refused = await login.token({**form, "scope": scope}, Authorization=header)
        assert refused == (400, {"error": "invalid_scope"})
    with pytest.raises(AwsError, match="does not have required scopes"):
        login.local.call("GetUser", AccessToken=answer["access_token"])
    code = {**form, "grant_type": "authorization_code", "code": "x"}
    assert (await login.token(code, Authorization=header))[1] == {"error": "unauthorized_client"}


async def user_info(login: Login, authorization: str | None) -> tuple[int, Any, str]:
    headers = {} if authorization is None else {"Authorization": authorization}
    async with login.http.get(login.local.url + "/oauth2/userInfo", headers=headers) as answer:
        return answer.status, await answer.json(), answer.headers.get("WWW-Authenticate", "")


async def test_user_info_shows_what_the_scopes_allow(login: Login) -> None:
    nickname = [{"Name": "nickname", "Value": "Al"}]
    where = {"UserPoolId": login.pool_id, "Username": "alice"}
    login.local.call("AdminUpdateUserAttributes", **where, UserAttributes=nickname)
    _, answer = await login.token(login.exchange(await login.code(scope="openid profile")))
    assert (await user_info(login, f"Bearer {answer['access_token']}"))[1]["nickname"] == "Al"
    _, answer = await login.token(login.exchange(await login.code()))
    status, seen, _ = await user_info(login, f"Bearer {answer['access_token']}")
    assert status == 200
    assert set(seen) == {"sub", "email", "username"}
    login.local.call("AdminUserGlobalSignOut", UserPoolId=login.pool_id, Username="alice")
    for authorization in (f"Bearer {answer['access_token']}", "Bearer garbage", "Basic x", None):
        status, seen, challenge = await user_info(login, authorization)
        assert (status, seen["error"]) == (401, "invalid_token")
        assert challenge.startswith('Bearer error="invalid_token"')
    _, answer = await login.token(login.exchange(await login.code(scope="api/read")))
    status, seen, _ = await user_info(login, f"Bearer {answer['access_token']}")
    assert (status, seen["error"]) == (403, "insufficient_scope")


async def test_revoking_ends_the_sign_in(login: Login) -> None:
    _, answer = await login.token(login.exchange(await login.code()))
    form = {"client_id": login.client_id, "token": answer["refresh_token"]}
    wrong = await login.post("/oauth2/revoke", {**form, "token": answer["access_token"]})
    assert wrong == (400, {"error": "unsupported_token_type"})
    assert await login.post("/oauth2/revoke", {**form, "client_id": "nobody"}) == (
        401,
        {"error": "invalid_client"},
    )
    assert (await login.post("/oauth2/revoke", {"client_id": login.client_id}))[0] == 400
    for _ in range(2):
        assert await login.post("/oauth2/revoke", form) == (200, None)
    assert await login.post("/oauth2/revoke", {**form, "token": "unknown"}) == (200, None)
    assert (await user_info(login, f"Bearer {answer['access_token']}"))[0] == 401
    refresh = {"grant_type": "refresh_token", "client_id": login.client_id}
    refused = await login.token({**refresh, "refresh_token": answer["refresh_token"]})
    assert refused == (400, {"error": "invalid_grant"})


async def test_the_configuration_names_the_endpoints_of_a_domain(login: Login) -> None:
    _, text, _ = await login.get(f"/{login.pool_id}/.well-known/openid-configuration")
    assert f'"token_endpoint": "{login.local.url}/oauth2/token"' in text
    login.local.call("DeleteUserPoolDomain", UserPoolId=login.pool_id, Domain="web")
    _, text, _ = await login.get(f"/{login.pool_id}/.well-known/openid-configuration")
    assert 'token_endpoint"' not in text
    refused = await login.token({"grant_type": "refresh_token", "client_id": login.client_id})
    assert refused[1]["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("settings", "type_"),
    [
        ({"AllowedOAuthScopes": ["api/none"]}, "ScopeDoesNotExistException"),
        ({"AllowedOAuthScopes": []}, "InvalidOAuthFlowException"),
        ({"CallbackURLs": []}, "InvalidOAuthFlowException"),
        ({"CallbackURLs": ["http://example.com/"]}, "InvalidParameterException"),
        ({"CallbackURLs": ["/relative"]}, "InvalidParameterException"),
        ({"CallbackURLs": ["https://e.org/#f"]}, "InvalidParameterException"),
        ({"LogoutURLs": ["https:///"]}, "InvalidParameterException"),
        ({"DefaultRedirectURI": "https://e.org/"}, "InvalidParameterException"),
        ({"AllowedOAuthFlows": ["implicit"]}, "InvalidParameterException"),
        ({"AllowedOAuthFlows": ["client_credentials"]}, "InvalidOAuthFlowException"),
        (
            {"AllowedOAuthFlows": ["client_credentials", "code"], "GenerateSecret": True},
            "InvalidOAuthFlowException",
        ),
        ({"AllowedOAuthFlows": ["client_credentials"], "GenerateSecret": True}, "InvalidOAuthFlowException"),
    ],
)
async def test_clients_that_could_not_work_are_not_made(
    login: Login, settings: dict[str, Any], type_: str
) -> None:
    with pytest.raises(AwsError) as caught:
        login.client(**settings)
    assert caught.value.type == type_
    assert login.client(CallbackURLs=["https://e.org/cb", "myapp://cb", "http://[::1]:1/", CALLBACK])


async def test_resource_servers_and_domains_are_kept(login: Login) -> None:
    call, where = login.local.call, {"UserPoolId": login.pool_id}
    server = {**where, "Identifier": "api"}
    described = call("DescribeResourceServer", **server)["ResourceServer"]
    assert described["Scopes"] == [{"ScopeName": "read", "ScopeDescription": "Reads"}]
    assert call("ListResourceServers", **where)["ResourceServers"] == [described]
    with pytest.raises(AwsError, match="already exists"):
        call("CreateResourceServer", **server, Name="again")
    assert call("UpdateResourceServer", **server, Name="new")["ResourceServer"]["Scopes"] == []
    call("DeleteResourceServer", **server)
    with pytest.raises(AwsError, match="does not exist"):
        call("DescribeResourceServer", **server)
    domain = call("DescribeUserPoolDomain", Domain="web")["DomainDescription"]
    assert (domain["UserPoolId"], domain["Status"]) == (login.pool_id, "ACTIVE")
    assert call("DescribeUserPool", **where)["UserPool"]["Domain"] == "web"
    assert call("DescribeUserPoolDomain", Domain="other") == {"DomainDescription": {}}
    for request in ({"Domain": "web", **where}, {"Domain": "other", **where}):
        with pytest.raises(AwsError, match="omain"):
            call("CreateUserPoolDomain", **request)
