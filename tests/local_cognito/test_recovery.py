"""Forgotten, reset and changed passwords; refresh token rotation; a user's own attributes."""

from __future__ import annotations

from typing import Any

import pytest

from local_cognito.codes import FORGOT_PASSWORD
from tests.support.emulator import PASSWORD, Cognito, claims

MISMATCH = ("CodeMismatchException", "Invalid verification code provided, please try again.")
EXPIRED = ("ExpiredCodeException", "Invalid code provided, please request a code again.")
LIMIT = ("LimitExceededException", "Attempt limit exceeded, please try after some time.")
NEW = "Another-Horse-2"
VERIFIED = [{"Name": "email", "Value": "carol@example.com"}, {"Name": "email_verified", "Value": "true"}]


@pytest.fixture
def carol(cognito: Cognito) -> dict[str, Any]:
    """How calls name carol, who can recover by e-mail."""
    cognito.new_user("carol", PASSWORD, UserAttributes=VERIFIED)
    return {"ClientId": cognito.client_id, "Username": "carol"}


@pytest.fixture
def hiding(cognito: Cognito) -> str:
    return cognito.new_client(PreventUserExistenceErrors="ENABLED")


def code(cognito: Cognito) -> str:
    sent = cognito.state.outbox[-1].code
    assert sent is not None
    return sent


def wrong(cognito: Cognito) -> str:
    return f"{(int(code(cognito)) + 1) % 10**6:06}"


def answer(named: dict[str, Any], given: str, password: str = NEW) -> dict[str, Any]:
    return {**named, "ConfirmationCode": given, "Password": password}


def test_the_code_sets_a_new_password_once(cognito: Cognito, carol: dict[str, Any]) -> None:
    details = cognito.call("ForgotPassword", **carol)["CodeDeliveryDetails"]
    assert details["Destination"] == "c***@e***"
    assert cognito.sign_in("carol")["AccessToken"], "asking alone changes nothing"
    assert cognito.refused("ConfirmForgotPassword", **answer(carol, wrong(cognito))) == MISMATCH
    weak = cognito.refused("ConfirmForgotPassword", **answer(carol, code(cognito), "weak"))
    assert weak[0] == "InvalidPasswordException"
    cognito.call("ConfirmForgotPassword", **answer(carol, code(cognito)))
    assert cognito.sign_in("carol", NEW)["AccessToken"]
    assert cognito.sign_in_refused("carol")[0] == "NotAuthorizedException"
    assert cognito.refused("ConfirmForgotPassword", **answer(carol, code(cognito))) == EXPIRED


def test_a_code_lives_an_hour_and_needs_to_be_asked_for(cognito: Cognito, carol: dict[str, Any]) -> None:
    assert cognito.refused("ConfirmForgotPassword", **answer(carol, "123456")) == EXPIRED
    cognito.call("ForgotPassword", **carol)
    cognito.clock.forward(3600)
    assert cognito.refused("ConfirmForgotPassword", **answer(carol, code(cognito))) == EXPIRED


def test_asking_and_trying_are_limited(cognito: Cognito, carol: dict[str, Any]) -> None:
    for _ in range(FORGOT_PASSWORD.asks):
        cognito.call("ForgotPassword", **carol)
    assert cognito.refused("ForgotPassword", **carol) == LIMIT
    for _ in range(FORGOT_PASSWORD.tries):
        assert cognito.refused("ConfirmForgotPassword", **answer(carol, wrong(cognito))) == MISMATCH
    assert cognito.refused("ConfirmForgotPassword", **answer(carol, code(cognito))) == LIMIT


def test_hidden_users_look_like_existing_ones(cognito: Cognito, carol: dict[str, Any], hiding: str) -> None:
    """The whole exchange, limits included, for somebody and for nobody."""

    def exchange(name: str) -> list[Any]:
        named = {"ClientId": hiding, "Username": name}
        seen: list[Any] = [cognito.refused("ConfirmForgotPassword", **answer(named, "0000000"))]
        for _ in range(FORGOT_PASSWORD.asks):
            details = cognito.call("ForgotPassword", **named)["CodeDeliveryDetails"]
            seen.append((sorted(details), details["DeliveryMedium"]))
        seen.append(cognito.refused("ForgotPassword", **named))
        seen += [
            cognito.refused("ConfirmForgotPassword", **answer(named, "0000000"))
            for _ in range(FORGOT_PASSWORD.tries)
        ]
        return seen

    assert exchange("carol") == exchange("nobody")
    assert {one.username for one in cognito.state.outbox} == {"carol"}


