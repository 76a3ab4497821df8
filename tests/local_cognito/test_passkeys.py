"""Passkeys, as boto3 and a software authenticator see them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.authenticator import Authenticator
from tests.support.aws_client import Aws, AwsPool
from tests.support.emulator import claims

WRONG = ("NotAuthorizedException", "Incorrect username or credential.")
FACTORS = {"SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD", "WEB_AUTHN"]}}


def passwordless(aws: Aws, **webauthn: str) -> AwsPool:
    pool = aws.pool(Policies=FACTORS)
    settings = {"RelyingPartyId": "localhost", **webauthn}
    pool.idp.set_user_pool_mfa_config(UserPoolId=pool.id, WebAuthnConfiguration=settings)
    return pool


def register(pool: AwsPool, key: Authenticator, name: str = "alice") -> str:
    """Register a passkey; return an access token of its user."""
    token = str(pool.sign_in(name)["AccessToken"])
    options = pool.idp.start_web_authn_registration(AccessToken=token)["CredentialCreationOptions"]
    pool.idp.complete_web_authn_registration(AccessToken=token, Credential=key.create(options))
    return token


def ask(pool: AwsPool, name: str = "alice", **parameters: str) -> dict[str, Any]:
    given = {"USERNAME": name, "PREFERRED_CHALLENGE": "WEB_AUTHN", **parameters}
    return dict(pool.idp.initiate_auth(ClientId=pool.client_id, AuthFlow="USER_AUTH", AuthParameters=given))


def answer(pool: AwsPool, asked: dict[str, Any], credential: str, name: str = "alice") -> dict[str, Any]:
    return {
        "ClientId": pool.client_id,
        "ChallengeName": "WEB_AUTHN",
        "Session": asked["Session"],
        "ChallengeResponses": {"USERNAME": name, "CREDENTIAL": credential},
    }


def options_of(asked: dict[str, Any]) -> str:
    assert asked["ChallengeName"] == "WEB_AUTHN"
    return str(asked["ChallengeParameters"]["CREDENTIAL_REQUEST_OPTIONS"])


def test_a_user_registers_a_passkey_and_signs_in_with_it(aws: Aws) -> None:
    pool, key = passwordless(aws), Authenticator()
    settings = pool.idp.get_user_pool_mfa_config(UserPoolId=pool.id)["WebAuthnConfiguration"]
    assert settings == {"RelyingPartyId": "localhost", "UserVerification": "preferred"}
    token = register(pool, key)
    (listed,) = pool.idp.list_web_authn_credentials(AccessToken=token)["Credentials"]
    assert (listed["RelyingPartyId"], listed["AuthenticatorAttachment"]) == ("localhost", "platform")
    assert listed["AuthenticatorTransports"] == ["hybrid", "internal"]
    factors = pool.idp.get_user_auth_factors(AccessToken=token)["ConfiguredUserAuthFactors"]
    assert factors == ["PASSWORD", "WEB_AUTHN"]
    asked = ask(pool)
    options = json.loads(options_of(asked))
    assert options["rpId"] == "localhost"
    assert [one["id"] for one in options["allowCredentials"]] == [listed["CredentialId"]]
    request = answer(pool, asked, key.get(options_of(asked)))
    tokens = pool.idp.respond_to_auth_challenge(**request)["AuthenticationResult"]
    access = claims(tokens["AccessToken"])
    assert (access["acr"], access["amr"]) == ("urn:cognito:loa:3", ["swk"])
    assert aws.refused("respond_to_auth_challenge", **request)[0] == "NotAuthorizedException", "once"
    again = pool.idp.start_web_authn_registration(AccessToken=token)["CredentialCreationOptions"]
    assert [one["id"] for one in again["excludeCredentials"]] == [listed["CredentialId"]]
    deleted = {"AccessToken": token, "CredentialId": listed["CredentialId"]}
    pool.idp.delete_web_authn_credential(**deleted)
    assert aws.refused("delete_web_authn_credential", **deleted)[0] == "ResourceNotFoundException"
    assert ask(pool)["ChallengeName"] == "SELECT_CHALLENGE"


def test_the_choice_offers_a_passkey_to_those_who_have_one(aws: Aws) -> None:
    pool, key = passwordless(aws), Authenticator(attachment="cross-platform")
    register(pool, key)
    pool.user("bob")
    assert "WEB_AUTHN" not in ask(pool, "bob")["AvailableChallenges"]
    chosen = ask(pool, PREFERRED_CHALLENGE="")
    assert chosen["AvailableChallenges"] == ["PASSWORD", "PASSWORD_SRP", "WEB_AUTHN"]
    asked = pool.idp.respond_to_auth_challenge(
        ClientId=pool.client_id,
        ChallengeName="SELECT_CHALLENGE",
        Session=chosen["Session"],
        ChallengeResponses={"USERNAME": "alice", "ANSWER": "WEB_AUTHN"},
    )
    request = answer(pool, asked, key.get(options_of(asked)))
    tokens = pool.idp.respond_to_auth_challenge(**request)["AuthenticationResult"]
    assert claims(tokens["IdToken"])["amr"] == ["hwk"]


def forged(key: Authenticator, options: str) -> str:
    other = Authenticator()
    other.id, other.handle = key.id, key.handle
    return other.get(options)


def from_elsewhere(key: Authenticator, options: str) -> str:
    key.origin = "https://evil.example"
    return key.get(options)


def for_another_party(key: Authenticator, options: str) -> str:
    return key.get(json.dumps({**json.loads(options), "rpId": "evil.example"}))


def for_another_challenge(key: Authenticator, options: str) -> str:
    return key.get(json.dumps({**json.loads(options), "challenge": "A" * 43}))


def for_another_user(key: Authenticator, options: str) -> str:
    key.handle = "Ym9i"
    return key.get(options)


def cloned(key: Authenticator, options: str) -> str:
    key.counter = 0
    return key.get(options)


def unknown(key: Authenticator, options: str) -> str:
    return Authenticator().get(options)


@pytest.mark.parametrize(
    "attack",
    [forged, from_elsewhere, for_another_party, for_another_challenge, for_another_user, cloned, unknown],
)
def test_false_assertions_are_refused(aws: Aws, attack: Callable[[Authenticator, str], str]) -> None:
    pool, key = passwordless(aws), Authenticator()
    register(pool, key)
    asked = ask(pool)
    request = answer(pool, asked, attack(key, options_of(asked)))
    assert aws.refused("respond_to_auth_challenge", **request) == WRONG
    assert aws.refused("respond_to_auth_challenge", **request)[0] == "NotAuthorizedException"


@pytest.mark.parametrize(
    "text", ["{}", "[]", "no JSON", '{"id": 1}', '{"id": "a", "rawId": "a"}', "[" * 9999]
)
def test_what_is_no_assertion_is_refused(aws: Aws, text: str) -> None:
    pool, key = passwordless(aws), Authenticator()
    register(pool, key)
    request = answer(pool, ask(pool), text)
    assert aws.refused("respond_to_auth_challenge", **request)[0] == "InvalidParameterException"


def test_another_users_passkey_does_not_sign_in(aws: Aws) -> None:
    pool, key, other = passwordless(aws), Authenticator(), Authenticator()
    register(pool, key)
    pool.user("bob")
    register(pool, other, "bob")
    asked = ask(pool)
    request = answer(pool, asked, other.get(options_of(asked)))
    assert aws.refused("respond_to_auth_challenge", **request) == WRONG


def test_user_verification_can_be_required(aws: Aws) -> None:
    pool, key = passwordless(aws, UserVerification="required"), Authenticator()
    careless = Authenticator(verifies=False)
    with pytest.raises(Exception, match="User verification required"):
        register(pool, careless)
    register(pool, key)
    asked = ask(pool)
    assert json.loads(options_of(asked))["userVerification"] == "required"
    key.verifies = False
    request = answer(pool, asked, key.get(options_of(asked)))
    assert aws.refused("respond_to_auth_challenge", **request) == WRONG


def test_false_registrations_are_refused_by_their_own_exceptions(aws: Aws) -> None:
    pool = passwordless(aws)
    token = str(pool.sign_in()["AccessToken"])

    def refusal(key: Authenticator, rp: str | None = None, **changes: Any) -> str:
        options = pool.idp.start_web_authn_registration(AccessToken=token)["CredentialCreationOptions"]
        made = {"AccessToken": token, "Credential": {**key.create({**options, **changes}, rp=rp)}}
        return aws.refused("complete_web_authn_registration", **made)[0]

    assert refusal(Authenticator(origin="https://evil.example")) == "WebAuthnOriginNotAllowedException"
    assert refusal(Authenticator(), rp="evil.example") == "WebAuthnRelyingPartyMismatchException"
    assert refusal(Authenticator(), challenge="A" * 43) == "WebAuthnChallengeNotFoundException"
    odd: dict[str, Any] = {"AccessToken": token, "Credential": {"id": "a"}}
    assert aws.refused("complete_web_authn_registration", **odd)[0] == "InvalidParameterException"
    options = pool.idp.start_web_authn_registration(AccessToken=token)["CredentialCreationOptions"]
    made = Authenticator().create(options)
    elsewhere = pool.sign_in(client_id=pool.client()["ClientId"])["AccessToken"]
    mismatch = aws.refused("complete_web_authn_registration", AccessToken=elsewhere, Credential=made)
    assert mismatch[0] == "WebAuthnClientMismatchException"
    aws.clock.forward(181)
    late = aws.refused("complete_web_authn_registration", AccessToken=token, Credential=made)
    assert late[0] == "WebAuthnChallengeNotFoundException"


def test_a_pool_without_passkeys_or_a_relying_party_says_so(aws: Aws) -> None:
    pool = aws.pool()
    token = pool.sign_in()["AccessToken"]
    assert aws.refused("start_web_authn_registration", AccessToken=token)[0] == "WebAuthnNotEnabledException"
    pool = aws.pool(Policies=FACTORS)
    token = pool.sign_in()["AccessToken"]
    refusal = aws.refused("start_web_authn_registration", AccessToken=token)
    assert refusal[0] == "WebAuthnConfigurationMissingException"


def test_twenty_passkeys_are_enough(aws: Aws) -> None:
    pool = passwordless(aws)
    for _ in range(20):
        token = register(pool, Authenticator())
    assert aws.refused("start_web_authn_registration", AccessToken=token)[0] == "LimitExceededException"
    first = pool.idp.list_web_authn_credentials(AccessToken=token, MaxResults=15)
    rest = pool.idp.list_web_authn_credentials(AccessToken=token, NextToken=first["NextToken"])
    assert (len(first["Credentials"]), len(rest["Credentials"])) == (15, 5)
