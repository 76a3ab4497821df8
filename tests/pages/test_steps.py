"""The state machine of a sign-in: every challenge, every form."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.aws.values import Challenge
from gateway.pages import sign_in_steps
from gateway.pages.kept import new_step
from gateway.pages.sign_in_steps import (
    AuthenticatorCode,
    OtherWay,
    Password,
    StepAnswer,
    Wrong,
    plan,
    takes_password,
    view,
    without_passkey,
)
from gateway.pages.sign_in_target import SignInTarget


def challenge(name: str, choices: tuple[str, ...] = (), **parameters: str) -> Challenge:
    return Challenge(name, "alice", "session", parameters, choices)


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("SOFTWARE_TOKEN_MFA", "SOFTWARE_TOKEN_MFA_CODE"),
        ("SMS_MFA", "SMS_MFA_CODE"),
        ("SMS_OTP", "SMS_OTP_CODE"),
        ("EMAIL_OTP", "EMAIL_OTP_CODE"),
    ],
)
def test_codes_lose_their_spaces(name: str, member: str) -> None:
    asked = challenge(name, CODE_DELIVERY_DESTINATION="a***@e***")
    assert view(asked, {}).kind == "code"
    assert plan(asked, {"code": " 123-456 "}) == StepAnswer({member: "123456"})
    assert plan(asked, {"code": " "}) == Wrong({"code": "Enter the code"})


def test_the_destination_of_a_code_is_shown() -> None:
    assert "a***@e***" in (view(challenge("EMAIL_OTP", CODE_DELIVERY_DESTINATION="a***@e***"), {}).lead or "")


def test_an_answer_of_ones_own_stays_as_typed() -> None:
    assert plan(challenge("CUSTOM_CHALLENGE"), {"code": "my  answer"}) == StepAnswer({"ANSWER": "my  answer"})


def test_a_new_password_is_sent_with_missing_attributes() -> None:
    asked = challenge(
        "NEW_PASSWORD_REQUIRED",
        requiredAttributes=json.dumps(["userAttributes.name", "userAttributes.email"]),
    )
    shown = view(asked, {"attribute_name": "Alice"})
    assert [(each.name, each.value) for each in shown.attributes] == [("name", "Alice"), ("email", "")]
    wrong = plan(asked, {"new_password": "", "attribute_name": "Alice"})
    assert isinstance(wrong, Wrong)
    assert set(wrong.errors) == {"new_password", "attribute_email"}
    form = {"new_password": "p", "attribute_name": " Alice ", "attribute_email": "a@b", "attribute_sub": "x"}
    assert plan(asked, form) == StepAnswer(
        {"NEW_PASSWORD": "p", "userAttributes.name": "Alice", "userAttributes.email": "a@b"}
    )


def test_a_choice_is_only_one_that_was_offered() -> None:
    asked = challenge("SELECT_CHALLENGE", ("PASSWORD", "EMAIL_OTP", "WEB_AUTHN"))
    shown = view(asked, {})
    assert shown.kind == "password"
    assert [option.value for option in shown.options] == ["WEB_AUTHN", "EMAIL_OTP"]
    assert [option.needs_script for option in shown.options] == [True, False]
    assert [option.value for option in without_passkey(shown).options] == ["EMAIL_OTP"]
    assert plan(asked, {"choice": "EMAIL_OTP"}) == StepAnswer({"ANSWER": "EMAIL_OTP"})
    assert isinstance(plan(asked, {"choice": "SMS_OTP"}), Wrong)
    assert plan(asked, {"choice": "WEB_AUTHN"}) == StepAnswer({"ANSWER": "WEB_AUTHN"})
    assert plan(asked, {"password": "secret"}) == Password("secret")
    assert isinstance(plan(asked, {}), Wrong)
    without = challenge("SELECT_CHALLENGE", ("EMAIL_OTP", "SMS_OTP"))
    # A password is asked for all the same, as of a name nobody has, and never sent.
    assert view(without, {}).kind == "password"
    assert plan(without, {"password": "secret"}) == Password("secret")
    assert takes_password(asked)
    assert not takes_password(without)


def test_the_kind_of_second_factor_is_chosen() -> None:
    asked = challenge("SELECT_MFA_TYPE", MFAS_CAN_CHOOSE='["SMS_MFA","SOFTWARE_TOKEN_MFA"]')
    assert {option.value for option in view(asked, {}).options} == {"SMS_MFA", "SOFTWARE_TOKEN_MFA"}
    assert plan(asked, {"choice": "SMS_MFA"}) == StepAnswer({"ANSWER": "SMS_MFA"})


def test_an_authenticator_is_set_up_with_six_digits() -> None:
    asked = challenge("MFA_SETUP", MFAS_CAN_SETUP='["SOFTWARE_TOKEN_MFA"]')
    assert sign_in_steps.needs_authenticator(asked)
    assert plan(asked, {"code": "123 456"}) == AuthenticatorCode("123456")
    for code in ("", "12345", "abcdef", "１２３４５６"):
        assert isinstance(plan(asked, {"code": code}), Wrong)


@pytest.mark.parametrize(
    "asked",
    [
        challenge("WEB_AUTHN"),
        challenge("DEVICE_SRP_AUTH"),
        challenge("MFA_SETUP", MFAS_CAN_SETUP='["SMS_MFA"]'),
        challenge("MFA_SETUP", MFAS_CAN_SETUP="nonsense"),
        challenge("SOMETHING_NEW"),
    ],
    ids=lambda asked: f"{asked.name} {asked.choices}",
)
def test_an_unsupported_challenge_is_reported(asked: Challenge) -> None:
    assert view(asked, {}).kind == "unknown"
    assert isinstance(plan(asked, {"code": "123456", "password": "x"}), Wrong)


@given(st.text(), st.text(), st.dictionaries(st.sampled_from(["MFAS_CAN_SETUP", "x"]), st.text()))
def test_a_step_survives_being_kept(username: str, session: str, parameters: dict[str, str]) -> None:
    step = new_step(
        SignInTarget("us-east-1_Pool", "/a"), Challenge("MFA_SETUP", username, session, parameters), "KEY"
    )
    known = {name: value for name, value in parameters.items() if name != "x"}
    decoded = sign_in_steps.decode(sign_in_steps.encode(step))
    assert decoded is not None
    assert (decoded.id, decoded.secret, decoded.return_to) == (step.id, "KEY", "/a")
    assert decoded.challenge == Challenge("MFA_SETUP", username, session, known)


@given(st.binary())
def test_another_versions_step_is_ignored(data: bytes) -> None:
    assert sign_in_steps.decode(data) is None or data.startswith(b"[")


def test_nothing_secret_is_in_a_repr() -> None:
    step = new_step(SignInTarget("p", "/"), challenge("MFA_SETUP"), "SECRETKEY")
    for shown in (
        step,
        Password("hunter2"),
        AuthenticatorCode("123456"),
        StepAnswer({"NEW_PASSWORD": "hunter2"}),
    ):
        assert not {"hunter2", "123456", "SECRETKEY", "session'"} & set(repr(shown).split("'"))


def test_a_passkey_is_asked_for_with_cognitos_options() -> None:
    options = {"challenge": "AAAA", "rpId": "example.com", "allowCredentials": [{"id": "A" * 40}]}
    asked = challenge("WEB_AUTHN", CREDENTIAL_REQUEST_OPTIONS=json.dumps(options))
    shown = view(asked, {})
    assert (shown.kind, json.loads(shown.request)) == ("passkey", options)
    assert plan(asked, {"credential": "{}"}) == StepAnswer({"CREDENTIAL": "{}"})
    assert plan(asked, {"choice": "other", "credential": "{}"}) == OtherWay()
    assert isinstance(plan(asked, {"choice": "PASSWORD"}), Wrong)
    wanted = SignInTarget("us-east-1_x", "/app", "urn:loa:2")
    kept = sign_in_steps.decode(sign_in_steps.encode(new_step(wanted, asked)))
    assert kept is not None
    assert (kept.pool_id, kept.return_to, kept.acr_values) == ("us-east-1_x", "/app", "urn:loa:2")
    assert view(kept.challenge, {}) == shown
    # Twenty of the longest IDs do not fit into cookies: the browser finds its passkeys itself.
    many = {**options, "allowCredentials": [{"id": "A" * 1364}] * 20}
    long = challenge("WEB_AUTHN", CREDENTIAL_REQUEST_OPTIONS=json.dumps(many))
    assert json.loads(view(long, {}).request) == {**options, "allowCredentials": []}