def test_a_simulated_destination_does_not_change(cognito: Cognito, hiding: str) -> None:
    for name in ("nobody", "nobody@example.com", "+15551239934"):
        named = {"ClientId": hiding, "Username": name}
        first, second = (cognito.call("ForgotPassword", **named) for _ in range(2))
        assert first == second
    assert first["CodeDeliveryDetails"] == {
        "Destination": "+*******9934",
        "DeliveryMedium": "SMS",
        "AttributeName": "phone_number",
    }
    assert not cognito.state.outbox


@pytest.mark.parametrize("change", ["disabled", "unverified", "temporary"])
def test_users_who_cannot_recover_get_an_error_or_are_hidden(
    cognito: Cognito, hiding: str, change: str
) -> None:
    attributes = VERIFIED[:1] if change == "unverified" else VERIFIED
    cognito.new_user("dora", None if change == "temporary" else PASSWORD, UserAttributes=attributes)
    if change == "disabled":
        cognito.call("AdminDisableUser", UserPoolId=cognito.pool_id, Username="dora")
    told = cognito.refused("ForgotPassword", ClientId=cognito.client_id, Username="dora")
    expected = {
        "disabled": ("NotAuthorizedException", "User is disabled."),
        "unverified": (
            "InvalidParameterException",
            "Cannot reset password for the user as there is no registered/verified email or phone_number",
        ),
        "temporary": ("NotAuthorizedException", "User password cannot be reset in the current state."),
    }
    assert told == expected[change]
    before = len(cognito.state.outbox)
    assert cognito.call("ForgotPassword", ClientId=hiding, Username="dora")["CodeDeliveryDetails"]
    assert len(cognito.state.outbox) == before


def test_recovery_follows_the_pools_setting(cognito: Cognito) -> None:
    only = {"RecoveryMechanisms": [{"Priority": 1, "Name": "admin_only"}]}
    pool_id = cognito.new_pool(AccountRecoverySetting=only)
    cognito.new_user("erin", PASSWORD, pool_id, UserAttributes=VERIFIED)
    named = {"ClientId": cognito.new_client(pool_id), "Username": "erin"}
    assert cognito.refused("ForgotPassword", **named)[1] == "Contact administrator to reset password."
    ranked = [{"Priority": 2, "Name": "verified_phone_number"}, {"Priority": 1, "Name": "verified_email"}]
    pool_id = cognito.new_pool(AccountRecoverySetting={"RecoveryMechanisms": ranked})
    phone = [
        {"Name": "phone_number", "Value": "+15551239934"},
        {"Name": "phone_number_verified", "Value": "true"},
    ]
    cognito.new_user("erin", PASSWORD, pool_id, UserAttributes=[*VERIFIED, *phone])
    named = {"ClientId": cognito.new_client(pool_id), "Username": "erin"}
    assert cognito.call("ForgotPassword", **named)["CodeDeliveryDetails"]["DeliveryMedium"] == "EMAIL"


def test_a_reset_by_the_administrator(cognito: Cognito, carol: dict[str, Any]) -> None:
    cognito.call("AdminResetUserPassword", UserPoolId=cognito.pool_id, Username="carol")
    assert cognito.sign_in_refused("carol") == (
        "PasswordResetRequiredException",
        "Password reset required for the user",
    )
    cognito.call("ConfirmForgotPassword", **answer(carol, code(cognito)))
    assert cognito.sign_in("carol", NEW)["AccessToken"]


