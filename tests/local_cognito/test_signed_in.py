"""Tokens after they were given out: claims, lifetimes, revocation."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from local_cognito.keys import PoolKeys
from local_cognito.tokens import new_grant
from tests.support.emulator import PASSWORD, Cognito, claims

REVOKED = ("NotAuthorizedException", "Access Token has been revoked")
ROLE = "arn:aws:iam::000000000000:role/"


def test_the_access_token_has_cognitos_claims(cognito: Cognito) -> None:
    access = claims(cognito.sign_in()["AccessToken"])
    assert set(access) == {
        "sub",
        "iss",
        "version",
        "client_id",
        "origin_jti",
        "event_id",
        "token_use",
        "scope",
        "auth_time",
        "exp",
        "iat",
        "jti",
        "username",
        "acr",
        "amr",
    }
    assert access["iss"] == f"http://127.0.0.1:9229/{cognito.pool_id}"
    assert access["scope"] == "aws.cognito.signin.user.admin"
    assert (access["iat"], access["auth_time"]) == (int(cognito.clock.now), int(cognito.clock.now))


def test_the_id_token_has_cognitos_claims(cognito: Cognito) -> None:
    pool_id = cognito.new_pool(Schema=[{"Name": "tenant", "AttributeDataType": "String"}])
    client_id = cognito.new_client(pool_id, ReadAttributes=["email", "email_verified", "custom:tenant"])
    attributes = {"email": "bob@example.com", "email_verified": "true", "custom:tenant": "7", "name": "Bob"}
    listed = [{"Name": name, "Value": value} for name, value in attributes.items()]
    cognito.new_user("bob", PASSWORD, pool_id, UserAttributes=listed)
    identity = claims(cognito.sign_in("bob", client_id=client_id)["IdToken"])
    assert identity["email_verified"] is True
    assert identity["custom:tenant"] == "7"
    assert identity["aud"] == client_id
    assert identity["cognito:username"] == "bob"
    assert identity["token_use"] == "id"
    assert "name" not in identity, "the client may not read it"
    assert {"client_id", "scope", "username"}.isdisjoint(identity)


def test_custom_attributes_need_to_be_readable(cognito: Cognito) -> None:
    pool_id = cognito.new_pool(Schema=[{"Name": "tenant", "AttributeDataType": "String"}])
    client_id = cognito.new_client(pool_id)
    listed = [{"Name": "custom:tenant", "Value": "7"}, {"Name": "name", "Value": "Bob"}]
    cognito.new_user("bob", PASSWORD, pool_id, UserAttributes=listed)
    result = cognito.sign_in("bob", client_id=client_id)
    identity = claims(result["IdToken"])
    assert identity["name"] == "Bob"
    assert "custom:tenant" not in identity
    names = [
        one["Name"] for one in cognito.call("GetUser", AccessToken=result["AccessToken"])["UserAttributes"]
    ]
    assert names == ["sub", "name"]


def test_access_and_id_tokens_are_signed_by_different_keys(cognito: Cognito, pool_keys: PoolKeys) -> None:
    result = cognito.sign_in()
    headers = [jwt.get_unverified_header(result[use]) for use in ("AccessToken", "IdToken")]
    assert [set(header) for header in headers] == [{"kid", "alg"}] * 2
    assert [header["kid"] for header in headers] == [pool_keys.access.kid, pool_keys.id.kid]
    assert pool_keys.access.kid != pool_keys.id.kid


def test_groups_come_by_precedence_with_their_roles(cognito: Cognito) -> None:
    for name, precedence, role in (("b", 5, "low"), ("a", 1, "high"), ("c", None, None)):
        extra: dict[str, Any] = (
            {} if precedence is None else {"Precedence": precedence, "RoleArn": ROLE + str(role)}
        )
        cognito.call("CreateGroup", UserPoolId=cognito.pool_id, GroupName=name, **extra)
        cognito.call("AdminAddUserToGroup", UserPoolId=cognito.pool_id, Username="alice", GroupName=name)
    result = cognito.sign_in()
    identity = claims(result["IdToken"])
    assert claims(result["AccessToken"])["cognito:groups"] == identity["cognito:groups"] == ["a", "b", "c"]
    assert identity["cognito:roles"] == [ROLE + "high", ROLE + "low"]
    assert identity["cognito:preferred_role"] == ROLE + "high"


def test_two_roles_of_equal_rank_leave_none_preferred(cognito: Cognito) -> None:
    for name in ("a", "b"):
        group = {"GroupName": name, "Precedence": 1, "RoleArn": ROLE + name}
        cognito.call("CreateGroup", UserPoolId=cognito.pool_id, **group)
        cognito.call("AdminAddUserToGroup", UserPoolId=cognito.pool_id, Username="alice", GroupName=name)
    assert "cognito:preferred_role" not in claims(cognito.sign_in()["IdToken"])


def test_token_lifetimes_follow_the_client(cognito: Cognito) -> None:
    client_id = cognito.new_client(
        AccessTokenValidity=300,
        IdTokenValidity=10,
        TokenValidityUnits={"AccessToken": "seconds", "IdToken": "minutes"},
    )
    result = cognito.sign_in(client_id=client_id)
    assert result["ExpiresIn"] == 300
    for use, seconds in (("AccessToken", 300), ("IdToken", 600)):
        token = claims(result[use])
        assert token["exp"] - token["iat"] == seconds


def test_get_user_takes_live_access_tokens_only(cognito: Cognito) -> None:
    result = cognito.sign_in()
    assert cognito.call("GetUser", AccessToken=result["AccessToken"])["Username"] == "alice"
    invalid = ("NotAuthorizedException", "Invalid Access Token")
    assert cognito.refused("GetUser", AccessToken=result["IdToken"]) == invalid
    assert cognito.refused("GetUser", AccessToken="garbage") == invalid
    head, payload, signature = result["AccessToken"].split(".")
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    assert cognito.refused("GetUser", AccessToken=f"{head}.{payload}.{flipped}") == invalid
    cognito.clock.forward(3600)
    assert cognito.refused("GetUser", AccessToken=result["AccessToken"]) == (
        "NotAuthorizedException",
        "Access Token has expired",
    )


def test_revoking_ends_one_sign_in_and_what_was_refreshed_from_it(cognito: Cognito) -> None:
    ended, kept = cognito.sign_in(), cognito.sign_in()
    refreshed = cognito.call("InitiateAuth", **cognito.refresh_request(ended["RefreshToken"]))
    cognito.call("RevokeToken", Token=ended["RefreshToken"], ClientId=cognito.client_id)
    for result in (ended, refreshed["AuthenticationResult"]):
        assert cognito.refused("GetUser", AccessToken=result["AccessToken"]) == REVOKED
    assert cognito.refused("InitiateAuth", **cognito.refresh_request(ended["RefreshToken"])) == (
        "NotAuthorizedException",
        "Refresh Token has been revoked",
    )
    assert cognito.call("GetUser", AccessToken=kept["AccessToken"])["Username"] == "alice"


def test_revoking_takes_refresh_tokens_of_the_client_only(cognito: Cognito) -> None:
    result = cognito.sign_in()
    access = {"Token": result["AccessToken"], "ClientId": cognito.client_id}
    assert cognito.refused("RevokeToken", **access)[0] == "UnsupportedTokenTypeException"
    other = {"Token": result["RefreshToken"], "ClientId": cognito.new_client()}
    assert cognito.refused("RevokeToken", **other)[0] == "UnauthorizedException"
    assert cognito.call("RevokeToken", Token="unknown", ClientId=cognito.client_id) == {}
    assert cognito.call("GetUser", AccessToken=result["AccessToken"])["Username"] == "alice"


def test_revoking_needs_the_client_secret(cognito: Cognito) -> None:
    client_id = cognito.new_client(ClientSecret="s" * 30)
    result = cognito.sign_in(client_id=client_id, SECRET_HASH=cognito.secret_hash(client_id, "alice"))
    request = {"Token": result["RefreshToken"], "ClientId": client_id}
    assert cognito.refused("RevokeToken", **request)[0] == "UnauthorizedException"
    assert cognito.refused("RevokeToken", **request, ClientSecret="t" * 30)[0] == "UnauthorizedException"
    assert cognito.call("RevokeToken", **request, ClientSecret="s" * 30) == {}


def test_revocation_can_be_off(cognito: Cognito) -> None:
    client_id = cognito.new_client(EnableTokenRevocation=False)
    result = cognito.sign_in(client_id=client_id)
    assert "origin_jti" not in claims(result["AccessToken"])
    request = {"Token": result["RefreshToken"], "ClientId": client_id}
    assert cognito.refused("RevokeToken", **request)[0] == "UnsupportedOperationException"


@pytest.mark.parametrize("revocation", [True, False])
@pytest.mark.parametrize("by", ["user", "administrator"])
def test_signing_out_everywhere_ends_all_sign_ins_of_this_user(
    cognito: Cognito, by: str, revocation: bool
) -> None:
    client_id = cognito.new_client(EnableTokenRevocation=revocation)
    cognito.new_user("bob", PASSWORD)
    first, second = cognito.sign_in(client_id=client_id), cognito.sign_in(client_id=client_id)
    bobs = cognito.sign_in("bob", client_id=client_id)
    if by == "user":
        cognito.call("GlobalSignOut", AccessToken=first["AccessToken"])
    else:
        cognito.call("AdminUserGlobalSignOut", UserPoolId=cognito.pool_id, Username="alice")
    for result in (first, second):
        assert cognito.refused("GetUser", AccessToken=result["AccessToken"]) == REVOKED
        refresh = cognito.refresh_request(result["RefreshToken"], client_id)
        assert cognito.refused("InitiateAuth", **refresh)[1] == "Refresh Token has been revoked"
    assert cognito.call("GetUser", AccessToken=bobs["AccessToken"])["Username"] == "bob"
    assert cognito.sign_in(client_id=client_id)["AccessToken"], "signing in again works at once"


def test_tokens_of_a_deleted_user_are_dead_even_when_the_name_comes_back(cognito: Cognito) -> None:
    result = cognito.sign_in()
    cognito.call("AdminDeleteUser", UserPoolId=cognito.pool_id, Username="alice")
    cognito.new_user("alice", PASSWORD)
    assert cognito.refused("GetUser", AccessToken=result["AccessToken"]) == REVOKED
    refresh = cognito.refresh_request(result["RefreshToken"])
    assert cognito.refused("InitiateAuth", **refresh)[0] == "NotAuthorizedException"


def test_what_has_expired_is_forgotten(cognito: Cognito) -> None:
    pool = cognito.state.pools[cognito.pool_id]
    client_id = cognito.new_client(RefreshTokenValidity=1, TokenValidityUnits={"RefreshToken": "hours"})
    user, client = pool.users["alice"], pool.clients[client_id]
    for _ in range(500):
        new_grant(pool, client, user, cognito.clock.now)
    assert len(pool.grants) == 500
    cognito.clock.forward(3600 + 86400)
    cognito.sign_in(client_id=client_id)
    assert len(pool.grants) == len(pool.refresh_tokens) == 1
