"""`setup` against a local Cognito with identity pools and IAM: what it makes, and what it leaves."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.config import Config

from gateway.aws.clients import Aws, Where
from gateway.aws.pool_settings import mfa_config
from gateway.aws.provision.destroy import removals
from gateway.aws.provision.iam_policy import IMPLIED, actions, iam_policy
from gateway.aws.provision.step import Made
from gateway.aws.provision.walk import StepReport, walk
from gateway.aws.provision.wanted import AUTH_FLOWS, TAG, Wanted, fixed_pool_settings, trust_policy
from gateway.cli import main
from gateway.config.load import load
from local_cognito.server import LocalCognito
from tests.support import local_cognito
from tests.support.script import run

REGION = "us-east-1"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def local() -> Iterator[LocalCognito]:
    with local_cognito.running() as server:
        yield server


def client(local: LocalCognito, service: str) -> Any:
    make: Any = boto3.client
    return make(
        service,
        endpoint_url=local.url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )


def setup(local: LocalCognito, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """In this process: loading boto3 again takes longer than all that the command does."""
    where = ("--endpoint-url", local.url, "--region", REGION, "--pool-name", "orders")
    words = ["setup", *where, *map(str, arguments)]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def made(local: LocalCognito, *arguments: str) -> dict[str, Any]:
    done = setup(local, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def verdicts(answer: dict[str, Any]) -> dict[str, str]:
    return {step["step"]: step["verdict"] for step in answer["steps"]}


FULL = ("--identity-pool", "--domain", "orders-login", "--callback-url", "https://api.test/oauth2/callback")
EVERY = ["user pool", "app client", "domain", "identity pool", "IAM role", "role of signed-in people"]


def test_a_plan_changes_nothing(local: LocalCognito) -> None:
    done = setup(local, "--plan", *FULL)
    assert (done.returncode, done.stdout) == (0, "")
    assert "6 of 6 would change" in done.stderr
    assert local.state.pools == {}
    assert client(local, "cognito-identity").list_identity_pools(MaxResults=10)["IdentityPools"] == []


def test_everything_is_made_once(local: LocalCognito) -> None:
    first = made(local, *FULL)
    assert verdicts(first) == dict.fromkeys(EVERY, "created")
    second = made(local, *FULL)
    assert verdicts(second) == dict.fromkeys(EVERY, "same")
    assert {name: first[name] for name in first if name != "steps"} == {
        name: second[name] for name in second if name != "steps"
    }
    assert "no changes needed" in setup(local, "--plan", *FULL).stderr


def test_the_created_resources_fit_a_gateway(local: LocalCognito) -> None:
    answer = made(local, *FULL)
    users, identities, iam = (client(local, name) for name in ("cognito-idp", "cognito-identity", "iam"))
    pool_id, client_id = answer["user_pool_id"], answer["client_id"]
    pool = users.describe_user_pool(UserPoolId=pool_id)["UserPool"]
    assert pool["UsernameAttributes"] == ["email"]
    assert pool["UsernameConfiguration"] == {"CaseSensitive": False}
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True
    assert pool["DeletionProtection"] == "ACTIVE"
    assert pool["UserPoolTags"] == {TAG: "orders"}
    app = users.describe_user_pool_client(UserPoolId=pool_id, ClientId=client_id)["UserPoolClient"]
    assert "ClientSecret" not in app
    assert sorted(app["ExplicitAuthFlows"]) == sorted(AUTH_FLOWS)
    assert (app["PreventUserExistenceErrors"], app["EnableTokenRevocation"]) == ("ENABLED", True)
    assert app["CallbackURLs"] == ["https://api.test/oauth2/callback"]
    identity = identities.describe_identity_pool(IdentityPoolId=answer["identity_pool_id"])
    assert identity["AllowUnauthenticatedIdentities"] is False
    assert identity["CognitoIdentityProviders"] == [
        {
            "ProviderName": f"cognito-idp.{REGION}.amazonaws.com/{pool_id}",
            "ClientId": client_id,
            "ServerSideTokenCheck": True,
        }
    ]
    role = iam.get_role(RoleName="orders-authenticated")["Role"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Condition"] == {
        "StringEquals": {"cognito-identity.amazonaws.com:aud": answer["identity_pool_id"]},
        "ForAnyValue:StringLike": {"cognito-identity.amazonaws.com:amr": "authenticated"},
    }
    assert iam.list_role_policies(RoleName="orders-authenticated")["PolicyNames"] == []
    roles = identities.get_identity_pool_roles(IdentityPoolId=answer["identity_pool_id"])
    assert roles["Roles"] == {"authenticated": answer["role_arn"]}


@pytest.mark.parametrize(
    "gone", [EVERY[5:], EVERY[4:], ["identity pool", "role of signed-in people"], ["app client"], ["domain"]]
)
def test_half_made_things_are_completed(local: LocalCognito, gone: list[str]) -> None:
    answer = made(local, *FULL)
    users, identities, iam = (client(local, name) for name in ("cognito-idp", "cognito-identity", "iam"))
    if "identity pool" in gone:
        identities.delete_identity_pool(IdentityPoolId=answer["identity_pool_id"])
    elif "role of signed-in people" in gone:
        identities.set_identity_pool_roles(IdentityPoolId=answer["identity_pool_id"], Roles={})
    if "IAM role" in gone:
        iam.delete_role(RoleName="orders-authenticated")
    if "app client" in gone:
        users.delete_user_pool_client(UserPoolId=answer["user_pool_id"], ClientId=answer["client_id"])
    if "domain" in gone:
        users.delete_user_pool_domain(UserPoolId=answer["user_pool_id"], Domain="orders-login")
    again = verdicts(made(local, *FULL))
    assert {step for step, verdict in again.items() if verdict == "created"} == set(gone)
    if "app client" in gone or "identity pool" in gone:
        # What hangs on the lost one still names it: reported, and fixed on request.
        assert "differs" in again.values()
        made(local, *FULL, "--fix")
    assert set(verdicts(made(local, *FULL)).values()) == {"same"}


def test_foreign_settings_stay_without_fix(local: LocalCognito) -> None:
    answer = made(local)
    users = client(local, "cognito-idp")
    told = {"UserPoolId": answer["user_pool_id"], "ClientId": answer["client_id"]}
    app = users.describe_user_pool_client(**told)["UserPoolClient"]
    keep = {name: app[name] for name in ("EnableTokenRevocation", "PreventUserExistenceErrors")}
    users.update_user_pool_client(
        **told, ClientName="orders", ExplicitAuthFlows=["ALLOW_USER_SRP_AUTH"], AccessTokenValidity=8, **keep
    )
    before = users.describe_user_pool_client(**told)["UserPoolClient"]
    done = setup(local)
    assert "! app client orders" in done.stderr
    assert "ExplicitAuthFlows is ALLOW_USER_SRP_AUTH, wanted ALLOW_ADMIN_USER_PASSWORD_AUTH, " in done.stderr
    assert users.describe_user_pool_client(**told)["UserPoolClient"] == before
    assert verdicts(made(local, "--fix", "--plan"))["app client"] == "change"
    assert users.describe_user_pool_client(**told)["UserPoolClient"] == before
    assert verdicts(made(local, "--fix"))["app client"] == "changed"
    after = users.describe_user_pool_client(**told)["UserPoolClient"]
    assert sorted(after["ExplicitAuthFlows"]) == sorted(AUTH_FLOWS)
    # What setup has no opinion about is not touched by it.
    assert after["AccessTokenValidity"] == 8


def test_jane_is_one_user_however_she_writes_her_address(local: LocalCognito) -> None:
    """The local Cognito has AWS's default: case-sensitive, for the life of the pool."""
    users = client(local, "cognito-idp")
    ours = made(local)["user_pool_id"]
    plain = users.create_user_pool(PoolName="plain", UsernameAttributes=["email"])["UserPool"]["Id"]
    for pool_id in (ours, plain):
        users.admin_create_user(UserPoolId=pool_id, Username="jane@example.com", MessageAction="SUPPRESS")
    with pytest.raises(users.exceptions.UsernameExistsException):
        users.admin_create_user(UserPoolId=ours, Username="Jane@example.com", MessageAction="SUPPRESS")
    users.admin_create_user(UserPoolId=plain, Username="Jane@example.com", MessageAction="SUPPRESS")


