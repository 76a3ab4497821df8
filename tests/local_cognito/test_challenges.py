"""NEW_PASSWORD_REQUIRED: single-use sessions, bound to user, client and challenge."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.emulator import PASSWORD, TEMPORARY, Cognito, claims

INVALID = ("NotAuthorizedException", "Invalid session for the user.")
NEW = "Another-Horse-2"


@pytest.fixture
def bob(cognito: Cognito) -> dict[str, Any]:
    """What Cognito answers to bob's temporary password."""
    cognito.new_user("bob", UserAttributes=[{"Name": "email", "Value": "bob@example.com"}])
    return challenge(cognito, "bob")


def challenge(cognito: Cognito, name: str, **more: str) -> dict[str, Any]:
    return cognito.call("InitiateAuth", **cognito.password_request(name, TEMPORARY, **more))


def response(cognito: Cognito, session: str, name: str = "bob", **more: str) -> dict[str, Any]:
    return {
        "ClientId": cognito.client_id,
        "ChallengeName": "NEW_PASSWORD_REQUIRED",
        "Session": session,
        "ChallengeResponses": {"USERNAME": name, "NEW_PASSWORD": NEW, **more},
    }


def test_the_challenge_names_the_user_and_the_subject(bob: dict[str, Any]) -> None:
    assert bob["ChallengeName"] == "NEW_PASSWORD_REQUIRED"
    parameters = bob["ChallengeParameters"]
    assert parameters["USER_ID_FOR_SRP"] == "bob"
    assert json.loads(parameters["requiredAttributes"]) == []
    assert json.loads(parameters["userAttributes"]) == {"email": "bob@example.com"}
    assert "AuthenticationResult" not in bob


def test_the_answer_gives_tokens_and_confirms(cognito: Cognito, bob: dict[str, Any]) -> None:
    answer = cognito.call("RespondToAuthChallenge", **response(cognito, bob["Session"]))
    assert claims(answer["AuthenticationResult"]["AccessToken"])["username"] == "bob"
    assert cognito.sign_in("bob", NEW)["AccessToken"]
    assert cognito.sign_in_refused("bob", TEMPORARY)[0] == "NotAuthorizedException"


def test_the_admin_answer_does_the_same_in_its_pool_only(cognito: Cognito, bob: dict[str, Any]) -> None:
    request = response(cognito, bob["Session"])
    other = cognito.new_pool()
    refusal = cognito.refused("AdminRespondToAuthChallenge", UserPoolId=other, **request)
    assert refusal[0] == "ResourceNotFoundException"
    answer = cognito.call("AdminRespondToAuthChallenge", UserPoolId=cognito.pool_id, **request)
    assert answer["AuthenticationResult"]["RefreshToken"]


def test_a_session_works_once(cognito: Cognito, bob: dict[str, Any]) -> None:
    cognito.call("RespondToAuthChallenge", **response(cognito, bob["Session"]))
    assert cognito.refused("RespondToAuthChallenge", **response(cognito, bob["Session"])) == (
        "NotAuthorizedException",
        "Invalid session for the user, session can only be used once.",
    )


def test_a_session_lives_three_minutes(cognito: Cognito, bob: dict[str, Any]) -> None:
    cognito.clock.forward(180)
    assert cognito.refused("RespondToAuthChallenge", **response(cognito, bob["Session"])) == (
        "NotAuthorizedException",
        "Invalid session for the user, session is expired.",
    )


def test_a_clients_session_validity_is_honoured(cognito: Cognito) -> None:
    client_id = cognito.new_client(AuthSessionValidity=15)
    cognito.new_user("carol")
    session = challenge(cognito, "carol", client_id=client_id)["Session"]
    cognito.clock.forward(899)
    request = {**response(cognito, session, "carol"), "ClientId": client_id}
    assert cognito.call("RespondToAuthChallenge", **request)["AuthenticationResult"]


def test_one_users_session_does_not_answer_for_another(cognito: Cognito, bob: dict[str, Any]) -> None:
    request = response(cognito, bob["Session"], "alice")
    assert cognito.refused("RespondToAuthChallenge", **request) == INVALID
    assert cognito.sign_in("alice", PASSWORD)["AccessToken"], "alice's password is as it was"


def test_an_alias_does_not_answer(cognito: Cognito) -> None:
    pool_id = cognito.new_pool(UsernameAttributes=["email"])
    client_id = cognito.new_client(pool_id)
    username = cognito.new_user("dora@example.com", None, pool_id)
    session = challenge(cognito, "dora@example.com", client_id=client_id)["Session"]
    request = {**response(cognito, session, "dora@example.com"), "ClientId": client_id}
    assert cognito.refused("RespondToAuthChallenge", **request) == INVALID
    request["ChallengeResponses"]["USERNAME"] = username
    assert cognito.call("RespondToAuthChallenge", **request)["AuthenticationResult"]


