"""Identity pools: whose token makes which identity, which role, and who gets nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_cognito.iam.trust import trust_policy, trusts
from tests.support.emulator import PASSWORD, Cognito

BAD = ("NotAuthorizedException", "Invalid login token. Not a valid OpenId Connect identity token.")
OTHER = ("NotAuthorizedException", "Token is not from a supported provider of this identity pool.")
NO_ROLE = (
    "InvalidIdentityPoolConfigurationException",
    "Invalid identity pool configuration. Check assigned IAM roles for this pool.",
)


class Identity:
    def __init__(self, cognito: Cognito, **settings: Any) -> None:
        self.cognito = cognito
        self.provider = f"cognito-idp.us-east-1.amazonaws.com/{cognito.pool_id}"
        accepted = {
            "ProviderName": self.provider,
            "ClientId": cognito.client_id,
            "ServerSideTokenCheck": True,
        }
        request = {
            "IdentityPoolName": "test",
            "AllowUnauthenticatedIdentities": False,
            "CognitoIdentityProviders": [accepted],
            **settings,
        }
        self.id = cognito.call("CreateIdentityPool", **request)["IdentityPoolId"]
        self.arn = self.role("authenticated")
        self.set_roles()

    def role(self, name: str, pool_id: str | None = None) -> str:
        from local_cognito.iam.roles import create_role

        document = json.dumps(trust_policy(pool_id or self.id))
        fields = {"RoleName": name, "AssumeRolePolicyDocument": document}
        made = create_role(self.cognito.state, fields, self.cognito.clock.now)
        assert made is not None
        return str(made["Role"]["Arn"])

    def set_roles(self, **request: Any) -> None:
        given = {"IdentityPoolId": self.id, "Roles": {"authenticated": self.arn}, **request}
        self.cognito.call("SetIdentityPoolRoles", **given)

    def token(self, name: str = "alice", **more: str) -> str:
        return str(self.cognito.sign_in(name, **more)["IdToken"])

    def ask(self, token: str, **more: Any) -> dict[str, Any]:
        return {"IdentityPoolId": self.id, "Logins": {self.provider: token}, **more}

    def identify(self, token: str) -> str:
        return str(self.cognito.call("GetId", **self.ask(token))["IdentityId"])

    def request(self, token: str, **more: Any) -> dict[str, Any]:
        return {"IdentityId": self.identify(token), "Logins": {self.provider: token}, **more}

    def credentials(self, token: str, **more: Any) -> dict[str, Any]:
        request = self.request(token, **more)
        return dict(self.cognito.call("GetCredentialsForIdentity", **request)["Credentials"])

    def role_of(self, credentials: dict[str, Any]) -> str:
        return self.cognito.state.credentials[credentials["AccessKeyId"]].role


@pytest.fixture
def identity(cognito: Cognito) -> Identity:
    return Identity(cognito)


def test_a_user_is_the_same_identity_every_time(identity: Identity) -> None:
    identity.cognito.new_user("bob", PASSWORD)
    first, second = identity.identify(identity.token()), identity.identify(identity.token())
    assert first == second
    assert identity.identify(identity.token("bob")) != first


def test_only_id_tokens_of_this_pool_and_client_are_taken(cognito: Cognito, identity: Identity) -> None:
    for token in ("garbage", cognito.sign_in()["AccessToken"], identity.token()[:-4] + "AAAA"):
        assert cognito.refused("GetId", **identity.ask(token)) == BAD
    other = identity.token(client_id=cognito.new_client())
    assert cognito.refused("GetId", **identity.ask(other)) == OTHER
    foreign = {"IdentityPoolId": identity.id, "Logins": {"accounts.google.com": identity.token()}}
    assert cognito.refused("GetId", **foreign) == OTHER
    assert cognito.refused("GetId", IdentityPoolId=identity.id) == (
        "NotAuthorizedException",
        "Unauthenticated access is not supported for this identity pool.",
    )
    unknown = "us-east-1:00000000-0000-4000-8000-000000000000"
    assert cognito.refused("GetId", IdentityPoolId=unknown)[0] == "ResourceNotFoundException"
    token = identity.token()
    cognito.clock.forward(3600)
    assert cognito.refused("GetId", **identity.ask(token))[1].startswith("Invalid login token. Token expired")


@pytest.mark.parametrize("how", ["sign-out", "disabled", "deleted"])
def test_the_server_side_check_refuses_who_signed_out(cognito: Cognito, identity: Identity, how: str) -> None:
    token = identity.token()
    request = identity.request(token)
    operation = {"sign-out": "AdminUserGlobalSignOut", "disabled": "AdminDisableUser"}.get(
        how, "AdminDeleteUser"
    )
    cognito.call(operation, UserPoolId=cognito.pool_id, Username="alice")
    revoked = ("NotAuthorizedException", "Invalid login token. Token has been revoked.")
    assert cognito.refused("GetId", **identity.ask(token)) == revoked
    assert cognito.refused("GetCredentialsForIdentity", **request) == revoked


def test_without_the_check_a_revoked_token_is_good_until_it_ends(cognito: Cognito) -> None:
    provider = f"cognito-idp.us-east-1.amazonaws.com/{cognito.pool_id}"
    accepted = [{"ProviderName": provider, "ClientId": cognito.client_id}]
    identity = Identity(cognito, CognitoIdentityProviders=accepted)
    token = identity.token()
    cognito.call("AdminUserGlobalSignOut", UserPoolId=cognito.pool_id, Username="alice")
    assert identity.identify(token)


def test_credentials_are_new_each_time_and_live_an_hour(cognito: Cognito, identity: Identity) -> None:
    first, second = identity.credentials(identity.token()), identity.credentials(identity.token())
    assert first["AccessKeyId"].startswith("ASIA")
    assert len(first["AccessKeyId"]) == 20
    assert len(first["SecretKey"]) == 40
    assert first["Expiration"] == cognito.clock.now + 3600
    for member in ("AccessKeyId", "SecretKey", "SessionToken"):
        assert first[member] != second[member]
    assert first["SecretKey"] not in repr(cognito.state)


def test_another_users_identity_is_forbidden(cognito: Cognito, identity: Identity) -> None:
    cognito.new_user("bob", PASSWORD)
    alices = identity.identify(identity.token())
    bobs = {identity.provider: identity.token("bob")}
    forbidden = ("NotAuthorizedException", f"Access to Identity '{alices}' is forbidden.")
    for logins in ({"Logins": bobs}, {}):
        assert cognito.refused("GetCredentialsForIdentity", IdentityId=alices, **logins) == forbidden
    unknown = "us-east-1:00000000-0000-4000-8000-000000000000"
    missing = cognito.refused("GetCredentialsForIdentity", IdentityId=unknown, Logins=bobs)
    assert missing[0] == "ResourceNotFoundException"


def test_roles_that_cannot_be_assumed_are_a_configuration_error(cognito: Cognito, identity: Identity) -> None:
    request = identity.request(identity.token())
    for roles in (
        {},
        {"authenticated": "arn:aws:iam::000000000000:role/nobody"},
        {"authenticated": identity.role("foreign", "us-east-1:another")},
    ):
        identity.set_roles(Roles=roles)
        assert cognito.refused("GetCredentialsForIdentity", **request) == NO_ROLE
    refused = {"IdentityPoolId": identity.id, "Roles": {"everybody": identity.arn}}
    assert cognito.refused("SetIdentityPoolRoles", **refused)[0] == "InvalidParameterException"


def by_token(identity: Identity, ambiguous: str) -> dict[str, Any]:
    mapping = {"Type": "Token", "AmbiguousRoleResolution": ambiguous}
    return {f"{identity.provider}:{identity.cognito.client_id}": mapping}


def test_the_token_chooses_the_role_of_its_groups(cognito: Cognito, identity: Identity) -> None:
    low, high = identity.role("low"), identity.role("high")
    identity.set_roles(RoleMappings=by_token(identity, "AuthenticatedRole"))
    assert identity.role_of(identity.credentials(identity.token())) == "authenticated"
    for name, precedence, arn in (("a", 1, high), ("b", 2, low)):
        group = {"UserPoolId": cognito.pool_id, "GroupName": name}
        cognito.call("CreateGroup", **group, Precedence=precedence, RoleArn=arn)
        cognito.call("AdminAddUserToGroup", **group, Username="alice")
    token = identity.token()
    assert identity.role_of(identity.credentials(token)) == "high"
    assert identity.role_of(identity.credentials(token, CustomRoleArn=low)) == "low"
    request = identity.request(token, CustomRoleArn=identity.arn)
    assert cognito.refused("GetCredentialsForIdentity", **request)[0] == "NotAuthorizedException"


def test_an_ambiguous_role_can_be_denied(cognito: Cognito, identity: Identity) -> None:
    identity.set_roles(RoleMappings=by_token(identity, "Deny"))
    request = identity.request(identity.token())
    assert cognito.refused("GetCredentialsForIdentity", **request)[0] == "NotAuthorizedException"


@pytest.mark.parametrize(
    ("match", "value", "role"),
    [
        ("Equals", "alice", "ruled"),
        ("Equals", "ali", "authenticated"),
        ("StartsWith", "ali", "ruled"),
        ("Contains", "lic", "ruled"),
        ("NotEqual", "alice", "authenticated"),
    ],
)
def test_rules_choose_by_a_claim(identity: Identity, match: str, value: str, role: str) -> None:
    rule = {
        "Claim": "cognito:username",
        "MatchType": match,
        "Value": value,
        "RoleARN": identity.role("ruled"),
    }
    mapping = {
        "Type": "Rules",
        "AmbiguousRoleResolution": "AuthenticatedRole",
        "RulesConfiguration": {"Rules": [rule]},
    }
    identity.set_roles(RoleMappings={f"{identity.provider}:{identity.cognito.client_id}": mapping})
    assert identity.role_of(identity.credentials(identity.token())) == role


def test_strangers_get_what_the_pool_allows(cognito: Cognito) -> None:
    identity = Identity(cognito, AllowUnauthenticatedIdentities=True)
    first, second = (cognito.call("GetId", IdentityPoolId=identity.id)["IdentityId"] for _ in range(2))
    assert first != second
    assert cognito.refused("GetCredentialsForIdentity", IdentityId=first) == NO_ROLE
    identity.set_roles(Roles={"unauthenticated": identity.arn})
    refusal = cognito.refused("GetCredentialsForIdentity", IdentityId=first)
    assert refusal == NO_ROLE, "the role trusts signed-in users only"


POOL = "us-east-1:0"


def policy(**changes: Any) -> str:
    document = trust_policy(POOL)
    document["Statement"][0].update(changes)
    return json.dumps(document)


DENY: dict[str, Any] = json.loads(policy(Effect="Deny"))["Statement"][0]
BOTH = json.dumps({"Statement": [*trust_policy(POOL)["Statement"], DENY]})


@pytest.mark.parametrize(
    ("document", "trusted"),
    [
        (policy(), True),
        (policy(Condition={}), True),
        (policy(Action=["sts:TagSession", "sts:AssumeRoleWithWebIdentity"]), True),
        (policy(Principal={"Federated": ["x", "cognito-identity.amazonaws.com"]}), True),
        (policy(Effect="Deny"), False),
        (policy(Action="sts:AssumeRole"), False),
        (policy(Principal={"Service": "cognito-identity.amazonaws.com"}), False),
        (policy(Principal="*"), False),
        (policy(Condition={"StringEquals": {"cognito-identity.amazonaws.com:aud": "us-east-1:1"}}), False),
        (policy(Condition={"StringLike": {"cognito-identity.amazonaws.com:aud": "us-east-1:[0]"}}), False),
        (policy(Condition={"StringLike": {"cognito-identity.amazonaws.com:aud": "us-*"}}), True),
        (policy(Condition={"NumericEquals": {"cognito-identity.amazonaws.com:aud": POOL}}), False),
        (policy(Condition={"StringEquals": {"aws:SourceIp": "::1"}}), False),
        (policy(Condition={"StringEquals": "x"}), False),
        (policy(Condition="x"), False),
        ('{"Statement": ["x", 1]}', False),
        (BOTH, False),
    ],
)
def test_trust_fails_closed(document: str, trusted: bool) -> None:
    assert trusts(document, pool_id=POOL, identity_id="us-east-1:id", amr="authenticated") is trusted


def test_identity_pools_are_listed_changed_tagged_and_deleted(cognito: Cognito, identity: Identity) -> None:
    described = cognito.call("DescribeIdentityPool", IdentityPoolId=identity.id)
    assert described["CognitoIdentityProviders"][0]["ServerSideTokenCheck"] is True
    assert [
        one["IdentityPoolId"] for one in cognito.call("ListIdentityPools", MaxResults=5)["IdentityPools"]
    ] == [identity.id]
    assert cognito.call("GetIdentityPoolRoles", IdentityPoolId=identity.id)["Roles"] == {
        "authenticated": identity.arn
    }
    changed = {"IdentityPoolName": "new", "AllowUnauthenticatedIdentities": True}
    updated = cognito.call("UpdateIdentityPool", IdentityPoolId=identity.id, **changed)
    assert updated["CognitoIdentityProviders"] == []
    cognito.call("DeleteIdentityPool", IdentityPoolId=identity.id)
    refusal = cognito.refused("DescribeIdentityPool", IdentityPoolId=identity.id)
    assert refusal == ("ResourceNotFoundException", f"IdentityPool '{identity.id}' not found.")