def test_an_unchangeable_difference_is_reported_and_stops_nothing(local: LocalCognito) -> None:
    """A pool of an earlier build, which left UsernameConfiguration to AWS's default."""
    users = client(local, "cognito-idp")
    users.create_user_pool(PoolName="orders", UsernameAttributes=["email"], UserPoolTags={TAG: "orders"})
    done = setup(local, "--fix")
    assert done.returncode == 0, done.stderr
    told = (
        "    user names are case-sensitive: Jane@ and jane@ are two users; "
        "AWS does not allow this to be changed: create a new pool\n"
    )
    assert told in done.stderr
    again = made(local, "--fix")
    assert verdicts(again)["user pool"] == "same"
    assert again["steps"][0]["lasting"] == ["user names are case-sensitive: Jane@ and jane@ are two users"]


CREATED = (
    ("cognito-idp", "CreateUserPool", "UpdateUserPool"),
    ("cognito-idp", "CreateUserPoolClient", "UpdateUserPoolClient"),
    ("cognito-idp", "CreateUserPoolDomain", "UpdateUserPoolDomain"),
    ("cognito-identity", "CreateIdentityPool", "UpdateIdentityPool"),
)


@pytest.mark.parametrize(("service", "create", "update"), CREATED)
def test_whatever_only_creation_decides_is_decided_and_documented(
    service: str, create: str, update: str
) -> None:
    """By botocore's own models: a member that only the first operation has can never be changed."""
    model = botocore.session.get_session().get_service_model(service)
    shapes = [model.operation_model(name).input_shape for name in (create, update)]
    members = [set(shape.members) for shape in shapes if shape is not None]
    table = (ROOT / "docs/commands.md").read_text().partition("## setup")[2].partition("\n## ")[0]
    for member in members[0] - members[1]:
        assert f"| `{member}` |" in table, (
            f"{create}: {member} cannot be changed later: say in docs/commands.md"
        )
    if create == "CreateUserPool":
        assert members[0] - members[1] == {*fixed_pool_settings(), "AliasAttributes"}


