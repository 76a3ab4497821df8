"""Password and refresh flows: what Cognito refuses is refused, in its words."""

from __future__ import annotations

import pytest

from tests.support.emulator import PASSWORD, TEMPORARY, Cognito, claims

WRONG = ("NotAuthorizedException", "Incorrect username or password.")
EXCEEDED = ("NotAuthorizedException", "Password attempts exceeded")


@pytest.mark.parametrize("flow", ["ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH", "USER_PASSWORD_AUTH"])
def test_the_admin_call_signs_in_under_each_name_of_the_flow(cognito: Cognito, flow: str) -> None:
    request = {**cognito.password_request(), "AuthFlow": flow, "UserPoolId": cognito.pool_id}
    assert cognito.call("AdminInitiateAuth", **request)["AuthenticationResult"]["AccessToken"]


def test_flows_a_client_does_not_allow_are_refused(cognito: Cognito) -> None:
    only_admin = cognito.new_client(ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"])
    only_user = cognito.new_client(ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"])
    assert cognito.sign_in_refused(client_id=only_admin) == (
        "InvalidParameterException",
        "USER_PASSWORD_AUTH flow not enabled for this client",
    )
    request = {**cognito.password_request(client_id=only_user), "UserPoolId": cognito.pool_id}
    request["AuthFlow"] = "ADMIN_USER_PASSWORD_AUTH"
    assert cognito.refused("AdminInitiateAuth", **request) == (
        "InvalidParameterException",
        "Auth flow not enabled for this client",
    )
    token = cognito.sign_in(client_id=only_user)["RefreshToken"]
    assert cognito.refused("InitiateAuth", **cognito.refresh_request(token, only_user)) == (
        "InvalidParameterException",
        "Auth flow not enabled for this client",
    )


def test_a_client_made_without_flows_has_cognitos_defaults(cognito: Cognito) -> None:
    client_id = cognito.new_client(ExplicitAuthFlows=[])
    assert cognito.sign_in_refused(client_id=client_id)[0] == "InvalidParameterException"
    described = cognito.call("DescribeUserPoolClient", UserPoolId=cognito.pool_id, ClientId=client_id)
    assert sorted(described["UserPoolClient"]["ExplicitAuthFlows"]) == [
        "ALLOW_CUSTOM_AUTH",
        "ALLOW_REFRESH_TOKEN_AUTH",
        "ALLOW_USER_SRP_AUTH",
    ]


def test_old_flow_names_imply_refreshing(cognito: Cognito) -> None:
    client_id = cognito.new_client(ExplicitAuthFlows=["USER_PASSWORD_AUTH"])
    token = cognito.sign_in(client_id=client_id)["RefreshToken"]
    assert cognito.call("InitiateAuth", **cognito.refresh_request(token, client_id))["AuthenticationResult"]


@pytest.mark.parametrize("flow", ["ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH"])
def test_the_admin_flow_needs_the_admin_call(cognito: Cognito, flow: str) -> None:
    request = {**cognito.password_request(), "AuthFlow": flow}
    assert cognito.refused("InitiateAuth", **request)[0] == "InvalidParameterException"


@pytest.mark.parametrize("flow", ["USER_SRP_AUTH", "CUSTOM_AUTH", "USER_AUTH"])
def test_every_flow_needs_the_client_to_allow_it(cognito: Cognito, flow: str) -> None:
    request = {**cognito.password_request(), "AuthFlow": flow}
    assert cognito.refused("InitiateAuth", **request) == (
        "InvalidParameterException",
        f"{flow} flow not enabled for this client",
    )


def test_a_custom_flow_without_triggers_is_refused(cognito: Cognito) -> None:
    client_id = cognito.new_client(ExplicitAuthFlows=["ALLOW_CUSTOM_AUTH"])
    request = {**cognito.password_request(client_id=client_id), "AuthFlow": "CUSTOM_AUTH"}
    assert cognito.refused("InitiateAuth", **request) == (
        "InvalidParameterException",
        "Custom auth lambda trigger is not configured for the user pool.",
    )


def test_choice_needs_the_tier(cognito: Cognito) -> None:
    pool_id = cognito.new_pool(UserPoolTier="LITE")
    client_id = cognito.new_client(pool_id, ExplicitAuthFlows=["ALLOW_USER_AUTH"])
    request = {**cognito.password_request(client_id=client_id), "AuthFlow": "USER_AUTH"}
    assert cognito.refused("InitiateAuth", **request)[0] == "FeatureUnavailableInTierException"


@pytest.mark.parametrize("missing", ["USERNAME", "PASSWORD"])
def test_a_missing_parameter_is_no_sign_in(cognito: Cognito, missing: str) -> None:
    request = cognito.password_request()
    del request["AuthParameters"][missing]
    assert cognito.refused("InitiateAuth", **request) == (
        "InvalidParameterException",
        f"Missing required parameter {missing}",
    )


def test_a_user_without_any_password_cannot_sign_in(cognito: Cognito) -> None:
    cognito.new_user("bob")
    cognito.state.pools[cognito.pool_id].users["bob"].password = None
    for password in (TEMPORARY, "None", "x"):
        assert cognito.sign_in_refused("bob", password) == WRONG


def test_the_secret_hash_is_required_and_checked(cognito: Cognito) -> None:
    client_id = cognito.new_client(GenerateSecret=True)
    assert cognito.sign_in_refused(client_id=client_id) == (
        "NotAuthorizedException",
        f"Client {client_id} is configured with secret but SECRET_HASH was not received",
    )
    unable = ("NotAuthorizedException", f"Unable to verify secret hash for client {client_id}")
    assert cognito.sign_in_refused(client_id=client_id, SECRET_HASH="AAAA") == unable
    others = cognito.secret_hash(client_id, "bob")
    assert cognito.sign_in_refused(client_id=client_id, SECRET_HASH=others) == unable
    right = cognito.secret_hash(client_id, "alice")
    result = cognito.sign_in(client_id=client_id, SECRET_HASH=right)
    refresh = cognito.refresh_request(result["RefreshToken"], client_id)
    assert cognito.refused("InitiateAuth", **refresh)[1].endswith("SECRET_HASH was not received")
    refresh = cognito.refresh_request(result["RefreshToken"], client_id, SECRET_HASH=right)
    assert cognito.call("InitiateAuth", **refresh)["AuthenticationResult"]["AccessToken"]


def test_a_secret_hash_for_a_client_without_secret_is_refused(cognito: Cognito) -> None:
    assert cognito.sign_in_refused(SECRET_HASH="AAAA")[0] == "NotAuthorizedException"


def test_unknown_users_are_revealed_only_if_the_client_allows_it(cognito: Cognito) -> None:
    assert cognito.sign_in_refused("nobody") == ("UserNotFoundException", "User does not exist.")
    hiding = cognito.new_client(PreventUserExistenceErrors="ENABLED")
    assert cognito.sign_in_refused("nobody", client_id=hiding) == WRONG
    assert cognito.sign_in_refused("alice", "Wrong-Password-1", client_id=hiding) == WRONG


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_the_lockout_reveals_no_more_than_the_password_does(cognito: Cognito, name: str) -> None:
    hiding = cognito.new_client(PreventUserExistenceErrors="ENABLED")
    answers = [cognito.sign_in_refused(name, "Wrong-Password-1", client_id=hiding) for _ in range(6)]
    assert answers == [WRONG] * 5 + [EXCEEDED]


def test_the_lockout_doubles_up_to_fifteen_minutes(cognito: Cognito) -> None:
    for _ in range(5):
        assert cognito.sign_in_refused(password="Wrong-Password-1") == WRONG
    for exponent in range(11):
        lock = min(2.0**exponent, 900.0)
        cognito.clock.forward(lock - 0.5)
        assert cognito.sign_in_refused() == EXCEEDED, "the right password does not open the lock either"
        cognito.clock.forward(0.5)
        if lock < 900:
            assert cognito.sign_in_refused(password="Wrong-Password-1") == WRONG
    assert cognito.sign_in()["AccessToken"]


def test_success_and_a_quiet_quarter_of_an_hour_forget_failures(cognito: Cognito) -> None:
    for _ in range(4):
        cognito.sign_in_refused(password="Wrong-Password-1")
    cognito.sign_in()
    for _ in range(4):
        cognito.sign_in_refused(password="Wrong-Password-1")
    assert cognito.sign_in()["AccessToken"]
    for _ in range(4):
        cognito.sign_in_refused(password="Wrong-Password-1")
    cognito.clock.forward(900)
    assert [cognito.sign_in_refused(password="Wrong-Password-1") for _ in range(5)] == [WRONG] * 5
    assert cognito.sign_in_refused() == EXCEEDED


def test_spelling_the_name_differently_does_not_get_round_the_lockout(cognito: Cognito) -> None:
    for name in ("alice", "ALICE", "Alice", "aLice", "alicE"):
        assert cognito.sign_in_refused(name, "Wrong-Password-1") == WRONG
    assert cognito.sign_in_refused("AlicE") == EXCEEDED


@pytest.mark.parametrize("flow", ["USER_PASSWORD_AUTH", "ADMIN_USER_PASSWORD_AUTH"])
@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        ("UNCONFIRMED", ("UserNotConfirmedException", "User is not confirmed.")),
        ("RESET_REQUIRED", ("PasswordResetRequiredException", "Password reset required for the user")),
    ],
)
def test_accounts_that_are_not_ready_get_no_tokens(
    cognito: Cognito, flow: str, status: str, refusal: tuple[str, str]
) -> None:
    cognito.state.pools[cognito.pool_id].users["alice"].status = status
    request = {**cognito.password_request(), "AuthFlow": flow, "UserPoolId": cognito.pool_id}
    assert cognito.refused("AdminInitiateAuth", **request) == refusal
    request = {**cognito.password_request(password="Wrong-Password-1"), "UserPoolId": cognito.pool_id}
    assert cognito.refused("AdminInitiateAuth", **request) == WRONG


