"""From a sign-in to temporary AWS credentials, with real boto3: its signatures, its XML, its errors."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cognito import seed
from local_cognito.iam.trust import trust_policy
from local_cognito.server import LocalCognito
from tests.support import local_cognito

POOL, CLIENT = "us-east-1_LocalDemo", "1demo2client3local4cognito"
IDENTITY_POOL = "us-east-1:00000000-0000-4000-8000-0000000000de"
PROVIDER = f"cognito-idp.us-east-1.amazonaws.com/{POOL}"
TRUST = json.dumps(trust_policy(IDENTITY_POOL))


@pytest.fixture
def local() -> Iterator[LocalCognito]:
    with local_cognito.running(seed.read(seed.DEMO)) as server:
        yield server


def boto(local: LocalCognito, service: str, **keys: str) -> Any:
    return local_cognito.client(local.url, service=service, **keys)


def credentials(local: LocalCognito) -> dict[str, str]:
    """The demo's user's, as boto3's own parameters."""
    result = boto(local, "cognito-idp").initiate_auth(
        ClientId=CLIENT,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "alice@example.com", "PASSWORD": "Wonderland-2024"},
    )["AuthenticationResult"]
    pool = boto(local, "cognito-identity")
    logins = {PROVIDER: result["IdToken"]}
    identity = pool.get_id(IdentityPoolId=IDENTITY_POOL, Logins=logins)["IdentityId"]
    made = pool.get_credentials_for_identity(IdentityId=identity, Logins=logins)["Credentials"]
    return {
        "aws_access_key_id": made["AccessKeyId"],
        "aws_secret_access_key": made["SecretKey"],
        "aws_session_token": made["SessionToken"],
    }


def test_the_credentials_say_whose_role_they_are(local: LocalCognito) -> None:
    keys = credentials(local)
    answer = boto(local, "sts", **keys).get_caller_identity()
    role = "arn:aws:sts::000000000000:assumed-role/local-demo-authenticated/CognitoIdentityCredentials"
    assert (answer["Arn"], answer["Account"]) == (role, "000000000000")
    assert answer["UserId"].endswith(":CognitoIdentityCredentials")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"aws_secret_access_key": "x" * 40}, "SignatureDoesNotMatch"),
        ({"aws_session_token": "x"}, "InvalidClientTokenId"),
        ({"aws_access_key_id": "ASIA0000000000000000"}, "InvalidClientTokenId"),
    ],
)
def test_credentials_that_are_not_ours_are_refused(
    local: LocalCognito, change: dict[str, str], code: str
) -> None:
    sts = boto(local, "sts", **{**credentials(local), **change})
    with pytest.raises(ClientError) as error:
        sts.get_caller_identity()
    assert error.value.response["Error"]["Code"] == code
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_credentials_end_and_old_signatures_do_not_work() -> None:
    clock = local_cognito.Clock(time.time())
    with local_cognito.running(seed.read(seed.DEMO), clock) as local:
        keys = credentials(local)
        # AWS takes signatures for 15 minutes; this machine may be slow in the meantime.
        clock.forward(1800)
        with pytest.raises(ClientError) as error:
            boto(local, "sts", **keys).get_caller_identity()
        assert error.value.response["Error"]["Code"] == "SignatureDoesNotMatch"


def test_the_role_calls_of_a_set_up(local: LocalCognito) -> None:
    iam = boto(local, "iam")
    tags = [{"Key": "made-by", "Value": "a test & more"}]
    made = iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST, Tags=tags, Description="<d>")["Role"]
    assert made["AssumeRolePolicyDocument"] == trust_policy(IDENTITY_POOL)
    seen = iam.get_role(RoleName="r")["Role"]
    assert (seen["Arn"], seen["Description"], seen["Tags"]) == (made["Arn"], "<d>", tags)
    with pytest.raises(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=json.dumps(document))
    assert iam.get_role_policy(RoleName="r", PolicyName="p")["PolicyDocument"] == document
    assert iam.list_role_policies(RoleName="r")["PolicyNames"] == ["p"]
    assert iam.list_attached_role_policies(RoleName="r")["AttachedPolicies"] == []
    iam.update_assume_role_policy(RoleName="r", PolicyDocument=json.dumps(document))
    assert iam.get_role(RoleName="r")["Role"]["AssumeRolePolicyDocument"] == document
    iam.tag_role(RoleName="r", Tags=[{"Key": "k", "Value": ""}])
    assert len(iam.list_role_tags(RoleName="r")["Tags"]) == 2
    with pytest.raises(iam.exceptions.DeleteConflictException):
        iam.delete_role(RoleName="r")
    iam.delete_role_policy(RoleName="r", PolicyName="p")
    iam.delete_role(RoleName="r")
    for call in (iam.get_role, iam.delete_role, iam.list_role_tags):
        with pytest.raises(iam.exceptions.NoSuchEntityException):
            call(RoleName="r")


def test_policies_must_be_policies(local: LocalCognito) -> None:
    iam = boto(local, "iam")
    for document in ("{", "[]", "{}"):
        with pytest.raises(iam.exceptions.MalformedPolicyDocumentException):
            iam.create_role(RoleName="r", AssumeRolePolicyDocument=document)
    with pytest.raises(ClientError, match="does not have the action"):
        iam.list_users()


def test_tags_of_pools_of_both_kinds(local: LocalCognito) -> None:
    users, identities = boto(local, "cognito-idp"), boto(local, "cognito-identity")
    arn = users.describe_user_pool(UserPoolId=POOL)["UserPool"]["Arn"]
    other = f"arn:aws:cognito-identity:us-east-1:000000000000:identitypool/{IDENTITY_POOL}"
    for client, resource in ((users, arn), (identities, other)):
        client.tag_resource(ResourceArn=resource, Tags={"a": "1", "b": "2"})
        client.untag_resource(ResourceArn=resource, TagKeys=["a"])
        assert client.list_tags_for_resource(ResourceArn=resource)["Tags"] == {"b": "2"}
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.list_tags_for_resource(ResourceArn=resource + "0")
    assert users.describe_user_pool(UserPoolId=POOL)["UserPool"]["UserPoolTags"] == {"b": "2"}
