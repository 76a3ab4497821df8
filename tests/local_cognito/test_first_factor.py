"""SRP and choice-based sign-in; what a stranger sees of both."""

from __future__ import annotations

from typing import Any

import pytest

from local_cognito import srp
from tests.support.emulator import PASSWORD, TEMPORARY, Cognito
from tests.support.srp_client import SrpClient

WRONG = ("NotAuthorizedException", "Incorrect username or password.")
EXCEEDED = ("NotAuthorizedException", "Password attempts exceeded")
EMAIL = [{"Name": "email", "Value": "dora@example.com"}, {"Name": "email_verified", "Value": "true"}]


class Flows:
    """Dora in a pool where all flows of choice-based sign-in are on."""

    def __init__(self, cognito: Cognito) -> None:
        self.cognito = cognito
        factors = ["PASSWORD", "EMAIL_OTP", "SMS_OTP"]
        policies = {"SignInPolicy": {"AllowedFirstAuthFactors": factors}}
        self.pool_id = cognito.new_pool(
            UsernameAttributes=["email"], AutoVerifiedAttributes=["email"], Policies=policies
        )
        self.client_id = cognito.new_client(
            self.pool_id,
            ExplicitAuthFlows=["ALLOW_USER_SRP_AUTH", "ALLOW_USER_AUTH"],
            PreventUserExistenceErrors="ENABLED",
        )
        self.sub = cognito.new_user("dora@example.com", PASSWORD, self.pool_id, UserAttributes=EMAIL[1:])

    def begin(self, flow: str, name: str = "dora@example.com", **parameters: str) -> dict[str, Any]:
        return {
            "ClientId": self.client_id,
            "AuthFlow": flow,
            "AuthParameters": {"USERNAME": name, **parameters},
        }

    def start(self, flow: str, name: str = "dora@example.com", **parameters: str) -> dict[str, Any]:
        return self.cognito.call("InitiateAuth", **self.begin(flow, name, **parameters))

    def response(self, asked: dict[str, Any], **answers: str) -> dict[str, Any]:
        return {
            "ClientId": self.client_id,
            "ChallengeName": asked["ChallengeName"],
            **({"Session": asked["Session"]} if "Session" in asked else {}),
            "ChallengeResponses": answers,
        }

    def respond(self, asked: dict[str, Any], **answers: str) -> dict[str, Any]:
        return self.cognito.call("RespondToAuthChallenge", **self.response(asked, **answers))

    def refused(self, asked: dict[str, Any], **answers: str) -> tuple[str, str]:
        return self.cognito.refused("RespondToAuthChallenge", **self.response(asked, **answers))

    def srp(
        self, password: str = PASSWORD, name: str = "dora@example.com"
    ) -> tuple[dict[str, Any], dict[str, str]]:
        client = SrpClient(self.pool_id, password)
        asked = self.start("USER_SRP_AUTH", name, SRP_A=client.public)
        return asked, client.answer(asked["ChallengeParameters"], self.cognito.clock.now)


@pytest.fixture
def flows(cognito: Cognito) -> Flows:
    return Flows(cognito)


def test_srp_signs_in_with_the_right_password_only(flows: Flows) -> None:
    asked, answer = flows.srp()
    assert asked["ChallengeName"] == "PASSWORD_VERIFIER"
    assert asked["ChallengeParameters"]["USER_ID_FOR_SRP"] == flows.sub
    assert flows.respond(asked, **answer)["AuthenticationResult"]["AccessToken"]
    assert flows.refused(asked, **answer)[1].endswith("session can only be used once.")
    asked, answer = flows.srp("Totally-Wrong-1")
    assert flows.refused(asked, **answer) == WRONG
    asked, right = flows.srp()
    assert flows.refused(asked, **{**right, "PASSWORD_CLAIM_SIGNATURE": "AAAA"}) == WRONG
    assert flows.refused(asked, **right)[1].endswith("session can only be used once."), "one try a session"


