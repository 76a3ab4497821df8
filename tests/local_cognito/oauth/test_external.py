"""Identity providers of a pool: their operations, and the page that stands in for one."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from local_cognito.errors import AwsError
from tests.support.emulator_login import Login

CAROL = "carol@elsewhere.example"


def provider(login: Login, name: str = "Google", kind: str = "Google") -> dict[str, Any]:
    request = {"UserPoolId": login.pool_id, "ProviderName": name, "ProviderType": kind, "ProviderDetails": {}}
    return dict(login.local.call("CreateIdentityProvider", **request)["IdentityProvider"])


def claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))


def test_the_operations(login: Login) -> None:
    made = provider(login)
    where = {"UserPoolId": login.pool_id}
    assert made["AttributeMapping"] == {"username": "sub"}
    described = login.local.call("DescribeIdentityProvider", **where, ProviderName="Google")
    assert described["IdentityProvider"] == made
    provider(login, "Staff", "SAML")
    listed = login.local.call("ListIdentityProviders", **where)["Providers"]
    assert [each["ProviderName"] for each in listed] == ["Google", "Staff"]
    assert "ProviderDetails" not in listed[0]
    login.local.call("DeleteIdentityProvider", **where, ProviderName="Staff")
    for name, kind, refusal in (
        ("Google", "Google", "DuplicateProviderException"),
        ("Goggle", "Google", "InvalidParameterException"),
        ("Google", "OIDC", "DuplicateProviderException"),
        ("Facebook", "SAML", "InvalidParameterException"),
        ("_x", "SAML", "InvalidParameterException"),
    ):
        with pytest.raises(AwsError, match=refusal):
            provider(login, name, kind)
    with pytest.raises(AwsError, match="ResourceNotFoundException"):
        login.local.call("DescribeIdentityProvider", **where, ProviderName="Staff")
    with pytest.raises(AwsError, match="Staff does not exist"):
        login.client(SupportedIdentityProviders=["COGNITO", "Staff"])


async def test_its_users_are_named_after_it_and_are_the_same_each_time(login: Login) -> None:
    provider(login)
    login.client_id, _ = login.client(SupportedIdentityProviders=["COGNITO", "Google"])
    subjects = set()
    for _ in range(2):
        login.http.cookie_jar.clear()
        _, _, headers = await login.authorize(identity_provider="Google")
        _, page, _ = await login.get(headers["Location"])
        assert "Stand-in for Google" in page
        assert 'name="password"' not in page
        status, again, _ = await login.submit(page, email="nobody")
        assert (status, "This is not an email address." in again) == (400, True)
        _, _, headers = await login.submit(page, email=CAROL)
        code = headers["Location"].partition("code=")[2].partition("&")[0]
        status, tokens = await login.token(login.exchange(code))
        assert status == 200, tokens
        found = claims(tokens["id_token"])
        subjects.add(found["sub"])
        assert found["cognito:username"].startswith("Google_")
        assert (found["email"], found["email_verified"]) == (CAROL, False)
        assert found["cognito:groups"] == [f"{login.pool_id}_Google"]
        (identity,) = found["identities"]
        assert identity["providerName"] == "Google"
        assert found["cognito:username"] == f"Google_{identity['userId']}"
    assert len(subjects) == 1
    user = login.local.call("AdminGetUser", UserPoolId=login.pool_id, Username=found["cognito:username"])
    assert user["UserStatus"] == "EXTERNAL_PROVIDER"
    with pytest.raises(AwsError, match="Incorrect username or password"):
        login.local.call(
            "AdminInitiateAuth",
            UserPoolId=login.pool_id,
            ClientId=login.client(ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"])[0],
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": found["cognito:username"], "PASSWORD": "Correct-Horse-1"},
        )


async def test_a_browsers_session_of_another_account_does_not_answer_for_a_provider(login: Login) -> None:
    provider(login)
    login.client_id, _ = login.client(SupportedIdentityProviders=["COGNITO", "Google"])
    await login.sign_in()
    assert not (await login.authorize())[2]["Location"].startswith("/login?")
    assert (await login.authorize(identity_provider="Google"))[2]["Location"].startswith("/login?")


@pytest.mark.parametrize("name", ["Google", "Nobody"])
async def test_a_provider_that_the_client_does_not_allow_is_refused(login: Login, name: str) -> None:
    provider(login)
    status, page, _ = await login.authorize(identity_provider=name)
    assert (status, "Login option is not available" in page) == (400, True)
    assert (await login.authorize(identity_provider="COGNITO"))[0] == 302