def test_disabled_users_get_no_tokens_and_lose_theirs(cognito: Cognito) -> None:
    result = cognito.sign_in()
    where = {"UserPoolId": cognito.pool_id, "Username": "alice"}
    cognito.call("AdminDisableUser", **where)
    assert cognito.sign_in_refused() == ("NotAuthorizedException", "User is disabled.")
    assert cognito.sign_in_refused(password="Wrong-Password-1") == WRONG
    assert cognito.refused("GetUser", AccessToken=result["AccessToken"])[0] == "NotAuthorizedException"
    refresh = cognito.refresh_request(result["RefreshToken"])
    assert cognito.refused("InitiateAuth", **refresh)[0] == "NotAuthorizedException"
    cognito.call("AdminEnableUser", **where)
    assert cognito.refused("InitiateAuth", **refresh) == (
        "NotAuthorizedException",
        "Refresh Token has been revoked",
    )


def test_refreshing_keeps_when_and_as_what_the_user_signed_in(cognito: Cognito) -> None:
    first = cognito.sign_in()
    cognito.clock.forward(1000)
    answer = cognito.call("InitiateAuth", **cognito.refresh_request(first["RefreshToken"]))
    second = answer["AuthenticationResult"]
    assert "RefreshToken" not in second
    for use in ("AccessToken", "IdToken"):
        before, after = claims(first[use]), claims(second[use])
        assert before["auth_time"] == after["auth_time"]
        assert before["origin_jti"] == after["origin_jti"]
        assert before["jti"] != after["jti"]
        assert after["iat"] == before["iat"] + 1000