def test_a_foreign_pool_is_used_unchanged(local: LocalCognito) -> None:
    pool = client(local, "cognito-idp").create_user_pool(PoolName="theirs")["UserPool"]
    answer = made(local, "--user-pool-id", pool["Id"])
    assert answer["user_pool_id"] == pool["Id"]
    assert verdicts(answer) == {"user pool": "differs", "app client": "created"}


def test_two_pools_of_one_name_are_an_error(local: LocalCognito) -> None:
    for _ in range(2):
        client(local, "cognito-idp").create_user_pool(PoolName="orders")
    done = setup(local)
    assert done.returncode == 1
    assert "2 resources are named orders (us-east-1_" in done.stderr


def test_an_error_half_way_reports_what_exists_and_how_to_continue(local: LocalCognito) -> None:
    client(local, "cognito-idp").create_user_pool_domain(
        Domain="taken",
        UserPoolId=client(local, "cognito-idp").create_user_pool(PoolName="other")["UserPool"]["Id"],
    )
    done = setup(local, "--domain", "taken", "--callback-url", "https://api.test/oauth2/callback")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("cognito-gateway: AWS refused cognito-idp:CreateUserPoolDomain: ")
    assert "created or found so far: user pool us-east-1_" in last
    assert last.endswith("run the same command again to continue")
    assert verdicts(made(local)) == {"user pool": "same", "app client": "same"}


def test_the_ids_go_into_a_file_that_then_serves(local: LocalCognito, tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text("# ours\nlisten:\n  address: 127.0.0.1:0  # any\n")
    done = setup(local, *FULL, "--write", tmp_path / "g.yaml")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "g.yaml").read_text()
    assert text.startswith("# ours\nlisten:\n  address: 127.0.0.1:0  # any\n")
    (pool,) = load(tmp_path / "g.yaml", {}).config.cognito.user_pools
    answer = made(local, *FULL)
    assert (pool.id, pool.client_ids) == (answer["user_pool_id"], (answer["client_id"],))
    assert (pool.domain, pool.identity_pool_id) == (answer["domain"], answer["identity_pool_id"])
    assert "g.yaml: already has the IDs" in setup(local, *FULL, "--write", tmp_path / "g.yaml").stderr


def test_destroy_deletes_its_own_resources_after_confirmation(local: LocalCognito) -> None:
    made(local, *FULL)
    refused = setup(local, "--destroy")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.splitlines()[-1] == (
        "cognito-gateway: setup --destroy: not a terminal: pass --yes to confirm"
    )
    assert len(local.state.pools) == 1
    plan = setup(local, "--destroy", "--plan")
    assert (plan.returncode, len(local.state.pools)) == (0, 1)
    done = setup(local, "--destroy", "--yes")
    assert done.returncode == 0, done.stderr
    assert local.state.pools == {}
    assert client(local, "cognito-identity").list_identity_pools(MaxResults=10)["IdentityPools"] == []
    with pytest.raises(client(local, "iam").exceptions.NoSuchEntityException):
        client(local, "iam").get_role(RoleName="orders-authenticated")
    assert setup(local, "--destroy", "--yes").stderr == "nothing to delete\n"


