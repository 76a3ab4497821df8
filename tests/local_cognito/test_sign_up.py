"""Sign-up, its confirmation and what strangers can learn from it."""

from __future__ import annotations

from typing import Any

import pytest

from local_cognito.codes import SIGN_UP
from tests.support.emulator import PASSWORD, Cognito

MISMATCH = ("CodeMismatchException", "Invalid verification code provided, please try again.")
EXPIRED = ("ExpiredCodeException", "Invalid code provided, please request a code again.")
LIMIT = ("LimitExceededException", "Attempt limit exceeded, please try after some time.")
BOB = "bob@example.com"


class SignUps:
    """A pool that signs in by e-mail and a client of it."""

    def __init__(self, cognito: Cognito, **client: Any) -> None:
        self.cognito = cognito
        self.pool_id = cognito.new_pool(UsernameAttributes=["email"], AutoVerifiedAttributes=["email"])
        self.client_id = cognito.new_client(self.pool_id, **client)

    def sign_up(self, name: str = BOB, password: str = PASSWORD, **more: Any) -> dict[str, Any]:
        return self.cognito.call("SignUp", **self.named(name, Password=password, **more))

    def named(self, name: str = BOB, **more: Any) -> dict[str, Any]:
        return {"ClientId": self.client_id, "Username": name, **more}

    def code(self) -> str:
        code = self.cognito.state.outbox[-1].code
        assert code is not None
        return code

    def wrong(self) -> str:
        return f"{(int(self.code()) + 1) % 10**6:06}"

    def confirm_refused(self, code: str, name: str = BOB) -> tuple[str, str]:
        return self.cognito.refused("ConfirmSignUp", **self.named(name, ConfirmationCode=code))


@pytest.fixture
def ups(cognito: Cognito) -> SignUps:
    return SignUps(cognito)


@pytest.fixture
def hiding(cognito: Cognito) -> SignUps:
    return SignUps(cognito, PreventUserExistenceErrors="ENABLED")


def test_the_code_that_was_sent_confirms_once(cognito: Cognito, ups: SignUps) -> None:
    answer = ups.sign_up()
    assert answer["UserConfirmed"] is False
    assert answer["CodeDeliveryDetails"] == {
        "Destination": "b***@e***",
        "DeliveryMedium": "EMAIL",
        "AttributeName": "email",
    }
    sent = cognito.state.outbox[-1]
    assert (sent.destination, sent.kind, sent.medium) == (BOB, "sign-up", "EMAIL")
    assert len(ups.code()) == 6
    assert ups.code().isdigit()
    assert ups.code() in sent.text
    before = cognito.sign_in_refused(BOB, client_id=ups.client_id)
    assert before == ("UserNotConfirmedException", "User is not confirmed.")
    assert ups.confirm_refused(ups.wrong()) == MISMATCH
    assert cognito.call("ConfirmSignUp", **ups.named(ConfirmationCode=ups.code())) == {}
    assert cognito.sign_in(BOB, client_id=ups.client_id)["AccessToken"]
    user = cognito.call("AdminGetUser", UserPoolId=ups.pool_id, Username=BOB)
    assert {"Name": "email_verified", "Value": "true"} in user["UserAttributes"]
    assert user["Username"] == answer["UserSub"]
    assert ups.confirm_refused(ups.code()) == (
        "NotAuthorizedException",
        "User cannot be confirmed. Current status is CONFIRMED",
    )


def test_sign_up_can_be_for_administrators_only(cognito: Cognito) -> None:
    pool_id = cognito.new_pool(AdminCreateUserConfig={"AllowAdminCreateUserOnly": True})
    request = {"ClientId": cognito.new_client(pool_id), "Username": "eve", "Password": PASSWORD}
    assert cognito.refused("SignUp", **request) == (
        "NotAuthorizedException",
        "SignUp is not permitted for this user pool",
    )
    assert cognito.call("ListUsers", UserPoolId=pool_id)["Users"] == []


def test_what_sign_up_refuses_makes_no_user(cognito: Cognito, ups: SignUps) -> None:
    weak = cognito.refused("SignUp", **ups.named(Password="short"))
    assert weak[0] == "InvalidPasswordException"
    assert cognito.refused("SignUp", **ups.named())[0] == "InvalidParameterException"
    assert cognito.refused("SignUp", **ups.named("no-address", Password=PASSWORD)) == (
        "InvalidParameterException",
        "Username should be an email.",
    )
    forged = [{"Name": "email_verified", "Value": "true"}]
    assert cognito.refused("SignUp", **ups.named(Password=PASSWORD, UserAttributes=forged)) == (
        "NotAuthorizedException",
        "A client attempted to write unauthorized attribute",
    )
    assert cognito.call("ListUsers", UserPoolId=ups.pool_id)["Users"] == []
    ups.sign_up()
    assert cognito.refused("SignUp", **ups.named(BOB.upper(), Password=PASSWORD)) == (
        "UsernameExistsException",
        "An account with the given email already exists.",
    )