def test_a_refresh_token_works_for_its_own_client_only(cognito: Cognito) -> None:
    other = cognito.new_client()
    invalid = ("NotAuthorizedException", "Invalid Refresh Token")
    token = cognito.sign_in()["RefreshToken"]
    assert cognito.refused("InitiateAuth", **cognito.refresh_request(token, other)) == invalid
    assert cognito.refused("InitiateAuth", **cognito.refresh_request("eyJ.a.b.c.d")) == invalid
    access = cognito.sign_in()["AccessToken"]
    assert cognito.refused("InitiateAuth", **cognito.refresh_request(access)) == invalid


def test_a_refresh_token_expires(cognito: Cognito) -> None:
    client_id = cognito.new_client(RefreshTokenValidity=2, TokenValidityUnits={"RefreshToken": "hours"})
    token = cognito.sign_in(client_id=client_id)["RefreshToken"]
    cognito.clock.forward(7199)
    assert cognito.call("InitiateAuth", **cognito.refresh_request(token, client_id))["AuthenticationResult"]
    cognito.clock.forward(1)
    assert cognito.refused("InitiateAuth", **cognito.refresh_request(token, client_id)) == (
        "NotAuthorizedException",
        "Refresh Token has expired",
    )


def test_clients_and_pools_that_do_not_exist(cognito: Cognito) -> None:
    unknown = "0" * 26
    assert cognito.sign_in_refused(client_id=unknown) == (
        "ResourceNotFoundException",
        f"User pool client {unknown} does not exist.",
    )
    other_pool = cognito.new_pool()
    request = {**cognito.password_request(), "UserPoolId": other_pool}
    assert cognito.refused("AdminInitiateAuth", **request)[0] == "ResourceNotFoundException"