def test_a_session_is_bound_to_client_and_challenge(cognito: Cognito, bob: dict[str, Any]) -> None:
    other = {**response(cognito, bob["Session"]), "ClientId": cognito.new_client()}
    assert cognito.refused("RespondToAuthChallenge", **other) == INVALID
    mfa = {**response(cognito, bob["Session"]), "ChallengeName": "SOFTWARE_TOKEN_MFA"}
    assert cognito.refused("RespondToAuthChallenge", **mfa) == INVALID
    made_up = response(cognito, "A" * 256)
    assert cognito.refused("RespondToAuthChallenge", **made_up) == INVALID
    none = response(cognito, bob["Session"])
    del none["Session"]
    assert cognito.refused("RespondToAuthChallenge", **none) == INVALID


def test_the_policy_holds_and_the_session_survives_a_weak_answer(
    cognito: Cognito, bob: dict[str, Any]
) -> None:
    weak = response(cognito, bob["Session"], NEW_PASSWORD="short")
    assert cognito.refused("RespondToAuthChallenge", **weak)[0] == "InvalidPasswordException"
    assert cognito.call("RespondToAuthChallenge", **response(cognito, bob["Session"]))["AuthenticationResult"]


def test_a_missing_new_password_is_refused(cognito: Cognito, bob: dict[str, Any]) -> None:
    request = response(cognito, bob["Session"])
    del request["ChallengeResponses"]["NEW_PASSWORD"]
    assert cognito.refused("RespondToAuthChallenge", **request)[0] == "InvalidParameterException"


def test_a_user_disabled_meanwhile_gets_nothing(cognito: Cognito, bob: dict[str, Any]) -> None:
    cognito.call("AdminDisableUser", UserPoolId=cognito.pool_id, Username="bob")
    assert cognito.refused("RespondToAuthChallenge", **response(cognito, bob["Session"])) == (
        "NotAuthorizedException",
        "User is disabled.",
    )


def test_a_user_deleted_and_made_again_does_not_inherit_the_session(
    cognito: Cognito, bob: dict[str, Any]
) -> None:
    cognito.call("AdminDeleteUser", UserPoolId=cognito.pool_id, Username="bob")
    cognito.new_user("bob", PASSWORD)
    assert cognito.refused("RespondToAuthChallenge", **response(cognito, bob["Session"])) == INVALID


def test_the_secret_hash_is_checked_here_too(cognito: Cognito) -> None:
    client_id = cognito.new_client(GenerateSecret=True)
    cognito.new_user("carol")
    right = cognito.secret_hash(client_id, "carol")
    session = challenge(cognito, "carol", client_id=client_id, SECRET_HASH=right)["Session"]
    request = {**response(cognito, session, "carol"), "ClientId": client_id}
    assert cognito.refused("RespondToAuthChallenge", **request)[1].endswith("SECRET_HASH was not received")
    request["ChallengeResponses"]["SECRET_HASH"] = right
    assert cognito.call("RespondToAuthChallenge", **request)["AuthenticationResult"]


def test_required_attributes_are_asked_for(cognito: Cognito) -> None:
    schema = [{"Name": "name", "Required": True, "AttributeDataType": "String"}]
    pool_id = cognito.new_pool(Schema=schema)
    client_id = cognito.new_client(pool_id)
    cognito.new_user("carol", None, pool_id)
    asked = challenge(cognito, "carol", client_id=client_id)
    assert json.loads(asked["ChallengeParameters"]["requiredAttributes"]) == ["userAttributes.name"]
    request = {**response(cognito, asked["Session"], "carol"), "ClientId": client_id}
    assert (
        cognito.refused("RespondToAuthChallenge", **request)[1] == "Invalid attributes given, name is missing"
    )
    request["ChallengeResponses"]["userAttributes.name"] = "Carol"
    assert cognito.call("RespondToAuthChallenge", **request)["AuthenticationResult"]
    user = cognito.call("AdminGetUser", UserPoolId=pool_id, Username="carol")
    assert {"Name": "name", "Value": "Carol"} in user["UserAttributes"]


def test_attributes_that_have_a_value_keep_it(cognito: Cognito, bob: dict[str, Any]) -> None:
    request = response(cognito, bob["Session"], **{"userAttributes.email": "eve@example.com"})
    assert cognito.refused("RespondToAuthChallenge", **request) == (
        "NotAuthorizedException",
        "Cannot modify an already provided email",
    )


def test_an_expired_temporary_password_opens_no_session(cognito: Cognito) -> None:
    cognito.new_user("carol")
    cognito.clock.forward(7 * 86400)
    assert cognito.sign_in_refused("carol", TEMPORARY) == (
        "NotAuthorizedException",
        "Temporary password has expired and must be reset by an administrator.",
    )