def test_a_taken_username_is_told_in_sign_ups_own_words(cognito: Cognito) -> None:
    request = {"ClientId": cognito.client_id, "Username": "alice", "Password": PASSWORD}
    assert cognito.refused("SignUp", **request) == ("UsernameExistsException", "User already exists")


def test_required_attributes_and_those_a_client_may_not_write(cognito: Cognito) -> None:
    schema = [
        {"Name": "name", "Required": True, "AttributeDataType": "String"},
        {"Name": "tenant", "AttributeDataType": "String"},
    ]
    pool_id = cognito.new_pool(Schema=schema)
    request = {"ClientId": cognito.new_client(pool_id), "Username": "bob", "Password": PASSWORD}
    assert cognito.refused("SignUp", **request)[1].startswith(
        "Attributes did not conform to the schema: name: The attribute is required"
    )
    named = [{"Name": "name", "Value": "Bob"}]
    tenant = [*named, {"Name": "custom:tenant", "Value": "7"}]
    assert cognito.refused("SignUp", **request, UserAttributes=tenant)[0] == "NotAuthorizedException"
    answer = cognito.call("SignUp", **request, UserAttributes=named)
    assert "CodeDeliveryDetails" not in answer, "the pool verifies nothing by itself"


def test_the_secret_hash_is_needed_everywhere(cognito: Cognito) -> None:
    ups = SignUps(cognito, GenerateSecret=True)
    request = ups.named(Password=PASSWORD)
    assert cognito.refused("SignUp", **request)[1].endswith("SECRET_HASH was not received")
    right = {"SecretHash": cognito.secret_hash(ups.client_id, BOB)}
    assert cognito.refused("SignUp", **request, SecretHash="AAAA")[1].startswith("Unable to verify")
    cognito.call("SignUp", **request, **right)
    for operation, more in (
        ("ConfirmSignUp", {"ConfirmationCode": ups.code()}),
        ("ResendConfirmationCode", {}),
        ("ForgotPassword", {}),
        ("ConfirmForgotPassword", {"ConfirmationCode": "123456", "Password": PASSWORD}),
    ):
        refusal = cognito.refused(operation, **ups.named(**more))
        assert refusal[1].endswith("SECRET_HASH was not received"), operation
    cognito.call("ConfirmSignUp", **ups.named(ConfirmationCode=ups.code(), **right))


def test_a_code_lives_a_day_and_the_newest_alone_counts(cognito: Cognito, ups: SignUps) -> None:
    ups.sign_up()
    first = ups.code()
    while True:
        details = cognito.call("ResendConfirmationCode", **ups.named())["CodeDeliveryDetails"]
        if ups.code() != first:
            break
    assert details["Destination"] == "b***@e***"
    assert ups.confirm_refused(first) == MISMATCH
    cognito.clock.forward(24 * 3600)
    assert ups.confirm_refused(ups.code()) == EXPIRED
    cognito.call("ResendConfirmationCode", **ups.named())
    cognito.call("ConfirmSignUp", **ups.named(ConfirmationCode=ups.code()))


def test_tries_are_limited_even_for_the_right_code(cognito: Cognito, ups: SignUps) -> None:
    ups.sign_up()
    for _ in range(SIGN_UP.tries):
        assert ups.confirm_refused(ups.wrong()) == MISMATCH
    assert ups.confirm_refused(ups.code()) == LIMIT
    cognito.clock.forward(3600)
    cognito.call("ConfirmSignUp", **ups.named(ConfirmationCode=ups.code()))


def test_resending_is_limited(cognito: Cognito, ups: SignUps) -> None:
    ups.sign_up()
    for _ in range(SIGN_UP.asks):
        cognito.call("ResendConfirmationCode", **ups.named())
    assert cognito.refused("ResendConfirmationCode", **ups.named()) == LIMIT


def test_an_unknown_name_is_told_only_by_clients_that_do(
    cognito: Cognito, ups: SignUps, hiding: SignUps
) -> None:
    unknown = ("UserNotFoundException", "Username/client id combination not found.")
    assert ups.confirm_refused("123456", "nobody@example.com") == unknown
    assert cognito.refused("ResendConfirmationCode", **ups.named("nobody@example.com")) == unknown
    assert hiding.confirm_refused("123456", "nobody@example.com") == EXPIRED
    simulated = cognito.call("ResendConfirmationCode", **hiding.named("nobody@example.com"))
    assert simulated["CodeDeliveryDetails"]["Destination"] == "n***@e***"
    assert not cognito.state.outbox
    for _ in range(SIGN_UP.tries - 1):
        hiding.confirm_refused("123456", "nobody@example.com")
    assert hiding.confirm_refused("123456", "nobody@example.com") == LIMIT


def test_an_administrator_confirms_without_verifying(cognito: Cognito, ups: SignUps) -> None:
    ups.sign_up()
    where = {"UserPoolId": ups.pool_id, "Username": BOB}
    cognito.call("AdminConfirmSignUp", **where)
    assert cognito.sign_in(BOB, client_id=ups.client_id)["AccessToken"]
    attributes = cognito.call("AdminGetUser", **where)["UserAttributes"]
    assert "email_verified" not in [one["Name"] for one in attributes]
    assert cognito.refused("AdminConfirmSignUp", **where)[0] == "NotAuthorizedException"
    assert cognito.refused("ResendConfirmationCode", **ups.named())[1] == "User is already confirmed."


