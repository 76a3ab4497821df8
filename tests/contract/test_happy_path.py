"""The contract: what a program written against Cognito does when all goes well, on every implementation."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import urllib.request
from typing import Any

import jwt
import pytest

PASSWORD = "Correct-Horse-1"
FLOWS = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]


class Pool:
    """A pool with one client and one user who has a permanent password."""

    def __init__(self, cognito: Any, **client: Any) -> None:
        self.cognito = cognito
        self.id = cognito.create_user_pool(PoolName="contract")["UserPool"]["Id"]
        made = cognito.create_user_pool_client(
            UserPoolId=self.id,
            ClientName="app",
            ExplicitAuthFlows=FLOWS,
            ReadAttributes=["email"],
            **client,
        )["UserPoolClient"]
        self.client_id, self.secret = made["ClientId"], made.get("ClientSecret")
        cognito.admin_create_user(
            UserPoolId=self.id,
            Username="alice",
            UserAttributes=[{"Name": "email", "Value": "alice@example.com"}],
            TemporaryPassword="Temporary-1",
            MessageAction="SUPPRESS",
        )

    def settle(self) -> None:
        self.cognito.admin_set_user_password(
            UserPoolId=self.id, Username="alice", Password=PASSWORD, Permanent=True
        )

    def sign_in(self, password: str = PASSWORD, **extra: str) -> Any:
        return self.cognito.initiate_auth(
            ClientId=self.client_id,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": "alice", "PASSWORD": password, **extra},
        )


@pytest.fixture
def pool(cognito: Any) -> Pool:
    return Pool(cognito)


def unverified(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def test_pools_and_clients_are_listed_described_and_deleted(cognito: Any, pool: Pool) -> None:
    described = cognito.describe_user_pool(UserPoolId=pool.id)["UserPool"]
    assert described["Id"] == pool.id
    assert described["Name"] == "contract"
    assert pool.id in [one["Id"] for one in cognito.list_user_pools(MaxResults=60)["UserPools"]]
    client = cognito.describe_user_pool_client(UserPoolId=pool.id, ClientId=pool.client_id)["UserPoolClient"]
    assert client["ClientName"] == "app"
    assert set(client["ExplicitAuthFlows"]) == set(FLOWS)
    listed = cognito.list_user_pool_clients(UserPoolId=pool.id, MaxResults=10)["UserPoolClients"]
    assert [one["ClientId"] for one in listed] == [pool.client_id]
    cognito.delete_user_pool(UserPoolId=pool.id)
    with pytest.raises(cognito.exceptions.ResourceNotFoundException):
        cognito.describe_user_pool(UserPoolId=pool.id)


def test_user_password_sign_in_gives_three_tokens(pool: Pool) -> None:
    pool.settle()
    result = pool.sign_in()["AuthenticationResult"]
    assert result["TokenType"] == "Bearer"
    assert result["ExpiresIn"] == 3600
    assert set(result) >= {"AccessToken", "IdToken", "RefreshToken"}


def test_admin_sign_in_gives_three_tokens(cognito: Any, pool: Pool) -> None:
    pool.settle()
    result = cognito.admin_initiate_auth(
        UserPoolId=pool.id,
        ClientId=pool.client_id,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "alice", "PASSWORD": PASSWORD},
    )["AuthenticationResult"]
    assert set(result) >= {"AccessToken", "IdToken", "RefreshToken"}


def test_access_and_id_tokens_carry_the_claims_a_gateway_reads(pool: Pool) -> None:
    pool.settle()
    result = pool.sign_in()["AuthenticationResult"]
    access, identity = unverified(result["AccessToken"]), unverified(result["IdToken"])
    assert (access["token_use"], access["client_id"], access["username"]) == (
        "access",
        pool.client_id,
        "alice",
    )
    assert access["iss"].endswith(f"/{pool.id}")
    assert (identity["token_use"], identity["aud"]) == ("id", pool.client_id)
    assert identity["cognito:username"] == "alice"
    assert identity["email"] == "alice@example.com"
    assert access["sub"] == identity["sub"]
    assert access["exp"] - access["iat"] == 3600


def test_tokens_verify_with_the_published_keys(cognito: Any, pool: Pool) -> None:
    pool.settle()
    result = pool.sign_in()["AuthenticationResult"]
    url = f"{cognito.meta.endpoint_url}/{pool.id}/.well-known/jwks.json"
    with urllib.request.urlopen(url) as answer:
        keys = {key["kid"]: jwt.PyJWK(key) for key in json.load(answer)["keys"]}
    for token in (result["AccessToken"], result["IdToken"]):
        key = keys[jwt.get_unverified_header(token)["kid"]]
        jwt.decode(token, key, algorithms=["RS256"], options={"verify_aud": False})


def test_a_temporary_password_must_be_replaced(cognito: Any, pool: Pool) -> None:
    challenge = pool.sign_in("Temporary-1")
    assert challenge["ChallengeName"] == "NEW_PASSWORD_REQUIRED"
    result = cognito.respond_to_auth_challenge(
        ClientId=pool.client_id,
        ChallengeName="NEW_PASSWORD_REQUIRED",
        Session=challenge["Session"],
        ChallengeResponses={"USERNAME": "alice", "NEW_PASSWORD": PASSWORD},
    )
    assert result["AuthenticationResult"]["AccessToken"]
    assert cognito.admin_get_user(UserPoolId=pool.id, Username="alice")["UserStatus"] == "CONFIRMED"
    assert pool.sign_in()["AuthenticationResult"]["AccessToken"]


def test_refreshing_gives_new_tokens_and_no_refresh_token(cognito: Any, pool: Pool) -> None:
    pool.settle()
    first = pool.sign_in()["AuthenticationResult"]
    second = cognito.initiate_auth(
        ClientId=pool.client_id,
        AuthFlow="REFRESH_TOKEN_AUTH",
        AuthParameters={"REFRESH_TOKEN": first["RefreshToken"]},
    )["AuthenticationResult"]
    assert "RefreshToken" not in second
    before, after = unverified(first["AccessToken"]), unverified(second["AccessToken"])
    assert before["jti"] != after["jti"]
    assert before["origin_jti"] == after["origin_jti"]


def test_a_client_with_a_secret_is_served_with_the_right_hash(cognito: Any) -> None:
    pool = Pool(cognito, GenerateSecret=True)
    pool.settle()
    digest = hmac.digest(pool.secret.encode(), b"alice" + pool.client_id.encode(), hashlib.sha256)
    assert pool.sign_in(SECRET_HASH=base64.b64encode(digest).decode())["AuthenticationResult"]["AccessToken"]


def test_groups_are_in_both_tokens(cognito: Any, pool: Pool) -> None:
    pool.settle()
    cognito.create_group(UserPoolId=pool.id, GroupName="admins")
    cognito.admin_add_user_to_group(UserPoolId=pool.id, Username="alice", GroupName="admins")
    result = pool.sign_in()["AuthenticationResult"]
    assert unverified(result["AccessToken"])["cognito:groups"] == ["admins"]
    assert unverified(result["IdToken"])["cognito:groups"] == ["admins"]
    cognito.admin_remove_user_from_group(UserPoolId=pool.id, Username="alice", GroupName="admins")
    assert "cognito:groups" not in unverified(pool.sign_in()["AuthenticationResult"]["AccessToken"])


def test_get_user_reads_the_tokens_owner(cognito: Any, pool: Pool) -> None:
    pool.settle()
    user = cognito.get_user(AccessToken=pool.sign_in()["AuthenticationResult"]["AccessToken"])
    assert user["Username"] == "alice"
    assert {"Name": "email", "Value": "alice@example.com"} in user["UserAttributes"]


@pytest.mark.parametrize("by", ["user", "administrator"])
def test_signing_out_everywhere_ends_every_token(cognito: Any, pool: Pool, by: str) -> None:
    pool.settle()
    result = pool.sign_in()["AuthenticationResult"]
    if by == "user":
        cognito.global_sign_out(AccessToken=result["AccessToken"])
    else:
        cognito.admin_user_global_sign_out(UserPoolId=pool.id, Username="alice")
    with pytest.raises(cognito.exceptions.NotAuthorizedException):
        cognito.get_user(AccessToken=result["AccessToken"])
    with pytest.raises(cognito.exceptions.NotAuthorizedException):
        cognito.initiate_auth(
            ClientId=pool.client_id,
            AuthFlow="REFRESH_TOKEN_AUTH",
            AuthParameters={"REFRESH_TOKEN": result["RefreshToken"]},
        )


def test_users_are_found_disabled_and_deleted(cognito: Any, pool: Pool) -> None:
    pool.settle()
    found = cognito.list_users(UserPoolId=pool.id, Filter='email = "alice@example.com"')["Users"]
    assert [one["Username"] for one in found] == ["alice"]
    cognito.admin_disable_user(UserPoolId=pool.id, Username="alice")
    assert cognito.admin_get_user(UserPoolId=pool.id, Username="alice")["Enabled"] is False
    with pytest.raises(cognito.exceptions.NotAuthorizedException):
        pool.sign_in()
    cognito.admin_enable_user(UserPoolId=pool.id, Username="alice")
    assert pool.sign_in()["AuthenticationResult"]["AccessToken"]
    cognito.admin_delete_user(UserPoolId=pool.id, Username="alice")
    with pytest.raises(cognito.exceptions.UserNotFoundException):
        cognito.admin_get_user(UserPoolId=pool.id, Username="alice")


def test_a_wrong_password_is_refused(cognito: Any, pool: Pool) -> None:
    pool.settle()
    with pytest.raises(cognito.exceptions.NotAuthorizedException, match="Incorrect username or password"):
        pool.sign_in("Wrong-Password-1")