def test_an_answer_belongs_to_its_own_challenge(flows: Flows) -> None:
    _, other = flows.srp()
    asked, mine = flows.srp()
    swapped = {**mine, "PASSWORD_CLAIM_SIGNATURE": other["PASSWORD_CLAIM_SIGNATURE"]}
    assert flows.refused(asked, **swapped) == WRONG
    asked, mine = flows.srp()
    refusal = flows.refused(asked, **{**mine, "PASSWORD_CLAIM_SECRET_BLOCK": "AAAA"})
    assert refusal == ("NotAuthorizedException", "Invalid session for the user.")


def test_an_answer_must_be_of_now(flows: Flows) -> None:
    client = SrpClient(flows.pool_id, PASSWORD)
    asked = flows.start("USER_SRP_AUTH", SRP_A=client.public)
    old = client.answer(asked["ChallengeParameters"], flows.cognito.clock.now - 181)
    assert flows.refused(asked, **old) == WRONG
    asked, answer = flows.srp()
    assert flows.refused(asked, **{**answer, "TIMESTAMP": "2026-11-24"})[0] == "InvalidParameterException"


@pytest.mark.parametrize("public", ["0", f"{srp.N:x}", f"{2 * srp.N:x}", "-1", "xyz", "1" * 1025, " 1_0"])
def test_an_a_that_would_sign_in_without_a_password_is_refused(flows: Flows, public: str) -> None:
    refusal = flows.cognito.refused("InitiateAuth", **flows.begin("USER_SRP_AUTH", SRP_A=public))
    assert refusal == ("InvalidParameterException", "Invalid SRP_A")


def test_srp_counts_for_the_lockout_of_existing_and_unknown_users(flows: Flows) -> None:
    for name in ("dora@example.com", "nobody@example.com"):
        seen = []
        for _ in range(6):
            asked, answer = flows.srp("Totally-Wrong-1", name)
            seen.append(flows.refused(asked, **answer))
        assert seen == [WRONG] * 5 + [EXCEEDED]


def test_srp_does_not_reveal_who_exists(flows: Flows) -> None:
    client = SrpClient(flows.pool_id, PASSWORD)
    first, second, other = (
        flows.start("USER_SRP_AUTH", name, SRP_A=client.public)["ChallengeParameters"]
        for name in ("nobody@example.com", "NOBODY@example.com", "dora@example.com")
    )
    assert (first["SALT"], first["USER_ID_FOR_SRP"]) == (second["SALT"], second["USER_ID_FOR_SRP"])
    assert len(first["USER_ID_FOR_SRP"]) == len(other["USER_ID_FOR_SRP"]) == 36
    assert set(first) == set(other)


def test_srp_with_a_temporary_password_asks_for_a_new_one(flows: Flows) -> None:
    flows.cognito.new_user("erin@example.com", None, flows.pool_id)
    asked, answer = flows.srp(TEMPORARY, "erin@example.com")
    assert flows.respond(asked, **answer)["ChallengeName"] == "NEW_PASSWORD_REQUIRED"


def test_the_choice_is_offered_and_every_kind_signs_in(flows: Flows) -> None:
    asked = flows.start("USER_AUTH")
    assert asked["ChallengeName"] == "SELECT_CHALLENGE"
    assert asked["AvailableChallenges"] == ["PASSWORD", "PASSWORD_SRP", "EMAIL_OTP"]
    name = "dora@example.com"
    done = flows.respond(asked, USERNAME=name, ANSWER="PASSWORD", PASSWORD=PASSWORD)
    assert done["AuthenticationResult"]
    by_steps = flows.respond(flows.start("USER_AUTH"), USERNAME=name, ANSWER="PASSWORD")
    assert by_steps["ChallengeName"] == "PASSWORD"
    assert flows.respond(by_steps, USERNAME=name, PASSWORD=PASSWORD)["AuthenticationResult"]
    client = SrpClient(flows.pool_id, PASSWORD)
    for asked in (
        flows.respond(flows.start("USER_AUTH"), USERNAME=name, ANSWER="PASSWORD_SRP", SRP_A=client.public),
        flows.start("USER_AUTH", PREFERRED_CHALLENGE="PASSWORD_SRP", SRP_A=client.public),
    ):
        answer = client.answer(asked["ChallengeParameters"], flows.cognito.clock.now)
        assert flows.respond(asked, **answer)["AuthenticationResult"]
    preferred = flows.start("USER_AUTH", PREFERRED_CHALLENGE="PASSWORD", PASSWORD=PASSWORD)
    assert preferred["AuthenticationResult"]