def test_an_alias_of_somebody_else_is_refused_at_confirmation(cognito: Cognito) -> None:
    pool_id = cognito.new_pool(AliasAttributes=["email"], AutoVerifiedAttributes=["email"])
    client_id = cognito.new_client(pool_id)
    email = {"Name": "email", "Value": BOB}
    verified = {"Name": "email_verified", "Value": "true"}
    cognito.new_user("first", PASSWORD, pool_id, UserAttributes=[email, verified])
    request = {"ClientId": client_id, "Username": "second"}
    cognito.call("SignUp", **request, Password=PASSWORD, UserAttributes=[email])
    code = cognito.state.outbox[-1].code
    assert cognito.refused("ConfirmSignUp", **request, ConfirmationCode=code)[0] == "AliasExistsException"
    still = cognito.call("AdminGetUser", UserPoolId=pool_id, Username="second")
    assert still["UserStatus"] == "UNCONFIRMED"
    cognito.call("ConfirmSignUp", **request, ConfirmationCode=code, ForceAliasCreation=True)
    assert cognito.sign_in(BOB, client_id=client_id)["AccessToken"]
    first = cognito.call("AdminGetUser", UserPoolId=pool_id, Username="first")
    assert {"Name": "email_verified", "Value": "false"} in first["UserAttributes"]


class TestSigningInAfterTheConfirmation:
    """By choice-based sign-in, with the sessions of SignUp and ConfirmSignUp."""

    INVALID = ("NotAuthorizedException", "Invalid session for the user.")
    OVER = ("NotAuthorizedException", "Invalid session for the user, session is expired.")
    USED = ("NotAuthorizedException", "Invalid session for the user, session can only be used once.")

    @pytest.fixture
    def ups(self, cognito: Cognito) -> SignUps:
        ups = SignUps(cognito, ExplicitAuthFlows=["ALLOW_USER_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"])
        self.first_factors(ups, "PASSWORD", "EMAIL_OTP")
        return ups

    def first_factors(self, ups: SignUps, *names: str) -> None:
        policies = {"SignInPolicy": {"AllowedFirstAuthFactors": list(names)}}
        ups.cognito.call(
            "UpdateUserPool", UserPoolId=ups.pool_id, Policies=policies, AutoVerifiedAttributes=["email"]
        )

    def confirm(self, ups: SignUps, session: str) -> str:
        request = ups.named(ConfirmationCode=ups.code(), Session=session)
        return str(ups.cognito.call("ConfirmSignUp", **request)["Session"])

    def begin(self, session: str, name: str = BOB) -> dict[str, Any]:
        return {"AuthFlow": "USER_AUTH", "AuthParameters": {"USERNAME": name}, "Session": session}

    def test_the_code_counts_once(self, cognito: Cognito, ups: SignUps) -> None:
        session = self.confirm(ups, ups.sign_up()["Session"])
        asked = {"ClientId": ups.client_id, **self.begin(session)}
        assert cognito.call("InitiateAuth", **asked)["AuthenticationResult"]["AccessToken"]
        assert cognito.refused("InitiateAuth", **asked) == self.USED

    def test_a_session_is_of_its_user_step_client_and_time(self, cognito: Cognito, ups: SignUps) -> None:
        first = ups.sign_up()["Session"]
        ups.sign_up("carol@example.com")
        carols = ups.named("carol@example.com", ConfirmationCode=ups.code(), Session=first)
        assert cognito.refused("ConfirmSignUp", **carols) == self.INVALID
        own = {"ClientId": ups.client_id}
        # The address is not proved yet.
        assert cognito.refused("InitiateAuth", **own, **self.begin(first)) == self.INVALID
        session = self.confirm_of_bob(cognito, ups, first)
        assert (
            cognito.refused("InitiateAuth", **own, **self.begin(session, "carol@example.com")) == self.INVALID
        )
        other = {"ClientId": cognito.new_client(ups.pool_id, ExplicitAuthFlows=["ALLOW_USER_AUTH"])}
        assert cognito.refused("InitiateAuth", **other, **self.begin(session)) == self.INVALID
        cognito.clock.now += 181
        assert cognito.refused("InitiateAuth", **own, **self.begin(session)) == self.OVER

    def confirm_of_bob(self, cognito: Cognito, ups: SignUps, session: str) -> str:
        cognito.call("ResendConfirmationCode", **ups.named())
        return self.confirm(ups, session)

    def test_where_a_code_is_no_first_factor_the_user_chooses(self, cognito: Cognito, ups: SignUps) -> None:
        self.first_factors(ups, "PASSWORD")
        session = self.confirm(ups, ups.sign_up()["Session"])
        answer = cognito.call("InitiateAuth", ClientId=ups.client_id, **self.begin(session))
        assert answer["ChallengeName"] == "SELECT_CHALLENGE"

    def test_a_client_without_this_flow_gets_no_session(self, cognito: Cognito) -> None:
        assert "Session" not in SignUps(cognito, ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]).sign_up()
