"""Second factors: software tokens, codes by SMS and mail, the choice between them, setting one up."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from local_cognito import totp
from tests.support.emulator import PASSWORD, TEMPORARY, Cognito, claims

SES = {"EmailSendingAccount": "DEVELOPER", "SourceArn": "arn:aws:ses:us-east-1:000000000000:identity/e.org"}
SMS = {"SmsConfiguration": {"SnsCallerArn": "arn:aws:iam::000000000000:role/sms"}}
CONTACTS = [
    {"Name": "email", "Value": "dora@example.com"},
    {"Name": "email_verified", "Value": "true"},
    {"Name": "phone_number", "Value": "+15551239934"},
    {"Name": "phone_number_verified", "Value": "true"},
]
ALL = {
    "SoftwareTokenMfaConfiguration": {"Enabled": True},
    "SmsMfaConfiguration": SMS,
    "EmailMfaConfiguration": {},
}
NEW = "Another-Horse-2"


class Mfa:
    def __init__(self, cognito: Cognito, setting: str = "OPTIONAL", **methods: Any) -> None:
        self.cognito = cognito
        self.pool_id = cognito.new_pool(EmailConfiguration=SES)
        methods = methods or ALL
        cognito.call("SetUserPoolMfaConfig", UserPoolId=self.pool_id, MfaConfiguration=setting, **methods)
        self.client_id = cognito.new_client(self.pool_id)
        cognito.new_user("dora", PASSWORD, self.pool_id, UserAttributes=CONTACTS)

    def start(self, name: str = "dora", password: str = PASSWORD) -> dict[str, Any]:
        request = self.cognito.password_request(name, password, client_id=self.client_id)
        return self.cognito.call("InitiateAuth", **request)

    def response(self, asked: dict[str, Any], name: str = "dora", **answers: str) -> dict[str, Any]:
        return {
            "ClientId": self.client_id,
            "ChallengeName": asked["ChallengeName"],
            "Session": asked["Session"],
            "ChallengeResponses": {"USERNAME": name, **answers},
        }

    def respond(self, asked: dict[str, Any], name: str = "dora", **answers: str) -> dict[str, Any]:
        return self.cognito.call("RespondToAuthChallenge", **self.response(asked, name, **answers))

    def refused(self, asked: dict[str, Any], **answers: str) -> tuple[str, str]:
        return self.cognito.refused("RespondToAuthChallenge", **self.response(asked, **answers))

    def code(self, secret: str, steps: int = 0) -> str:
        return totp.code_at(secret, int(self.cognito.clock.now) // 30 + steps)

    def add_token(self) -> str:
        """The secret of a software token that is verified and on."""
        access = {"AccessToken": self.start()["AuthenticationResult"]["AccessToken"]}
        secret = str(self.cognito.call("AssociateSoftwareToken", **access)["SecretCode"])
        verified = self.cognito.call("VerifySoftwareToken", **access, UserCode=self.code(secret))
        assert verified == {"Status": "SUCCESS"}
        self.cognito.call("SetUserMFAPreference", **access, SoftwareTokenMfaSettings={"Enabled": True})
        self.cognito.clock.forward(90)
        return secret

    def prefer(self, **settings: Any) -> None:
        self.cognito.call("AdminSetUserMFAPreference", UserPoolId=self.pool_id, Username="dora", **settings)


@pytest.fixture
def mfa(cognito: Cognito) -> Mfa:
    return Mfa(cognito)


def test_codes_are_those_of_rfc_6238() -> None:
    secret = base64.b32encode(b"12345678901234567890").decode()
    # Appendix B, SHA-1, the last six of eight digits.
    for seconds, code in ((59, "287082"), (1111111109, "081804"), (2000000000, "279037")):
        assert totp.code_at(secret, seconds // 30) == code
        assert totp.matching_step(secret, code, seconds) == seconds // 30


def test_a_software_token_is_each_users_own(mfa: Mfa) -> None:
    access = {"AccessToken": mfa.start()["AuthenticationResult"]["AccessToken"]}
    first, second = (mfa.cognito.call("AssociateSoftwareToken", **access)["SecretCode"] for _ in range(2))
    assert first != second
    assert len(first) == 32
    verify = {**access, "UserCode": mfa.code(first)}
    assert mfa.cognito.refused("VerifySoftwareToken", **verify) == (
        "EnableSoftwareTokenMFAException",
        "Code mismatch",
    )
    early = mfa.cognito.refused("SetUserMFAPreference", **access, SoftwareTokenMfaSettings={"Enabled": True})
    assert early == ("InvalidParameterException", "User has not verified software token mfa")
    assert mfa.start()["AuthenticationResult"], "an unproved secret asks for nothing"


def test_the_token_is_asked_for_and_its_codes_work_once(mfa: Mfa) -> None:
    secret = mfa.add_token()
    asked = mfa.start()
    assert asked["ChallengeName"] == "SOFTWARE_TOKEN_MFA"
    wrong = mfa.code(secret, 5)
    mismatch = ("CodeMismatchException", "Invalid code received for user")
    assert mfa.refused(asked, SOFTWARE_TOKEN_MFA_CODE=wrong) == mismatch
    code = mfa.code(secret, -1)
    assert mfa.respond(asked, SOFTWARE_TOKEN_MFA_CODE=code)["AuthenticationResult"]
    again = mfa.refused(mfa.start(), SOFTWARE_TOKEN_MFA_CODE=code)
    assert again == ("ExpiredCodeException", "Your software token has already been used once.")
    for steps in (-2, 2):
        assert mfa.refused(mfa.start(), SOFTWARE_TOKEN_MFA_CODE=mfa.code(secret, steps)) == mismatch
    assert mfa.respond(mfa.start(), SOFTWARE_TOKEN_MFA_CODE=mfa.code(secret, 1))["AuthenticationResult"]


def test_a_session_bears_few_wrong_codes(mfa: Mfa) -> None:
    secret = mfa.add_token()
    asked = mfa.start()
    for _ in range(5):
        mfa.refused(asked, SOFTWARE_TOKEN_MFA_CODE="0000000")
    refusal = mfa.refused(asked, SOFTWARE_TOKEN_MFA_CODE=mfa.code(secret))
    assert refusal[1] == "Invalid session for the user, session is expired."


@pytest.mark.parametrize(
    ("member", "challenge", "where"),
    [("SMSMfaSettings", "SMS_MFA", "+*******9934"), ("EmailMfaSettings", "EMAIL_OTP", "d***@e***")],
)
def test_a_code_that_is_sent(mfa: Mfa, member: str, challenge: str, where: str) -> None:
    mfa.prefer(**{member: {"Enabled": True, "PreferredMfa": True}})
    asked = mfa.start()
    assert asked["ChallengeName"] == challenge
    assert asked["ChallengeParameters"]["CODE_DELIVERY_DESTINATION"] == where
    code = str(mfa.cognito.state.outbox[-1].code)
    wrong = f"{(int(code) + 1) % 10**6:06}"
    assert mfa.refused(asked, **{f"{challenge}_CODE": wrong})[0] == "CodeMismatchException"
    result = mfa.respond(asked, **{f"{challenge}_CODE": code})["AuthenticationResult"]
    user = mfa.cognito.call("GetUser", AccessToken=result["AccessToken"])
    assert (user["UserMFASettingList"], user["PreferredMfaSetting"]) == ([challenge], challenge)


def test_several_methods_are_chosen_from_unless_one_is_preferred(mfa: Mfa) -> None:
    mfa.prefer(SMSMfaSettings={"Enabled": True}, EmailMfaSettings={"Enabled": True})
    asked = mfa.start()
    assert asked["ChallengeName"] == "SELECT_MFA_TYPE"
    assert json.loads(asked["ChallengeParameters"]["MFAS_CAN_CHOOSE"]) == ["SMS_MFA", "EMAIL_OTP"]
    assert mfa.refused(asked, ANSWER="SOFTWARE_TOKEN_MFA")[0] == "InvalidParameterException"
    chosen = mfa.respond(asked, ANSWER="EMAIL_MFA")
    assert chosen["ChallengeName"] == "EMAIL_OTP"
    mfa.prefer(SMSMfaSettings={"Enabled": True, "PreferredMfa": True})
    assert mfa.start()["ChallengeName"] == "SMS_MFA"
    mfa.prefer(SMSMfaSettings={"Enabled": False})
    assert mfa.start()["ChallengeName"] == "EMAIL_OTP"


def test_preferences_that_cannot_be(mfa: Mfa, cognito: Cognito) -> None:
    user = {"UserPoolId": mfa.pool_id, "Username": "dora"}
    preferred = {"Enabled": True, "PreferredMfa": True}
    both = {"SMSMfaSettings": preferred, "EmailMfaSettings": preferred}
    assert cognito.refused("AdminSetUserMFAPreference", **user, **both)[0] == "InvalidParameterException"
    off = {"SMSMfaSettings": {"Enabled": False, "PreferredMfa": True}}
    assert cognito.refused("AdminSetUserMFAPreference", **user, **off)[0] == "InvalidParameterException"
    cognito.new_user("erin", PASSWORD, mfa.pool_id)
    erin = {"UserPoolId": mfa.pool_id, "Username": "erin", "SMSMfaSettings": preferred}
    assert "delivery config" in cognito.refused("AdminSetUserMFAPreference", **erin)[1]


def test_required_mfa_is_set_up_before_there_are_tokens(cognito: Cognito) -> None:
    mfa = Mfa(cognito, "ON", SoftwareTokenMfaConfiguration={"Enabled": True})
    asked = mfa.start()
    assert asked["ChallengeName"] == "MFA_SETUP"
    assert json.loads(asked["ChallengeParameters"]["MFAS_CAN_SETUP"]) == ["SOFTWARE_TOKEN_MFA"]
    assert "AuthenticationResult" not in asked
    assert mfa.refused(asked)[0] == "InvalidParameterException", "nothing is set up yet"
    given = cognito.call("AssociateSoftwareToken", Session=asked["Session"])
    once = cognito.refused("AssociateSoftwareToken", Session=asked["Session"])
    assert once[1].endswith("session can only be used once.")
    verify = {"Session": given["Session"], "UserCode": mfa.code(given["SecretCode"])}
    verified = cognito.call("VerifySoftwareToken", **verify)
    stale = mfa.refused({**asked, "Session": given["Session"]})
    assert stale[0] == "NotAuthorizedException"
    done = mfa.respond({**asked, "Session": verified["Session"]})
    assert done["AuthenticationResult"]["AccessToken"]
    cognito.clock.forward(60)
    asked = mfa.start()
    assert asked["ChallengeName"] == "SOFTWARE_TOKEN_MFA"
    code = mfa.code(given["SecretCode"])
    assert mfa.respond(asked, SOFTWARE_TOKEN_MFA_CODE=code)["AuthenticationResult"]


def test_required_mfa_comes_after_a_new_password_too(cognito: Cognito) -> None:
    mfa = Mfa(cognito, "ON", SmsMfaConfiguration=SMS)
    cognito.new_user("erin", None, mfa.pool_id, UserAttributes=CONTACTS[2:])
    asked = mfa.start("erin", TEMPORARY)
    asked = mfa.respond(asked, "erin", NEW_PASSWORD=NEW)
    assert asked["ChallengeName"] == "SMS_MFA"
    code = str(cognito.state.outbox[-1].code)
    result = mfa.respond(asked, "erin", SMS_MFA_CODE=code)["AuthenticationResult"]
    assert claims(result["AccessToken"])["username"] == "erin"


def test_another_users_mfa_session_is_refused(mfa: Mfa) -> None:
    mfa.prefer(SMSMfaSettings={"Enabled": True})
    mfa.cognito.new_user("erin", PASSWORD, mfa.pool_id)
    asked = mfa.start()
    code = str(mfa.cognito.state.outbox[-1].code)
    request = mfa.response(asked, "erin", SMS_MFA_CODE=code)
    assert mfa.cognito.refused("RespondToAuthChallenge", **request)[0] == "NotAuthorizedException"


def test_pool_settings_are_described_and_validated(cognito: Cognito) -> None:
    where = {"UserPoolId": cognito.pool_id}
    assert cognito.call("GetUserPoolMfaConfig", **where) == {"MfaConfiguration": "OFF"}
    nothing = cognito.refused("SetUserPoolMfaConfig", **where, MfaConfiguration="ON")
    assert nothing[0] == "InvalidParameterException"
    optional = {**where, "MfaConfiguration": "OPTIONAL"}
    no_sender = cognito.refused("SetUserPoolMfaConfig", **optional, EmailMfaConfiguration={})
    assert "DEVELOPER" in no_sender[1]
    assert cognito.refused("CreateUserPool", PoolName="x", MfaConfiguration="ON")[0] == (
        "InvalidParameterException"
    )
    token = {"SoftwareTokenMfaConfiguration": {"Enabled": True}}
    assert cognito.call("SetUserPoolMfaConfig", **where, **token, MfaConfiguration="OPTIONAL") == {
        "MfaConfiguration": "OPTIONAL",
        **token,
    }
    for off in ({}, {"MfaConfiguration": "OFF"}):
        assert cognito.refused("SetUserPoolMfaConfig", **where, **off, **token) == (
            "InvalidParameterException",
            "Invalid MFA configuration given, can't turn off MFA and configure an MFA together.",
        )
    cognito.call("UpdateUserPool", **where, MfaConfiguration="ON")
    cognito.call("UpdateUserPool", **where)
    assert cognito.call("GetUserPoolMfaConfig", **where) == {"MfaConfiguration": "OFF", **token}


def test_a_pool_without_software_tokens_gives_none_out(cognito: Cognito) -> None:
    access = {"AccessToken": cognito.sign_in()["AccessToken"]}
    refusal = cognito.refused("AssociateSoftwareToken", **access)
    assert refusal[0] == "SoftwareTokenMFANotFoundException"
    for request in ({}, {**access, "Session": "x" * 20}):
        assert cognito.refused("AssociateSoftwareToken", **request)[0] == "InvalidParameterException"
    assert cognito.refused("AssociateSoftwareToken", Session="x" * 20)[0] == "NotAuthorizedException"