def test_usernames_are_case_sensitive_unless_the_pool_says_otherwise(cognito: Cognito) -> None:
    """API reference, UsernameConfigurationType: true is the default."""
    assert claims(cognito.sign_in("ALICE")["AccessToken"])["username"] == "alice"
    assert cognito.refused("AdminCreateUser", UserPoolId=cognito.pool_id, Username="ALICE")[0] == (
        "UsernameExistsException"
    )
    for settings in ({}, {"UsernameConfiguration": {"CaseSensitive": True}}):
        pool_id = str(cognito.call("CreateUserPool", PoolName="p", **settings)["UserPool"]["Id"])
        client_id = cognito.new_client(pool_id)
        cognito.new_user("carol", PASSWORD, pool_id)
        assert cognito.sign_in("carol", client_id=client_id)["AccessToken"]
        assert cognito.sign_in_refused("Carol", client_id=client_id)[0] == "UserNotFoundException"
        cognito.new_user("Carol", PASSWORD, pool_id)
        access = cognito.sign_in("Carol", client_id=client_id)["AccessToken"]
        assert claims(access)["username"] == "Carol"


def test_an_email_pool_signs_in_by_email_and_sub(cognito: Cognito) -> None:
    pool_id = cognito.new_pool(UsernameAttributes=["email"])
    username = cognito.new_user("dora@example.com", PASSWORD, pool_id)
    client_id = cognito.new_client(pool_id)
    for name in ("dora@example.com", "DORA@example.com", username):
        access = claims(cognito.sign_in(name, client_id=client_id)["AccessToken"])
        assert (access["sub"], access["username"]) == (username, username)


def test_an_email_alias_works_once_verified(cognito: Cognito) -> None:
    pool_id = cognito.new_pool(AliasAttributes=["email"])
    client_id = cognito.new_client(pool_id)
    email = {"Name": "email", "Value": "eve@example.com"}
    verified = {"Name": "email_verified", "Value": "true"}
    cognito.new_user("unverified", PASSWORD, pool_id, UserAttributes=[email])
    assert cognito.sign_in_refused("eve@example.com", client_id=client_id)[0] == "UserNotFoundException"
    cognito.new_user("verified", PASSWORD, pool_id, UserAttributes=[email, verified])
    access = claims(cognito.sign_in("eve@example.com", client_id=client_id)["AccessToken"])
    assert access["username"] == "verified"


def test_the_states_repr_holds_no_secret(cognito: Cognito) -> None:
    client_id = cognito.new_client(GenerateSecret=True)
    cognito.new_user("bob")
    session = cognito.call("InitiateAuth", **cognito.password_request("bob", TEMPORARY))["Session"]
    secrets = [PASSWORD, TEMPORARY, session, cognito.sign_in()["RefreshToken"]]
    secrets.append(str(cognito.state.client(client_id)[1].secret))
    shown = repr(cognito.state)
    assert [secret for secret in secrets if secret in shown] == []