def test_a_code_by_mail_signs_in_once(flows: Flows) -> None:
    name = "dora@example.com"
    asked = flows.respond(flows.start("USER_AUTH"), USERNAME=name, ANSWER="EMAIL_OTP")
    assert asked["ChallengeParameters"]["CODE_DELIVERY_DESTINATION"] == "d***@e***"
    code = str(flows.cognito.state.outbox[-1].code)
    wrong = f"{(int(code) + 1) % 10**6:06}"
    mismatch = ("CodeMismatchException", "Invalid code or auth state for the user.")
    assert flows.refused(asked, USERNAME=name, EMAIL_OTP_CODE=wrong) == mismatch
    assert flows.respond(asked, USERNAME=name, EMAIL_OTP_CODE=code)["AuthenticationResult"]
    assert flows.refused(asked, USERNAME=name, EMAIL_OTP_CODE=code)[1].endswith("used once.")
    asked = flows.start("USER_AUTH", PREFERRED_CHALLENGE="EMAIL_OTP")
    code = str(flows.cognito.state.outbox[-1].code)
    for _ in range(5):
        flows.refused(asked, USERNAME=name, EMAIL_OTP_CODE="0000000")
    assert flows.refused(asked, USERNAME=name, EMAIL_OTP_CODE=code)[1].endswith("session is expired.")


def test_choosing_does_not_reveal_who_exists(flows: Flows) -> None:
    nobody = "nobody@example.com"
    asked = flows.start("USER_AUTH", nobody)
    assert asked["AvailableChallenges"] == flows.start("USER_AUTH")["AvailableChallenges"]
    assert flows.refused(asked, USERNAME=nobody, ANSWER="PASSWORD", PASSWORD=PASSWORD) == WRONG
    asked = flows.respond(flows.start("USER_AUTH", nobody), USERNAME=nobody, ANSWER="EMAIL_OTP")
    assert asked["ChallengeParameters"]["CODE_DELIVERY_DESTINATION"] == "n***@e***"
    assert flows.refused(asked, USERNAME=nobody, EMAIL_OTP_CODE="123456")[0] == "CodeMismatchException"
    assert not flows.cognito.state.outbox


def test_what_was_not_offered_cannot_be_chosen(flows: Flows) -> None:
    asked = flows.start("USER_AUTH")
    for answer in ("SMS_OTP", "WEB_AUTHN", "NONSENSE"):
        refusal = flows.refused(asked, USERNAME="dora@example.com", ANSWER=answer)
        assert refusal[0] == "InvalidParameterException"
    assert flows.start("USER_AUTH", PREFERRED_CHALLENGE="SMS_OTP")["ChallengeName"] == "SELECT_CHALLENGE"
    invalid = ("NotAuthorizedException", "Invalid session for the user.")
    assert flows.refused(asked, USERNAME="nobody@example.com", ANSWER="PASSWORD") == invalid


def test_a_user_without_password_signs_up_and_in(flows: Flows) -> None:
    named = {"ClientId": flows.client_id, "Username": "erin@example.com"}
    flows.cognito.call("SignUp", **named)
    flows.cognito.call("ConfirmSignUp", **named, ConfirmationCode=flows.cognito.state.outbox[-1].code)
    asked = flows.start("USER_AUTH", "erin@example.com")
    assert asked["AvailableChallenges"] == ["EMAIL_OTP"]
    asked = flows.respond(asked, USERNAME="erin@example.com", ANSWER="EMAIL_OTP")
    code = str(flows.cognito.state.outbox[-1].code)
    assert flows.respond(asked, USERNAME="erin@example.com", EMAIL_OTP_CODE=code)["AuthenticationResult"]
