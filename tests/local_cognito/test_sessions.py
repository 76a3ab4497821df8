"""Session tracking and machines' tokens, as boto3 sees them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.aws_client import FLOWS, Aws, AwsPool
from tests.support.emulator import claims

OFF = ("OperationNotEnabledException", "User session tracking is not enabled for the user pool.")
NO_SESSION = ("ResourceNotFoundException", "Session does not exist.")


def tracked(aws: Aws, most: int = 20) -> AwsPool:
    pool = aws.pool()
    pool.idp.set_user_pool_session_configuration(
        UserPoolId=pool.id, UserSessionTracking="ENABLED", TokenSession={"MaxPerUser": most}
    )
    return pool


def listed(pool: AwsPool, tokens: dict[str, Any]) -> list[dict[str, Any]]:
    return list(pool.idp.list_user_sessions(AccessToken=tokens["AccessToken"])["Sessions"])


def current(pool: AwsPool, tokens: dict[str, Any]) -> dict[str, Any]:
    (found,) = (session for session in listed(pool, tokens) if session["IsCurrentSession"])
    return found


def test_nothing_is_tracked_until_the_pool_asks_for_it(aws: Aws) -> None:
    pool = aws.pool()
    before = pool.sign_in()
    settings = pool.idp.get_user_pool_session_configuration(UserPoolId=pool.id)
    assert (settings["UserSessionTracking"], settings["TokenSession"]) == ("DISABLED", {"MaxPerUser": 20})
    assert aws.refused("list_user_sessions", AccessToken=before["AccessToken"]) == OFF
    assert aws.refused("admin_list_user_sessions", UserPoolId=pool.id, Username="alice") == OFF
    sso = {"UserPoolId": pool.id, "ClientId": pool.client_id, "SSOSession": {"MaxValidityMinutes": 5}}
    assert aws.refused("set_user_pool_client_session_configuration", **sso) == OFF
    pool.idp.set_user_pool_session_configuration(
        UserPoolId=pool.id, UserSessionTracking="ENABLED", TokenSession={"MaxPerUser": 3}
    )
    assert listed(pool, before) == [], "sign-ins from before have no record"
    answer = pool.idp.set_user_pool_client_session_configuration(**sso)
    assert answer["SSOSession"] == {"MaxValidityMinutes": 5}
    where = {"UserPoolId": pool.id, "ClientId": pool.client_id}
    answer = pool.idp.get_user_pool_client_session_configuration(**where)
    assert answer["SSOSession"] == {"MaxValidityMinutes": 5}


def test_the_smallest_tier_has_no_session_tracking(aws: Aws) -> None:
    pool = aws.idp.create_user_pool(PoolName="p", UserPoolTier="LITE")["UserPool"]["Id"]
    request = {"UserPoolId": pool, "UserSessionTracking": "ENABLED", "TokenSession": {"MaxPerUser": 1}}
    assert aws.refused("set_user_pool_session_configuration", **request)[0] == (
        "FeatureUnavailableInTierException"
    )


def test_a_user_sees_every_session_and_ends_another(aws: Aws) -> None:
    pool = tracked(aws)
    here, there = pool.sign_in(), pool.sign_in(client_id=pool.client()["ClientId"])
    pool.user("bob")
    bob = pool.sign_in("bob")
    one, other = current(pool, here), current(pool, there)
    assert {session["SessionId"] for session in listed(pool, here)} == {one["SessionId"], other["SessionId"]}
    assert (one["SessionType"], one["ClientId"]) == ("TOKEN", pool.client_id)
    assert one["SessionId"].startswith("tkn")
    assert one["LastIPAddress"] == "127.0.0.1"
    assert "Boto3" in one["DeviceType"]
    mine = {"AccessToken": here["AccessToken"]}
    code, _ = aws.refused("revoke_user_session", **mine, SessionId=one["SessionId"])
    assert code == "InvalidParameterException", "not the session in use"
    assert (
        aws.refused("revoke_user_session", AccessToken=bob["AccessToken"], SessionId=one["SessionId"])
        == NO_SESSION
    )
    pool.idp.revoke_user_session(**mine, SessionId=other["SessionId"])
    assert aws.refused("get_user", AccessToken=there["AccessToken"])[1] == "Access Token has been revoked"
    assert aws.refused("revoke_user_session", **mine, SessionId=other["SessionId"]) == NO_SESSION
    assert [session["SessionId"] for session in listed(pool, here)] == [one["SessionId"]]


def test_an_administrator_ends_only_sessions_of_the_named_user(aws: Aws) -> None:
    pool = tracked(aws)
    pool.user("bob")
    tokens = pool.sign_in()
    where = {"UserPoolId": pool.id, "Username": "alice"}
    (session,) = pool.idp.admin_list_user_sessions(**where)["Sessions"]
    assert session["IsCurrentSession"] is False
    other = {**where, "Username": "bob", "SessionId": session["SessionId"]}
    assert aws.refused("admin_revoke_user_session", **other) == NO_SESSION
    pool.idp.admin_revoke_user_session(**where, SessionId=session["SessionId"])
    assert aws.refused("get_user", AccessToken=tokens["AccessToken"])[1] == "Access Token has been revoked"
    assert pool.idp.admin_list_user_sessions(**where)["Sessions"] == []


def test_the_least_recently_used_session_makes_room(aws: Aws) -> None:
    pool = tracked(aws, most=2)
    first = pool.sign_in()
    aws.clock.forward(10)
    second = pool.sign_in()
    aws.clock.forward(10)
    began = current(pool, first)
    pool.idp.get_tokens_from_refresh_token(ClientId=pool.client_id, RefreshToken=first["RefreshToken"])
    assert current(pool, first)["LastActiveDate"] > began["LastActiveDate"]
    third = pool.sign_in()
    assert aws.refused("get_user", AccessToken=second["AccessToken"])[1] == "Access Token has been revoked"
    assert len(listed(pool, third)) == 2
    pool.idp.set_user_pool_session_configuration(
        UserPoolId=pool.id, UserSessionTracking="ENABLED", TokenSession={"MaxPerUser": 1}
    )
    assert len(listed(pool, third)) == 2, "a lower limit ends nothing by itself"
    assert len(listed(pool, pool.sign_in())) == 1


def test_expired_and_signed_out_sessions_are_not_listed(aws: Aws) -> None:
    pool = tracked(aws)
    where = {"UserPoolId": pool.id, "Username": "alice"}
    pool.idp.global_sign_out(AccessToken=pool.sign_in()["AccessToken"])
    assert pool.idp.admin_list_user_sessions(**where)["Sessions"] == []
    pool.sign_in()
    assert len(pool.idp.admin_list_user_sessions(**where)["Sessions"]) == 1
    aws.clock.forward(31 * 86400)
    assert pool.idp.admin_list_user_sessions(**where)["Sessions"] == []


def test_a_clients_word_about_the_address_counts_where_it_may_say_so(aws: Aws) -> None:
    pool = tracked(aws)
    where = {"UserPoolId": pool.id, "Username": "alice"}
    for flag, address in ((False, "127.0.0.1"), (True, "203.0.113.9")):
        made = pool.client(GenerateSecret=True, EnablePropagateAdditionalUserContextData=flag)
        proof = aws.secret_hash(made, "alice")
        context = {"IpAddress": "203.0.113.9", "EncodedData": "x" * 5000}
        parameters = {"SECRET_HASH": proof}
        tokens = pool.sign_in(client_id=made["ClientId"], parameters=parameters, UserContextData=context)
        assert current(pool, tokens)["LastIPAddress"] == address
        recorded = aws.read("/_contexts")[-1]
        assert (recorded["operation"], recorded["client"]) == ("InitiateAuth", made["ClientId"])
        assert (recorded["IpAddress"], recorded["EncodedData"]) == ("203.0.113.9", "x" * 1024)
    assert len(pool.idp.admin_list_user_sessions(**where)["Sessions"]) == 2


def machine(pool: AwsPool, **settings: Any) -> dict[str, Any]:
    scopes = [{"ScopeName": name, "ScopeDescription": name} for name in ("read", "write")]
    pool.idp.create_resource_server(UserPoolId=pool.id, Identifier="api", Name="api", Scopes=scopes)
    request = {
        "GenerateSecret": True,
        "ExplicitAuthFlows": ["ALLOW_CLIENT_TOKEN_AUTH"],
        "AllowedOAuthScopes": ["api/read", "api/write"],
        **settings,
    }
    return pool.client(**request)


def test_a_machine_gets_a_token_with_its_secret(aws: Aws) -> None:
    pool = aws.pool()
    made = machine(pool)
    who = {"ClientId": made["ClientId"], "Secret": made["ClientSecret"]}
    answer = pool.idp.get_client_token(**who)["ClientAuthenticationResult"]
    assert (answer["TokenType"], answer["ExpiresIn"]) == ("Bearer", 3600)
    token = claims(answer["AccessToken"])
    assert (token["client_id"], token["scope"]) == (made["ClientId"], "api/read api/write")
    answer = pool.idp.get_client_token(**who, Scopes=["api/read"])["ClientAuthenticationResult"]
    assert claims(answer["AccessToken"])["scope"] == "api/read"
    assert aws.refused("get_client_token", **who, Scopes=["api/all"])[0] == "InvalidParameterException"
    wrong = {**who, "Secret": "x" * 40}
    assert aws.refused("get_client_token", **wrong)[0] == "NotAuthorizedException"


def test_other_clients_get_no_machine_token(aws: Aws) -> None:
    pool = aws.pool()
    made = pool.client(GenerateSecret=True)
    who = {"ClientId": made["ClientId"], "Secret": made["ClientSecret"]}
    assert aws.refused("get_client_token", **who) == (
        "InvalidParameterException",
        "ALLOW_CLIENT_TOKEN_AUTH flow not enabled for this client",
    )


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"ExplicitAuthFlows": ["ALLOW_CLIENT_TOKEN_AUTH", *FLOWS]}, "only one"),
        ({"ExplicitAuthFlows": ["ALLOW_CLIENT_TOKEN_AUTH"]}, "secret"),
    ],
)
def test_the_machines_flow_stands_alone_and_needs_a_secret(
    aws: Aws, settings: dict[str, Any], why: str
) -> None:
    pool = aws.pool()
    code, message = aws.refused("create_user_pool_client", UserPoolId=pool.id, ClientName="m", **settings)
    assert (code, why in message) == ("InvalidParameterException", True)
