"""Cognito's refusals in words: by exception and sentence, as Cognito has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.aws.phrases import missing_attributes, wrong_member
from gateway.aws.values import CognitoRefused
from gateway.errors import GatewayError
from gateway.pages import refusal_texts
from gateway.pages.attributes import field_for, fields_for
from gateway.pages.refusal_texts import TOO_MANY, WRONG


def refused(code: str, message: str = "") -> CognitoRefused:
    return CognitoRefused(code, f"Cognito refused: {code}: {message}", message)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (refused("NotAuthorizedException", "Incorrect username or password."), WRONG),
        (refused("UserNotFoundException", "User does not exist."), WRONG),
        (refused("NotAuthorizedException", "User is disabled."), WRONG),
        (refused("InvalidParameterException", "1 validation error detected"), WRONG),
        (refused("NotAuthorizedException", "Password attempts exceeded"), TOO_MANY),
        (refused("LimitExceededException", "Attempt limit exceeded, please try after some time."), TOO_MANY),
    ],
)
def test_signing_in(error: GatewayError, told: refusal_texts.RefusalText) -> None:
    assert refusal_texts.sign_in(error) == told


@pytest.mark.parametrize(
    "error",
    [
        refused("InvalidParameterException", "USER_PASSWORD_AUTH flow not enabled for this client"),
        refused("NotAuthorizedException", "Unable to verify secret hash for client 1example"),
        refused(
            "NotAuthorizedException",
            "Client 1example is configured with secret but SECRET_HASH was not received",
        ),
        refused("ResourceNotFoundException", "User pool client 1example does not exist."),
        refused("InternalErrorException"),
        refused("SomethingNewException", "text"),
        GatewayError("cannot reach Cognito"),
    ],
)
def test_an_operators_mistake_is_a_fault_without_details(error: GatewayError) -> None:
    for tell in (
        refusal_texts.sign_in,
        refusal_texts.challenge,
        refusal_texts.sign_up,
        refusal_texts.code,
        refusal_texts.change_password,
    ):
        told = tell(error)
        assert told.fault
        assert told.status == 503
        assert "1example" not in told.sentence


@pytest.mark.parametrize("code", ["InternalErrorException", "ServiceUnavailableException", "503"])
def test_an_unavailable_cognito_is_not_reported_as_misconfigured(code: str) -> None:
    for tell in (
        refusal_texts.sign_in,
        refusal_texts.challenge,
        refusal_texts.sign_up,
        refusal_texts.code,
        refusal_texts.change_password,
    ):
        told = tell(refused(code))
        assert told.status == 503
        assert told.sentence == "The sign-in service is unavailable at the moment. Try again in a minute."


def test_an_account_quota_is_not_the_users_attempt_limit() -> None:
    for tell in (
        refusal_texts.sign_in,
        refusal_texts.challenge,
        refusal_texts.sign_up,
        refusal_texts.code,
        refusal_texts.change_password,
    ):
        told = tell(refused("TooManyRequestsException", "Rate exceeded"))
        assert (told.sentence, told.status, told.fault) == (TOO_MANY.sentence, 429, True)
        assert told != TOO_MANY, "what was counted is taken back"


def test_where_a_sign_in_continues() -> None:
    assert refusal_texts.sign_in(refused("UserNotConfirmedException")).next == "confirm"
    assert refusal_texts.sign_in(refused("PasswordResetRequiredException")).next == "reset"
    for error in (
        refused("NotAuthorizedException", "Invalid session for the user, session is expired."),
        refused("CodeMismatchException", "Invalid session provided"),
        refused("ExpiredCodeException", "Your session has expired"),
    ):
        assert refusal_texts.challenge(error).next == "again"
    revoked = refused("NotAuthorizedException", "Access Token has been revoked")
    assert refusal_texts.change_password(revoked).next == "again"


def test_a_refused_password_is_shown_at_its_field() -> None:
    message = "Password did not conform with policy: Password must have uppercase characters"
    told = refusal_texts.challenge(refused("InvalidPasswordException", message))
    assert (told.field, told.sentence) == ("new_password", "Password must have uppercase characters.")
    assert refusal_texts.sign_up(refused("InvalidPasswordException", message)).field == "password"
    assert "before" in refusal_texts.code(refused("PasswordHistoryPolicyViolationException")).sentence


def test_a_code_reveals_nothing_about_the_account() -> None:
    errors = [
        refused("CodeMismatchException", "Invalid verification code provided, please try again."),
        refused("ExpiredCodeException", "Invalid code provided, please request a code again."),
        refused("UserNotFoundException", "Username/client id combination not found."),
        refused("NotAuthorizedException", "User cannot be confirmed. Current status is CONFIRMED"),
        refused("AliasExistsException", "An account with the given email already exists."),
    ]
    assert len({refusal_texts.code(error) for error in errors}) == 1


def test_the_operators_own_words_reach_the_user() -> None:
    error = refused(
        "UserLambdaValidationException", "PreSignUp failed with error Only colleagues may sign up."
    )
    assert refusal_texts.sign_up(error).sentence == "Only colleagues may sign up."


@given(st.text(max_size=30), st.text(max_size=80))
def test_everything_has_a_sentence(code: str, message: str) -> None:
    for tell in (
        refusal_texts.sign_in,
        refusal_texts.challenge,
        refusal_texts.sign_up,
        refusal_texts.code,
        refusal_texts.change_password,
    ):
        told = tell(refused(code, message))
        assert told.sentence.endswith(".")
        assert told.status in {400, 429, 503}


# What decides something where Cognito says it itself.
_TELLING = [
    "SignUp is not permitted for this user pool",
    "USER_PASSWORD_AUTH flow not enabled for this client",
    "Client 1example is configured with secret but SECRET_HASH was not received",
    "Unable to verify secret hash for client 1example",
    "Attributes did not conform to the schema: custom:role: The attribute is required",
    "Invalid session for the user",
    "Access Token has been revoked",
    "Password attempts exceeded",
    "Username cannot be of email format",
    "' at 'password' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\S]+",
]


@pytest.mark.parametrize("quoted", _TELLING)
@pytest.mark.parametrize("code", ["InvalidParameterException", "NotAuthorizedException"])
def test_text_quoted_from_a_client_decides_nothing(code: str, quoted: str) -> None:
    def tell(value: str) -> list[object]:
        constraint = "failed to satisfy constraint: Member must satisfy regular expression pattern: [\\S]+"
        error = refused(code, f"1 validation error detected: Value '{value}' at 'username' {constraint}")
        tells = (
            refusal_texts.sign_in,
            refusal_texts.challenge,
            refusal_texts.sign_up,
            refusal_texts.code,
            refusal_texts.change_password,
        )
        # What is quoted back to the person alone is no decision.
        told = [(one.field, one.status, one.next, one.fault) for one in (tell(error) for tell in tells)]
        return [*told, error.of_the_client, error.member, missing_attributes(code, error.message)]

    assert tell(quoted) == tell("a name")


def test_a_parameter_error_is_shown_at_its_field() -> None:
    def invalid(member: str) -> CognitoRefused:
        pattern = "Member must satisfy regular expression pattern: ^[\\S]+.*[\\S]+$"
        return refused(
            "InvalidParameterException",
            f"1 validation error detected: Value at '{member}' failed to satisfy constraint: {pattern}",
        )

    assert wrong_member("InvalidParameterException", invalid("password").message) == "password"
    for tell, member, field in (
        (refusal_texts.sign_up, "password", "password"),
        (refusal_texts.sign_up, "username", "username"),
        (refusal_texts.code, "password", "new_password"),
        (refusal_texts.change_password, "proposedPassword", "new_password"),
        (refusal_texts.change_password, "previousPassword", "password"),
        (refusal_texts.challenge, "challengeResponses.NEW_PASSWORD", "new_password"),
        (refusal_texts.challenge, "userCode", "code"),
        (refusal_texts.sending, "username", "username"),
    ):
        told = tell(invalid(member))
        assert (told.field, told.status, told.fault) == (field, 400, False)
        assert "constraint" not in told.sentence
    # Whatever else it is, it is not the operator's.
    for tell in (
        refusal_texts.sign_in,
        refusal_texts.challenge,
        refusal_texts.sign_up,
        refusal_texts.code,
        refusal_texts.change_password,
    ):
        told = tell(invalid("userAttributes.1.member.value"))
        assert (told.status, told.fault) == (400, False)


# --- attributes --------------------------------------------------------------------------------------------


def test_missing_attributes_are_read_from_the_refusal() -> None:
    message = (
        "Attributes did not conform to the schema: given_name: The attribute is required\n"
        "custom:tenant: The attribute custom:tenant is required\n"
    )
    code = "InvalidParameterException"
    assert missing_attributes(code, message) == ("given_name", "custom:tenant")
    assert missing_attributes(code, "Password not long enough") == ()
    assert missing_attributes("NotAuthorizedException", message) == ()
    quoted = f"1 validation error detected: Value '{message}' at 'username' failed to satisfy constraint: X"
    assert missing_attributes(code, quoted) == ()


def test_attributes_have_labels_and_help_the_keyboard() -> None:
    assert field_for("email").type == "email"
    assert field_for("phone_number").autocomplete == "tel"
    assert field_for("custom:cost_centre").label == "Cost centre"
    (field,) = fields_for(["email", '"><script>'], {"attribute_email": "a@b"})
    assert (field.field, field.value) == ("attribute_email", "a@b")
