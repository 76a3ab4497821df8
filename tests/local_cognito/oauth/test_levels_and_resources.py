"""What authorization requests may ask for besides a code: a resource, a level, and how recent a sign-in."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from local_cognito import totp
from tests.support.emulator import claims
from tests.support.emulator_login import CALLBACK, PASSWORD, Login

API = "https://api.example.com/mcp"
LOA = "urn:cognito:loa:"


def sent_back(location: str) -> dict[str, str]:
    assert location.partition("?")[0] == CALLBACK
    return dict(parse_qsl(urlsplit(location).query))


async def tokens(login: Login, code: str, **changes: str) -> dict[str, Any]:
    status, answer = await login.token(login.exchange(code, **changes))
    assert status == 200, answer
    return dict(answer)


async def test_a_token_is_bound_to_the_resource_and_stays_so(login: Login) -> None:
    made = await tokens(login, await login.code(resource=API), resource=API)
    assert claims(made["access_token"])["aud"] == API
    assert claims(made["id_token"])["aud"] == login.client_id
    form = {"grant_type": "refresh_token", "client_id": login.client_id}
    form["refresh_token"] = made["refresh_token"]
    _, refreshed = await login.token(form)
    assert claims(refreshed["access_token"])["aud"] == API
    status, refused = await login.token(form | {"resource": "https://other.example"})
    assert (status, refused["error"]) == (400, "invalid_target")
    plain = await tokens(login, await login.code())
    assert "aud" not in claims(plain["access_token"])


@pytest.mark.parametrize(
    "resource", ["http://api.example.com", "api", "https://api.example.com/#part", "https://", "", "a:" * 999]
)
async def test_a_resource_is_a_url_like_a_callback(login: Login, resource: str) -> None:
    _, _, headers = await login.authorize(resource=resource)
    assert sent_back(headers["Location"])["error"] == "invalid_target"


async def test_a_resource_at_the_token_endpoint_must_be_the_requested_one(login: Login) -> None:
    for asked in (None, API):
        form = login.exchange(await login.code(resource=asked), resource="https://other.example")
        status, refused = await login.token(form)
        assert (status, refused["error"]) == (400, "invalid_target")


async def test_an_old_sign_in_is_repeated_for_max_age(login: Login) -> None:
    first = claims((await tokens(login, await login.code()))["access_token"])
    login.clock.forward(100)
    _, _, headers = await login.authorize(max_age="100")
    again = claims((await tokens(login, sent_back(headers["Location"])["code"]))["access_token"])
    assert again["auth_time"] == first["auth_time"]
    assert (await login.authorize(max_age="99"))[2]["Location"].startswith("/login?")
    fresh = claims((await tokens(login, await login.code(max_age="99")))["access_token"])
    assert fresh["auth_time"] == first["auth_time"] + 100
    for odd in ("-1", "soon", "1" * 20):
        _, _, headers = await login.authorize(max_age=odd)
        assert sent_back(headers["Location"])["error"] == "invalid_request"


class App:
    """alice's authenticator app."""

    def __init__(self, login: Login) -> None:
        self.login = login
        config = {"MfaConfiguration": "OPTIONAL", "SoftwareTokenMfaConfiguration": {"Enabled": True}}
        login.local.call("SetUserPoolMfaConfig", UserPoolId=login.pool_id, **config)
        self.secret = ""

    async def set_up(self, token: str) -> None:
        self.secret = self.login.local.call("AssociateSoftwareToken", AccessToken=token)["SecretCode"]
        self.login.local.call("VerifySoftwareToken", AccessToken=token, UserCode=self.code())
        chosen = {"AccessToken": token, "SoftwareTokenMfaSettings": {"Enabled": True}}
        self.login.local.call("SetUserMFAPreference", **chosen)

    def code(self) -> str:
        self.login.clock.forward(30)
        return totp.code_at(self.secret, int(self.login.clock.now // 30))


async def test_a_browser_steps_up_by_the_missing_factor_alone(login: Login) -> None:
    app = App(login)
    scope = "openid aws.cognito.signin.user.admin"
    made = await tokens(login, await login.code(scope=scope))
    weak = claims(made["access_token"])
    assert (weak["acr"], weak["amr"]) == (LOA + "1", ["pwd"])
    await app.set_up(made["access_token"])
    values = f"urn:unknown {LOA}4"
    status, _, headers = await login.authorize(acr_values=values)
    assert (status, headers["Location"].startswith("/login?")) == (302, True)
    _, page, _ = await login.get(headers["Location"])
    assert "SOFTWARE_TOKEN_MFA_CODE" in page
    assert 'name="password"' not in page
    _, _, headers = await login.submit(page, SOFTWARE_TOKEN_MFA_CODE=app.code())
    strong = claims((await tokens(login, sent_back(headers["Location"])["code"]))["id_token"])
    assert (strong["acr"], strong["amr"]) == (LOA + "4", ["pwd", "otp", "mfa"])
    _, _, headers = await login.authorize(acr_values=values)
    assert "code" in sent_back(headers["Location"]), "the browser's session is strong now"
    login.clock.forward(60)
    _, _, headers = await login.authorize(acr_values=values, max_age="10")
    _, page, _ = await login.get(headers["Location"])
    assert 'name="password"' in page, "from scratch"


async def test_who_cannot_reach_the_level_comes_back_weaker(login: Login) -> None:
    App(login)
    _, _, headers = await login.sign_in("alice", PASSWORD, acr_values=LOA + "4")
    weak = claims((await tokens(login, sent_back(headers["Location"])["code"]))["access_token"])
    assert weak["acr"] == LOA + "1"
    _, _, headers = await login.authorize(acr_values=LOA + "4")
    assert "code" in sent_back(headers["Location"]), "asking again would change nothing"
