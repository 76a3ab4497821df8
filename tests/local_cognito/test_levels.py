"""Authentication levels: the claims acr and amr, and signing in toward a level (USER_AUTH)."""

from __future__ import annotations

from typing import Any

import pytest

from local_cognito import totp
from tests.support.authenticator import Authenticator
from tests.support.emulator import FLOWS, PASSWORD, Cognito, claims

LOA = "urn:cognito:loa:"


class Levels:
    """alice in a pool with authenticator apps and passkeys that count as two factors."""

    def __init__(self, cognito: Cognito) -> None:
        self.cognito = cognito
        factors = {"AllowedFirstAuthFactors": ["PASSWORD", "EMAIL_OTP", "WEB_AUTHN"]}
        self.pool_id = cognito.new_pool(Policies={"SignInPolicy": factors})
        cognito.call(
            "SetUserPoolMfaConfig",
            UserPoolId=self.pool_id,
            MfaConfiguration="OPTIONAL",
            SoftwareTokenMfaConfiguration={"Enabled": True},
            WebAuthnConfiguration={
                "RelyingPartyId": "localhost",
                "FactorConfiguration": "MULTI_FACTOR_WITH_USER_VERIFICATION",
            },
        )
        self.client_id = cognito.new_client(self.pool_id, ExplicitAuthFlows=[*FLOWS, "ALLOW_USER_AUTH"])
        email = [{"Name": "email", "Value": "a@example.com"}, {"Name": "email_verified", "Value": "true"}]
        cognito.new_user("alice", PASSWORD, self.pool_id, UserAttributes=email)
        self.secret = ""

    def by_password(self) -> dict[str, Any]:
        return self.cognito.sign_in(client_id=self.client_id)

    def set_up_totp(self) -> None:
        token = self.by_password()["AccessToken"]
        self.secret = self.cognito.call("AssociateSoftwareToken", AccessToken=token)["SecretCode"]
        self.cognito.call("VerifySoftwareToken", AccessToken=token, UserCode=self.code())
        self.cognito.call(
            "SetUserMFAPreference", AccessToken=token, SoftwareTokenMfaSettings={"Enabled": True}
        )

    def code(self) -> str:
        self.cognito.clock.forward(30)
        return totp.code_at(self.secret, int(self.cognito.clock.now // 30))

    def request(self, **parameters: str) -> dict[str, Any]:
        given = {"USERNAME": "alice", **parameters}
        return {"ClientId": self.client_id, "AuthFlow": "USER_AUTH", "AuthParameters": given}

    def begin(self, **parameters: str) -> dict[str, Any]:
        return self.cognito.call("InitiateAuth", **self.request(**parameters))

    def refused(self, **parameters: str) -> tuple[str, str]:
        return self.cognito.refused("InitiateAuth", **self.request(**parameters))

    def respond(self, asked: dict[str, Any], **answers: str) -> dict[str, Any]:
        return self.cognito.call(
            "RespondToAuthChallenge",
            ClientId=self.client_id,
            ChallengeName=asked["ChallengeName"],
            Session=asked["Session"],
            ChallengeResponses={"USERNAME": "alice", **answers},
        )


@pytest.fixture
def at(cognito: Cognito) -> Levels:
    return Levels(cognito)


def assurance(answer: dict[str, Any]) -> tuple[str, list[str]]:
    tokens = answer.get("AuthenticationResult", answer)
    found = [claims(tokens[name]) for name in ("AccessToken", "IdToken")]
    assert found[0]["acr"] == found[1]["acr"]
    return found[0]["acr"], found[0]["amr"]


def test_each_sign_in_says_how_strong_it_was(at: Levels) -> None:
    tokens = at.by_password()
    assert assurance(tokens) == (LOA + "1", ["pwd"])
    refreshed = at.cognito.call(
        "InitiateAuth", **at.cognito.refresh_request(tokens["RefreshToken"], at.client_id)
    )
    assert assurance(refreshed) == (LOA + "1", ["pwd"])
    asked = at.begin(PREFERRED_CHALLENGE="EMAIL_OTP")
    code = at.cognito.state.outbox[-1].code or ""
    assert assurance(at.respond(asked, EMAIL_OTP_CODE=code)) == (LOA + "2", ["email_otp"])
    at.set_up_totp()
    asked = at.begin(PREFERRED_CHALLENGE="PASSWORD", PASSWORD=PASSWORD)
    answer = at.respond(asked, SOFTWARE_TOKEN_MFA_CODE=at.code())
    assert assurance(answer) == (LOA + "4", ["pwd", "otp", "mfa"])


def test_a_token_steps_up_by_what_is_missing(at: Levels) -> None:
    weak = at.by_password()
    at.set_up_totp()
    asked = at.begin(TARGET_ACR_VALUES=LOA + "4 " + LOA + "3", ACCESS_TOKEN=weak["AccessToken"])
    assert asked["ChallengeName"] == "SOFTWARE_TOKEN_MFA"
    strong = at.respond(asked, SOFTWARE_TOKEN_MFA_CODE=at.code())
    assert assurance(strong) == (LOA + "4", ["pwd", "otp", "mfa"])
    token = strong["AuthenticationResult"]["AccessToken"]
    assert "already meets" in at.refused(TARGET_ACR_VALUES=LOA + "4", ACCESS_TOKEN=token)[1]


def test_an_old_token_earns_no_credit(at: Levels) -> None:
    weak = at.by_password()
    at.set_up_totp()
    at.cognito.clock.forward(100)
    asked = at.begin(TARGET_ACR_VALUES=LOA + "4", ACCESS_TOKEN=weak["AccessToken"], MAX_AGE="60")
    assert asked["AvailableChallenges"] == ["PASSWORD", "PASSWORD_SRP"]


def test_nobody_steps_up_to_a_level_without_its_factors(at: Levels) -> None:
    token = at.by_password()["AccessToken"]
    assert "no factors" in at.refused(TARGET_ACR_VALUES=LOA + "4")[1]
    assert at.begin(TARGET_ACR_VALUES=f"{LOA}4 {LOA}1")["AvailableChallenges"] == [
        "PASSWORD",
        "PASSWORD_SRP",
        "EMAIL_OTP",
    ]
    assert "None of" in at.refused(TARGET_ACR_VALUES="urn:other")[1]
    assert "needs TARGET" in at.refused(ACCESS_TOKEN=token)[1]
    assert "MAX_AGE" in at.refused(TARGET_ACR_VALUES=LOA + "1", MAX_AGE="-1")[1]
    at.cognito.new_user("bob", PASSWORD, at.pool_id)
    other = at.cognito.sign_in("bob", client_id=at.client_id)["AccessToken"]
    refused = at.refused(TARGET_ACR_VALUES=LOA + "2", ACCESS_TOKEN=other)
    assert refused == ("NotAuthorizedException", "The access token was not issued to this user.")


def test_a_passkey_may_count_as_two_factors_if_the_user_says_so(at: Levels) -> None:
    key = Authenticator()
    token = at.by_password()["AccessToken"]
    options = at.cognito.call("StartWebAuthnRegistration", AccessToken=token)["CredentialCreationOptions"]
    at.cognito.call("CompleteWebAuthnRegistration", AccessToken=token, Credential=key.create(options))
    prefer = {"AccessToken": token, "WebAuthnMfaSettings": {"Enabled": True}}
    refused = at.cognito.refused("SetUserMFAPreference", **prefer)
    assert "at least one other" in refused[1], "nobody is locked out"
    at.set_up_totp()
    assert "WEB_AUTHN" not in at.begin()["AvailableChallenges"], "a second factor is required"
    at.cognito.call("SetUserMFAPreference", **prefer)
    asked = at.begin(PREFERRED_CHALLENGE="WEB_AUTHN")
    credential = key.get(asked["ChallengeParameters"]["CREDENTIAL_REQUEST_OPTIONS"])
    assert assurance(at.respond(asked, CREDENTIAL=credential)) == (LOA + "3", ["swk"])
    assert at.begin(TARGET_ACR_VALUES=LOA + "4")["AvailableChallenges"] == ["PASSWORD", "PASSWORD_SRP"]


def test_levels_have_names_of_the_pools_own(cognito: Cognito) -> None:
    names = {"Level1": {"AcrValue": "urn:mine:1"}}
    pool_id = cognito.new_pool(AcrConfiguration=names)
    described = cognito.call("DescribeUserPool", UserPoolId=pool_id)["UserPool"]["AcrConfiguration"]
    assert described == {**{f"Level{n}": {"AcrValue": f"{LOA}{n}"} for n in (2, 3, 4)}, **names}
    client_id = cognito.new_client(pool_id)
    cognito.new_user("bob", PASSWORD, pool_id)
    assert assurance(cognito.sign_in("bob", client_id=client_id))[0] == "urn:mine:1"
    twice = {"Level1": {"AcrValue": LOA + "4"}}
    assert cognito.refused("CreateUserPool", PoolName="p", AcrConfiguration=twice)[0] == (
        "InvalidParameterException"
    )
    lite = {"UserPoolTier": "LITE", "AcrConfiguration": names}
    assert cognito.refused("CreateUserPool", PoolName="p", **lite)[0] == "FeatureUnavailableInTierException"
