"""What Cognito refuses and the public emulators let through, seen from real boto3, on the local Cognito."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support import local_cognito

PASSWORD = "Correct-Horse-1"


class Local:
    def __init__(self, boto: Any, clock: local_cognito.Clock) -> None:
        self.boto, self.clock = boto, clock
        self.pool_id = boto.create_user_pool(PoolName="strict")["UserPool"]["Id"]
        self.client_id = self.client("ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH")
        for name in ("alice", "bob"):
            boto.admin_create_user(UserPoolId=self.pool_id, Username=name, TemporaryPassword="Temporary-1")
        boto.admin_set_user_password(
            UserPoolId=self.pool_id, Username="alice", Password=PASSWORD, Permanent=True
        )

    def client(self, *flows: str, **settings: Any) -> str:
        made = self.boto.create_user_pool_client(
            UserPoolId=self.pool_id, ClientName="c", ExplicitAuthFlows=list(flows), **settings
        )
        return str(made["UserPoolClient"]["ClientId"])

    def sign_in(self, name: str = "alice", password: str = PASSWORD, client_id: str | None = None) -> Any:
        return self.boto.initiate_auth(
            ClientId=client_id or self.client_id,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": password},
        )


@pytest.fixture
def local() -> Iterator[Local]:
    clock = local_cognito.Clock()
    with local_cognito.running(clock=clock) as server:
        yield Local(local_cognito.client(server.url), clock)


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    details = error.value.response["Error"]
    return details["Code"], details["Message"]


def test_sign_in_rules(local: Local) -> None:
    with pytest.raises(ClientError) as error:
        local.sign_in(client_id=local.client("ALLOW_USER_SRP_AUTH"))
    assert code_of(error) == (
        "InvalidParameterException",
        "USER_PASSWORD_AUTH flow not enabled for this client",
    )
    secret = local.client("ALLOW_USER_PASSWORD_AUTH", GenerateSecret=True)
    with pytest.raises(ClientError, match="SECRET_HASH was not received"):
        local.sign_in(client_id=secret)
    hiding = local.client("ALLOW_USER_PASSWORD_AUTH", PreventUserExistenceErrors="ENABLED")
    with pytest.raises(ClientError) as error:
        local.sign_in("nobody", client_id=hiding)
    assert code_of(error) == ("NotAuthorizedException", "Incorrect username or password.")
    with pytest.raises(ClientError, match="validation error"):
        local.client("ALLOW_NONSENSE")


def test_another_users_session_changes_nobodys_password(local: Local) -> None:
    session = local.sign_in("bob", "Temporary-1")["Session"]
    answer: dict[str, Any] = {
        "ClientId": local.client_id,
        "ChallengeName": "NEW_PASSWORD_REQUIRED",
        "Session": session,
    }
    with pytest.raises(ClientError, match="Invalid session for the user"):
        local.boto.respond_to_auth_challenge(
            **answer, ChallengeResponses={"USERNAME": "alice", "NEW_PASSWORD": "Stolen-Account-1"}
        )
    assert local.sign_in()["AuthenticationResult"]
    mine = {"USERNAME": "bob", "NEW_PASSWORD": PASSWORD}
    assert local.boto.respond_to_auth_challenge(**answer, ChallengeResponses=mine)["AuthenticationResult"]
    with pytest.raises(ClientError, match="can only be used once"):
        local.boto.respond_to_auth_challenge(**answer, ChallengeResponses=mine)


def test_seven_wrong_passwords_lock(local: Local) -> None:
    for _ in range(5):
        with pytest.raises(ClientError, match="Incorrect username or password"):
            local.sign_in(password="Wrong-Password-1")
    with pytest.raises(ClientError, match="Password attempts exceeded"):
        local.sign_in()
    local.clock.forward(1)
    assert local.sign_in()["AuthenticationResult"]


def test_tokens_end_when_they_are_revoked(local: Local) -> None:
    result = local.sign_in()["AuthenticationResult"]
    local.boto.revoke_token(Token=result["RefreshToken"], ClientId=local.client_id)
    with pytest.raises(ClientError) as error:
        local.boto.get_user(AccessToken=result["AccessToken"])
    assert code_of(error) == ("NotAuthorizedException", "Access Token has been revoked")
    other = local.client("ALLOW_REFRESH_TOKEN_AUTH")
    kept = local.sign_in()["AuthenticationResult"]
    with pytest.raises(ClientError, match="Invalid Refresh Token"):
        local.boto.initiate_auth(
            ClientId=other,
            AuthFlow="REFRESH_TOKEN_AUTH",
            AuthParameters={"REFRESH_TOKEN": kept["RefreshToken"]},
        )


def test_a_refused_operation_is_no_server_error(local: Local) -> None:
    with pytest.raises(ClientError) as error:
        local.boto.get_csv_header(UserPoolId=local.pool_id)
    assert code_of(error)[0] == "UnknownOperationException"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_weak_temporary_password_makes_no_user(local: Local) -> None:
    with pytest.raises(ClientError, match="did not conform with policy"):
        local.boto.admin_create_user(UserPoolId=local.pool_id, Username="carol", TemporaryPassword="weak")
    with pytest.raises(local.boto.exceptions.UserNotFoundException):
        local.boto.admin_get_user(UserPoolId=local.pool_id, Username="carol")