def test_destroy_leaves_foreign_resources(local: LocalCognito) -> None:
    pool = client(local, "cognito-idp").create_user_pool(PoolName="orders")["UserPool"]
    done = setup(local, "--destroy", "--yes")
    assert done.stderr == (
        f"user pool {pool['Id']} was not created by this command: not deleted\nnothing to delete\n"
    )
    assert pool["Id"] in local.state.pools


def test_the_printed_policy_is_sufficient_and_minimal(local: LocalCognito) -> None:
    """By recording every call of every way through the command."""
    aws = Aws(Where(REGION, None, local.url))
    wanted = Wanted(
        "orders",
        domain_prefix="orders-login",
        callback_urls=("https://api.test/oauth2/callback",),
        identity_pool=True,
    )

    def go(wanted: Wanted, **how: bool) -> Made:
        said: list[StepReport] = []
        return walk(aws, wanted, pool_id=None, **{"plan": False, "fix": False, **how}, say=said.append)

    there = go(wanted)
    go(wanted, plan=True)
    # Everything that can differ, fixed.
    open_to_all = Wanted(
        **{name: getattr(wanted, name) for name in wanted.__slots__} | {"self_sign_up": True}
    )
    client(local, "cognito-idp").update_user_pool_client(
        UserPoolId=there.pool_id, ClientId=there.client_id, ClientName="orders"
    )
    client(local, "cognito-identity").update_identity_pool(
        IdentityPoolId=there.identity_pool_id,
        IdentityPoolName="orders",
        AllowUnauthenticatedIdentities=True,
        IdentityPoolTags={TAG: "orders"},
    )
    client(local, "iam").update_assume_role_policy(
        RoleName="orders-authenticated",
        PolicyDocument=json.dumps(trust_policy("us-east-1:11111111-0000-4000-8000-000000000000")),
    )
    client(local, "iam").put_role_policy(
        RoleName="orders-authenticated",
        PolicyName="theirs",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}],
            }
        ),
    )
    go(open_to_all, fix=True)
    # `doctor`
    mfa_config(aws, str(there.pool_id))
    for removal in removals(aws, wanted):
        removal.remove()
    printed = setup(local, "--iam-policy")
    allowed = actions(json.loads(printed.stdout))
    assert allowed == actions(iam_policy("orders-authenticated"))
    assert aws.called | IMPLIED == allowed


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--domain", "x"], "setup: --domain needs --callback-url, to which managed login redirects users"),
        (
            ["--user-pool-id", "us-east-1_Missing12"],
            "AWS refused cognito-idp:DescribeUserPool: ResourceNotFound",
        ),
    ],
)
def test_mistakes_of_the_user_are_one_sentence_each(
    local: LocalCognito, arguments: list[str], told: str
) -> None:
    done = setup(local, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"cognito-gateway: {told}")


@pytest.mark.parametrize("file", ["nowhere/g.yaml", "broken.yaml", "folder"])
def test_an_unwritable_file_is_reported_before_anything_is_created(
    local: LocalCognito, tmp_path: Path, file: str
) -> None:
    (tmp_path / "broken.yaml").write_text("cognito: [\n")
    (tmp_path / "folder").mkdir()
    done = setup(local, "--pool-name", "unwritten", "--write", str(tmp_path / file))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"cognito-gateway: {tmp_path / file}: cannot be ")
    assert len(done.stderr.splitlines()) == 1
    assert local.state.pools == {}


def test_a_missing_region_is_reported_before_anything_is_created(local: LocalCognito, tmp_path: Path) -> None:
    environ = dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), "") | {
        "HOME": str(tmp_path),
        "AWS_CONFIG_FILE": os.devnull,
    }
    done = run("setup", "--endpoint-url", local.url, environ=environ)
    assert done.returncode == 1
    assert done.stderr.startswith("cognito-gateway: no AWS region: name one with --region")


def test_sign_up_needs_nothing_but_what_the_policy_allows(local: LocalCognito) -> None:
    there = made(local)
    for pool_id, code in ((there["user_pool_id"], 0), ("us-east-1_Missing12", 1)):
        assert main(["sign-up", "enable", "--user-pool-id", pool_id, "--endpoint-url", local.url]) == code


def test_operations_called_repeatedly_are_remembered_once(local: LocalCognito) -> None:
    aws = Aws(Where("us-east-1", endpoint_url=local.url))
    for _ in range(3):
        aws.pages("cognito-idp", "ListUserPools", "UserPools", MaxResults=60)
    assert aws.called == {"cognito-idp:ListUserPools"}
