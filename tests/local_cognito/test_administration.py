"""Pools, clients, users and groups as an administrator makes them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_cognito.errors import AwsError
from local_cognito.operations import OPERATIONS
from local_cognito.passwords import PasswordPolicy, check_policy, generate
from tests.support.emulator import PASSWORD, TEMPORARY, Cognito


def test_ids_have_cognitos_form(cognito: Cognito) -> None:
    assert re.fullmatch(r"us-east-1_[A-Za-z0-9]{9}", cognito.pool_id)
    assert re.fullmatch(r"[a-z0-9]{26}", cognito.client_id)
    made = cognito.call(
        "CreateUserPoolClient", UserPoolId=cognito.pool_id, ClientName="c", GenerateSecret=True
    )["UserPoolClient"]
    assert re.fullmatch(r"[\w+]{24,64}", made["ClientSecret"])


def test_updating_a_pool_resets_what_is_not_given(cognito: Cognito) -> None:
    policy = {"PasswordPolicy": {"MinimumLength": 12}}
    pool_id = cognito.new_pool(Policies=policy, UsernameAttributes=["email"], DeletionProtection="ACTIVE")
    assert cognito.refused("DeleteUserPool", UserPoolId=pool_id)[0] == "InvalidParameterException"
    cognito.call("UpdateUserPool", UserPoolId=pool_id, UserPoolTags={"a": "b"})
    pool = cognito.call("DescribeUserPool", UserPoolId=pool_id)["UserPool"]
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] == 8
    assert pool["UserPoolTags"] == {"a": "b"}
    assert pool["UsernameAttributes"] == ["email"]
    cognito.call("DeleteUserPool", UserPoolId=pool_id)
    assert cognito.refused("DescribeUserPool", UserPoolId=pool_id) == (
        "ResourceNotFoundException",
        f"User pool {pool_id} does not exist.",
    )


def test_updating_a_client_resets_what_is_not_given_and_keeps_its_secret(cognito: Cognito) -> None:
    client_id = cognito.new_client(GenerateSecret=True, PreventUserExistenceErrors="ENABLED")
    where = {"UserPoolId": cognito.pool_id, "ClientId": client_id}
    secret = cognito.call("DescribeUserPoolClient", **where)["UserPoolClient"]["ClientSecret"]
    updated = cognito.call("UpdateUserPoolClient", **where, AccessTokenValidity=2)["UserPoolClient"]
    assert updated["PreventUserExistenceErrors"] == "LEGACY"
    assert updated["AccessTokenValidity"] == 2
    assert updated["ClientName"] == "c"
    assert updated["ClientSecret"] == secret


@pytest.mark.parametrize(
    "settings",
    [
        {"ExplicitAuthFlows": ["ALLOW_NONSENSE"]},
        {"ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH", "USER_PASSWORD_AUTH"]},
        {"AccessTokenValidity": 4, "TokenValidityUnits": {"AccessToken": "minutes"}},
        {"AccessTokenValidity": 2, "TokenValidityUnits": {"AccessToken": "days"}},
        {"RefreshTokenValidity": 59, "TokenValidityUnits": {"RefreshToken": "minutes"}},
        {"AuthSessionValidity": 16},
        {"ClientSecret": "short"},
        {"GenerateSecret": True, "ClientSecret": "s" * 24},
        {"RefreshTokenRotation": {"Feature": "ENABLED"}},
        {"Nonsense": 1},
    ],
)
def test_client_settings_cognito_refuses(cognito: Cognito, settings: dict[str, Any]) -> None:
    request = {"UserPoolId": cognito.pool_id, "ClientName": "c", **settings}
    assert cognito.refused("CreateUserPoolClient", **request)[0] == "InvalidParameterException"


@pytest.mark.parametrize(
    "settings",
    [
        {"MfaConfiguration": "ON"},
        {"LambdaConfig": {"PreSignUp": "arn:aws:lambda:us-east-1:000000000000:function:f"}},
        {"AliasAttributes": ["email"], "UsernameAttributes": ["email"]},
        {"UsernameAttributes": ["nickname"]},
        {"Policies": {"PasswordPolicy": {"MinimumLength": 5}}},
        {"Policies": {"PasswordPolicy": {"PasswordHistorySize": 3}}},
        {"Schema": [{"Name": "tenant", "Required": True}]},
        {"PoolName": "pool/name"},
    ],
)
def test_pool_settings_that_would_have_no_effect_are_refused(
    cognito: Cognito, settings: dict[str, Any]
) -> None:
    request = {"PoolName": "p", **settings}
    assert cognito.refused("CreateUserPool", **request)[0] == "InvalidParameterException"


def test_lists_come_in_pages(cognito: Cognito) -> None:
    for _ in range(4):
        cognito.new_client()
    seen, token = [], None
    while True:
        extra: dict[str, Any] = {"NextToken": token} if token else {}
        answer = cognito.call("ListUserPoolClients", UserPoolId=cognito.pool_id, MaxResults=2, **extra)
        assert len(answer["UserPoolClients"]) <= 2
        seen += [one["ClientId"] for one in answer["UserPoolClients"]]
        token = answer.get("NextToken")
        if token is None:
            break
    assert len(seen) == len(set(seen)) == 5
    bad = {"UserPoolId": cognito.pool_id, "MaxResults": 2, "NextToken": "x"}
    assert cognito.refused("ListUserPoolClients", **bad)[0] == "InvalidParameterException"


def test_a_created_user_must_change_a_password_that_holds_to_the_policy(cognito: Cognito) -> None:
    request = {"UserPoolId": cognito.pool_id, "Username": "bob"}
    assert cognito.refused("AdminCreateUser", **request, TemporaryPassword="weak") == (
        "InvalidPasswordException",
        "Password did not conform with policy: Password not long enough",
    )
    user = cognito.call("AdminCreateUser", **request, TemporaryPassword=TEMPORARY)["User"]
    assert (user["UserStatus"], user["Enabled"]) == ("FORCE_CHANGE_PASSWORD", True)
    assert cognito.refused("AdminCreateUser", **request)[0] == "UsernameExistsException"
    assert (
        cognito.refused("AdminCreateUser", **{**request, "Username": "BOB"})[0] == "UsernameExistsException"
    )


def test_a_generated_temporary_password_goes_out_with_the_invitation(cognito: Cognito) -> None:
    cognito.call("AdminCreateUser", UserPoolId=cognito.pool_id, Username="bob")
    message = cognito.state.outbox[-1]
    password = message.text.removesuffix(".").rpartition(" ")[2]
    assert password not in repr(message)
    answer = cognito.call("InitiateAuth", **cognito.password_request("bob", password))
    assert answer["ChallengeName"] == "NEW_PASSWORD_REQUIRED"


def test_an_invitation_is_sent_again_with_a_new_password_only_before_first_use(cognito: Cognito) -> None:
    cognito.new_user("bob")
    request = {"UserPoolId": cognito.pool_id, "MessageAction": "RESEND"}
    sent = len(cognito.state.outbox)
    cognito.call("AdminCreateUser", **request, Username="bob")
    assert len(cognito.state.outbox) == sent + 1
    assert cognito.sign_in_refused("bob", TEMPORARY)[0] == "NotAuthorizedException"
    assert (
        cognito.refused("AdminCreateUser", **request, Username="alice")[0] == "UnsupportedUserStateException"
    )
    assert cognito.refused("AdminCreateUser", **request, Username="nobody")[0] == "UserNotFoundException"
    assert len(cognito.state.outbox) == sent + 1
    suppressed = {"UserPoolId": cognito.pool_id, "Username": "carol", "MessageAction": "SUPPRESS"}
    cognito.call("AdminCreateUser", **suppressed)
    assert len(cognito.state.outbox) == sent + 1


def test_setting_a_password_is_permanent_only_when_asked(cognito: Cognito) -> None:
    where = {"UserPoolId": cognito.pool_id, "Username": "alice"}
    assert cognito.refused("AdminSetUserPassword", **where, Password="weak")[0] == "InvalidPasswordException"
    cognito.call("AdminSetUserPassword", **where, Password=TEMPORARY)
    answer = cognito.call("InitiateAuth", **cognito.password_request(password=TEMPORARY))
    assert answer["ChallengeName"] == "NEW_PASSWORD_REQUIRED"
    cognito.call("AdminSetUserPassword", **where, Password=TEMPORARY, Permanent=True)
    assert cognito.sign_in(password=TEMPORARY)["AccessToken"]


def test_aliases_are_unique(cognito: Cognito) -> None:
    by_email = cognito.new_pool(UsernameAttributes=["email"])
    cognito.new_user("dora@example.com", PASSWORD, by_email)
    request: dict[str, Any] = {"UserPoolId": by_email, "Username": "Dora@Example.com"}
    assert cognito.refused("AdminCreateUser", **request) == (
        "UsernameExistsException",
        "An account with the given email already exists.",
    )
    request["Username"] = "dora"
    assert cognito.refused("AdminCreateUser", **request)[1] == "Username should be an email."
    aliased = cognito.new_pool(AliasAttributes=["email"])
    pairs = (("email", "e@example.com"), ("email_verified", "true"))
    attributes = [{"Name": name, "Value": value} for name, value in pairs]
    cognito.new_user("first", PASSWORD, aliased, UserAttributes=attributes)
    request = {"UserPoolId": aliased, "Username": "second", "UserAttributes": attributes}
    assert cognito.refused("AdminCreateUser", **request)[0] == "AliasExistsException"
    cognito.call("AdminCreateUser", **request, ForceAliasCreation=True)
    first = cognito.call("AdminGetUser", UserPoolId=aliased, Username="first")
    assert {"Name": "email_verified", "Value": "false"} in first["UserAttributes"]
    request = {"UserPoolId": aliased, "Username": "x@example.com"}
    assert cognito.refused("AdminCreateUser", **request)[0] == "InvalidParameterException"


@pytest.mark.parametrize(
    ("name", "value"),
    [("custom:tenant", "x"), ("sub", "x"), ("email_verified", "yes"), ("email", "no-at-sign")],
)
def test_attributes_outside_the_schema_are_refused(cognito: Cognito, name: str, value: str) -> None:
    request = {
        "UserPoolId": cognito.pool_id,
        "Username": "bob",
        "UserAttributes": [{"Name": name, "Value": value}],
    }
    assert cognito.refused("AdminCreateUser", **request)[0] == "InvalidParameterException"
    assert cognito.refused("AdminGetUser", UserPoolId=cognito.pool_id, Username="bob") == (
        "UserNotFoundException",
        "User does not exist.",
    )


def test_users_are_filtered_and_paged(cognito: Cognito) -> None:
    for name in ("bob", "bert", 'quo"te'):
        listed = [{"Name": "name", "Value": name.upper()}]
        cognito.new_user(name, None, UserAttributes=listed)
    where: dict[str, Any] = {"UserPoolId": cognito.pool_id}

    def found(expression: str) -> list[str]:
        return [one["Username"] for one in cognito.call("ListUsers", **where, Filter=expression)["Users"]]

    assert found('username ^= "b"') == ["bob", "bert"]
    assert found('username = "BOB"') == ["bob"]
    assert found('name = "QUO\\"TE"') == ['quo"te']
    assert found('cognito:user_status = "CONFIRMED"') == ["alice"]
    assert found('status = "Disabled"') == []
    for bad in ("username", 'username > "b"', 'custom:tenant = "x"', 'username = "b" or "c"'):
        assert cognito.refused("ListUsers", **where, Filter=bad)[0] == "InvalidParameterException"
    first = cognito.call("ListUsers", **where, Limit=3, AttributesToGet=["name"])
    rest = cognito.call("ListUsers", **where, Limit=3, PaginationToken=first["PaginationToken"])
    assert (len(first["Users"]), len(rest["Users"])) == (3, 1)
    assert first["Users"][1]["Attributes"] == [{"Name": "name", "Value": "BOB"}]


def test_groups_exist_once_and_before_use(cognito: Cognito) -> None:
    group = {"UserPoolId": cognito.pool_id, "GroupName": "admins"}
    member = {**group, "Username": "alice"}
    assert cognito.refused("AdminAddUserToGroup", **member)[0] == "ResourceNotFoundException"
    cognito.call("CreateGroup", **group)
    assert cognito.refused("CreateGroup", **group)[0] == "GroupExistsException"
    assert cognito.refused("AdminAddUserToGroup", **{**member, "Username": "x"})[0] == "UserNotFoundException"


@pytest.mark.parametrize(
    ("password", "missing"),
    [
        ("Aa1.", "Password not long enough"),
        ("AAAA1111.", "Password must have lowercase characters"),
        ("aaaa1111.", "Password must have uppercase characters"),
        ("aaaaAAAA.", "Password must have numeric characters"),
        ("aaaaAAAA1", "Password must have symbol characters"),
        ("aaaaAAAA1é", "Password must have symbol characters"),
    ],
)
def test_the_policy_names_what_is_missing(password: str, missing: str) -> None:
    with pytest.raises(AwsError, match=missing):
        check_policy(PasswordPolicy(), password)


@given(st.integers(6, 99))
def test_generated_passwords_hold_to_the_policy(length: int) -> None:
    policy = PasswordPolicy(minimum_length=length)
    check_policy(policy, generate(policy))


def test_groups_are_listed_changed_and_deleted(cognito: Cognito) -> None:
    where = {"UserPoolId": cognito.pool_id}
    role = "arn:aws:iam::000000000000:role/admins"
    for name in ("admins", "users"):
        cognito.call("CreateGroup", **where, GroupName=name)
        cognito.call("AdminAddUserToGroup", **where, GroupName=name, Username="alice")
    changed = {"Precedence": 1, "RoleArn": role}
    cognito.call("UpdateGroup", **where, GroupName="admins", Description="d", **changed)
    group = cognito.call("UpdateGroup", **where, GroupName="admins", Precedence=2)["Group"]
    assert (group["Description"], group["Precedence"], group["RoleArn"]) == ("d", 2, role)
    assert cognito.call("GetGroup", **where, GroupName="admins")["Group"] == group
    first = cognito.call("ListGroups", **where, Limit=1)
    assert [one["GroupName"] for one in first["Groups"]] == ["admins"]
    second = cognito.call("ListGroups", **where, NextToken=first["NextToken"])
    assert [one["GroupName"] for one in second["Groups"]] == ["users"]
    mine = cognito.call("AdminListGroupsForUser", **where, Username="alice")["Groups"]
    assert [one["GroupName"] for one in mine] == ["admins", "users"]
    cognito.call("DeleteGroup", **where, GroupName="users")
    assert len(cognito.call("AdminListGroupsForUser", **where, Username="alice")["Groups"]) == 1
    members = cognito.call("ListUsersInGroup", **where, GroupName="admins")["Users"]
    assert [one["Username"] for one in members] == ["alice"]
    for operation in ("GetGroup", "UpdateGroup", "DeleteGroup", "ListUsersInGroup"):
        refusal = cognito.refused(operation, **where, GroupName="users")
        assert refusal == ("ResourceNotFoundException", "Group not found.")


def test_a_deleted_clients_tokens_and_sessions_are_dead(cognito: Cognito) -> None:
    token = {"AccessToken": cognito.sign_in()["AccessToken"]}
    cognito.new_user("bob")
    session = cognito.call("InitiateAuth", **cognito.password_request("bob", TEMPORARY))["Session"]
    cognito.call("DeleteUserPoolClient", UserPoolId=cognito.pool_id, ClientId=cognito.client_id)
    assert cognito.refused("GetUser", **token)[1] == "Access Token has been revoked"
    assert session not in cognito.state.pools[cognito.pool_id].sessions
    assert cognito.sign_in_refused()[0] == "ResourceNotFoundException"


def test_sending_back_the_description_handles_both_names_of_a_setting(cognito: Cognito) -> None:
    """As at Cognito: an update must leave one of them out, and loses nothing else."""
    told = cognito.call("DescribeUserPool", UserPoolId=cognito.pool_id)["UserPool"]
    settings = {name: told[name] for name in told if name in OPERATIONS["UpdateUserPool"].fields}
    refusal = cognito.refused("UpdateUserPool", UserPoolId=cognito.pool_id, **settings)
    assert refusal[1].startswith("Please use TemporaryPasswordValidityDays")
    del settings["AdminCreateUserConfig"]["UnusedAccountValidityDays"]
    cognito.clock.forward(1)
    cognito.call("UpdateUserPool", UserPoolId=cognito.pool_id, **settings)
    again = cognito.call("DescribeUserPool", UserPoolId=cognito.pool_id)["UserPool"]
    assert again == {**told, "LastModifiedDate": told["LastModifiedDate"] + 1} | {
        "AdminCreateUserConfig": {**told["AdminCreateUserConfig"], "UnusedAccountValidityDays": 7}
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"Policies": {"SignInPolicy": None, "PasswordPolicy": None}},
        {"Policies": {"PasswordPolicy": {"MinimumLength": None, "TemporaryPasswordValidityDays": None}}},
        {"AccountRecoverySetting": {"RecoveryMechanisms": None}},
        {"AdminCreateUserConfig": {"UnusedAccountValidityDays": None, "AllowAdminCreateUserOnly": None}},
    ],
)
def test_a_null_member_is_an_absent_one(cognito: Cognito, settings: dict[str, Any]) -> None:
    pool_id = cognito.new_pool(**settings)
    with_nulls, without = (
        cognito.call("DescribeUserPool", UserPoolId=one)["UserPool"] for one in (pool_id, cognito.pool_id)
    )
    assert with_nulls["AdminCreateUserConfig"] == without["AdminCreateUserConfig"]
    assert with_nulls["Policies"]["SignInPolicy"] == without["Policies"]["SignInPolicy"]


def test_only_verifiable_attributes_are_kept_until_verified(cognito: Cognito) -> None:
    settings = {"UserAttributeUpdateSettings": {"AttributesRequireVerificationBeforeUpdate": ["email"]}}
    told = (
        "InvalidParameterException",
        "All attributes in AttributesRequireVerificationBeforeUpdate must exist in AutoVerifiedAttributes",
    )
    assert cognito.refused("CreateUserPool", PoolName="p", **settings) == told
    assert cognito.refused("UpdateUserPool", UserPoolId=cognito.pool_id, **settings) == told
    phone = {"AutoVerifiedAttributes": ["phone_number"]}
    assert cognito.refused("UpdateUserPool", UserPoolId=cognito.pool_id, **phone, **settings) == told
    email = {"AutoVerifiedAttributes": ["email"]}
    cognito.call("UpdateUserPool", UserPoolId=cognito.pool_id, **email, **settings)