def test_changing_a_password_needs_the_old_one(cognito: Cognito) -> None:
    token = cognito.sign_in()["AccessToken"]
    change = {"AccessToken": token, "ProposedPassword": NEW}
    wrong_old = ("NotAuthorizedException", "Incorrect username or password.")
    assert cognito.refused("ChangePassword", **change, PreviousPassword="Wrong-Password-1") == wrong_old
    assert cognito.refused("ChangePassword", **change) == wrong_old
    weak = {"AccessToken": token, "PreviousPassword": PASSWORD, "ProposedPassword": "weak"}
    assert cognito.refused("ChangePassword", **weak)[0] == "InvalidPasswordException"
    cognito.call("ChangePassword", **change, PreviousPassword=PASSWORD)
    assert cognito.sign_in("alice", NEW)["AccessToken"]
    cognito.refused("ChangePassword", **change, PreviousPassword="Wrong-Password-1")
    assert cognito.refused("ChangePassword", **change, PreviousPassword=NEW) == LIMIT


def rotating(cognito: Cognito, grace: int) -> str:
    rotation = {"Feature": "ENABLED", "RetryGracePeriodSeconds": grace}
    return cognito.new_client(ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"], RefreshTokenRotation=rotation)


def test_rotation_gives_a_new_refresh_token_and_ends_the_old_one(cognito: Cognito) -> None:
    client_id = rotating(cognito, 10)
    first = cognito.sign_in(client_id=client_id)
    request = {"ClientId": client_id, "RefreshToken": first["RefreshToken"]}
    second = cognito.call("GetTokensFromRefreshToken", **request)["AuthenticationResult"]
    assert second["RefreshToken"] != first["RefreshToken"]
    assert claims(second["AccessToken"])["origin_jti"] == claims(first["AccessToken"])["origin_jti"]
    cognito.clock.forward(9)
    assert cognito.call("GetTokensFromRefreshToken", **request), "within the grace period"
    cognito.clock.forward(1)
    assert cognito.refused("GetTokensFromRefreshToken", **request)[0] == "RefreshTokenReuseException"
    again = {**request, "RefreshToken": second["RefreshToken"]}
    third = cognito.call("GetTokensFromRefreshToken", **again)["AuthenticationResult"]
    cognito.call("RevokeToken", Token=third["RefreshToken"], ClientId=client_id)
    assert cognito.refused("GetUser", AccessToken=first["AccessToken"])[1] == "Access Token has been revoked"


def test_rotation_does_not_lengthen_the_sign_in(cognito: Cognito) -> None:
    client_id = rotating(cognito, 0)
    request = {"ClientId": client_id, "RefreshToken": cognito.sign_in(client_id=client_id)["RefreshToken"]}
    cognito.clock.forward(29 * 86400)
    new = cognito.call("GetTokensFromRefreshToken", **request)["AuthenticationResult"]["RefreshToken"]
    cognito.clock.forward(86400)
    expired = cognito.refused("GetTokensFromRefreshToken", **{**request, "RefreshToken": new})
    assert expired == ("NotAuthorizedException", "Refresh Token has expired")


def test_with_rotation_the_old_flow_is_refused(cognito: Cognito) -> None:
    client_id = rotating(cognito, 0)
    token = cognito.sign_in(client_id=client_id)["RefreshToken"]
    assert cognito.refused("InitiateAuth", **cognito.refresh_request(token, client_id)) == (
        "InvalidParameterException",
        "Auth flow not enabled for this client",
    )
    both = {
        "UserPoolId": cognito.pool_id,
        "ClientName": "both",
        "ExplicitAuthFlows": ["ALLOW_REFRESH_TOKEN_AUTH"],
        "RefreshTokenRotation": {"Feature": "ENABLED"},
    }
    assert cognito.refused("CreateUserPoolClient", **both)[0] == "InvalidParameterException"


def test_without_rotation_only_access_and_id_tokens_come_back(cognito: Cognito) -> None:
    token = cognito.sign_in()["RefreshToken"]
    request = {"ClientId": cognito.client_id, "RefreshToken": token}
    result = cognito.call("GetTokensFromRefreshToken", **request)["AuthenticationResult"]
    assert set(result) == {"AccessToken", "IdToken", "ExpiresIn", "TokenType"}
    assert cognito.refused(
        "GetTokensFromRefreshToken", ClientId=cognito.new_client(), RefreshToken=token
    ) == (
        "NotAuthorizedException",
        "Invalid Refresh Token",
    )
    secret = cognito.new_client(ClientSecret="s" * 30)
    result = cognito.sign_in(client_id=secret, SECRET_HASH=cognito.secret_hash(secret, "alice"))
    request = {"ClientId": secret, "RefreshToken": result["RefreshToken"]}
    assert cognito.refused("GetTokensFromRefreshToken", **request)[0] == "NotAuthorizedException"
    assert cognito.call("GetTokensFromRefreshToken", **request, ClientSecret="s" * 30)


def test_a_new_address_is_unverified_until_its_code_comes_back(cognito: Cognito) -> None:
    pool_id = cognito.new_pool(AutoVerifiedAttributes=["email"])
    client_id = cognito.new_client(pool_id)
    cognito.new_user("carol", PASSWORD, pool_id, UserAttributes=VERIFIED)
    token = {"AccessToken": cognito.sign_in("carol", client_id=client_id)["AccessToken"]}
    changed = [{"Name": "email", "Value": "new@example.org"}]
    answer = cognito.call("UpdateUserAttributes", **token, UserAttributes=changed)
    assert answer["CodeDeliveryDetailsList"][0]["Destination"] == "n***@e***"
    seen = cognito.call("GetUser", **token)["UserAttributes"]
    assert {"Name": "email_verified", "Value": "false"} in seen
    verify = {**token, "AttributeName": "email"}
    assert cognito.refused("VerifyUserAttribute", **verify, Code=wrong(cognito)) == MISMATCH
    cognito.call("VerifyUserAttribute", **verify, Code=code(cognito))
    assert {"Name": "email_verified", "Value": "true"} in cognito.call("GetUser", **token)["UserAttributes"]
    cognito.call("GetUserAttributeVerificationCode", **verify)
    stale = code(cognito)
    cognito.call("UpdateUserAttributes", **token, UserAttributes=[{"Name": "email", "Value": "x@y.z"}])
    assert cognito.refused("VerifyUserAttribute", **verify, Code=stale)[0] == "CodeMismatchException"
    forged = [{"Name": "email_verified", "Value": "true"}]
    refusal = cognito.refused("UpdateUserAttributes", **token, UserAttributes=forged)
    assert refusal[0] == "NotAuthorizedException"


def test_an_address_that_needs_verification_first_stays_until_then(cognito: Cognito) -> None:
    settings = {"AttributesRequireVerificationBeforeUpdate": ["email"]}
    pool_id = cognito.new_pool(AutoVerifiedAttributes=["email"], UserAttributeUpdateSettings=settings)
    client_id = cognito.new_client(pool_id)
    cognito.new_user("carol", PASSWORD, pool_id, UserAttributes=VERIFIED)
    token = {"AccessToken": cognito.sign_in("carol", client_id=client_id)["AccessToken"]}
    cognito.call("UpdateUserAttributes", **token, UserAttributes=[{"Name": "email", "Value": "n@e.org"}])
    assert VERIFIED[0] in cognito.call("GetUser", **token)["UserAttributes"]
    cognito.call("VerifyUserAttribute", **token, AttributeName="email", Code=code(cognito))
    seen = cognito.call("GetUser", **token)["UserAttributes"]
    assert {"Name": "email", "Value": "n@e.org"} in seen
    assert {"Name": "email_verified", "Value": "true"} in seen


def test_a_user_deletes_attributes_and_account(cognito: Cognito) -> None:
    token = {"AccessToken": cognito.sign_in()["AccessToken"]}
    cognito.call("UpdateUserAttributes", **token, UserAttributes=[{"Name": "name", "Value": "Alice"}])
    cognito.call("DeleteUserAttributes", **token, UserAttributeNames=["name"])
    assert [one["Name"] for one in cognito.call("GetUser", **token)["UserAttributes"]] == ["sub"]
    cognito.call("DeleteUser", **token)
    assert cognito.sign_in_refused()[0] == "UserNotFoundException"
