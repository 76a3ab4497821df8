"""`credentials`: every format used for what it is for, by the real AWS CLI among others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from gateway.local.server import LocalCognito
from tests.cli.test_cli import SCRIPT
from tests.support import local_cognito

POOL, CLIENT, PASSWORD = "us-east-1_Token1234", "tokenclient", "Correct-Horse-1"
AWS = Path(sys.executable).with_name("aws")
FLOWS = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
SEED: dict[str, Any] = {
    "UserPools": [
        {
            "Id": POOL,
            "PoolName": "tokens",
            "Clients": [{"ClientId": CLIENT, "ClientName": "a", "ExplicitAuthFlows": FLOWS}],
            "Users": [{"Username": "alice", "Password": PASSWORD}],
        }
    ]
}


@pytest.fixture
def local() -> Iterator[LocalCognito]:
    with local_cognito.running(SEED) as server:
        yield server


def client(local: LocalCognito, service: str, **keys: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=local.url,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
        **{"aws_access_key_id": "test", "aws_secret_access_key": "test", **keys},
    )


@pytest.fixture
def place(local: LocalCognito, tmp_path: Path) -> Path:
    """A home with a configuration whose user pool has an identity pool."""
    from gateway.aws.clients import Aws, Where
    from gateway.aws.provision.walk import walk
    from gateway.aws.provision.wanted import Wanted

    made = walk(
        Aws(Where("us-east-1", None, local.url)),
        Wanted("tokens", identity_pool=True),
        pool_id=POOL,
        plan=False,
        fix=False,
        say=lambda told: None,
    )
    # The role's identity pool is told of the seed's client as well.
    client(local, "cognito-identity").update_identity_pool(
        IdentityPoolId=made.identity_pool_id,
        IdentityPoolName="tokens",
        AllowUnauthenticatedIdentities=False,
        CognitoIdentityProviders=[
            {"ProviderName": f"cognito-idp.us-east-1.amazonaws.com/{POOL}", "ClientId": CLIENT}
        ],
    )
    (tmp_path / "g.yaml").write_text(
        f"cognito:\n  endpoint_url: {local.url}\n  user_pools:\n"
        f"    - id: {POOL}\n      client_ids: [{CLIENT}]\n"
        f"      identity_pool_id: {made.identity_pool_id}\n"
    )
    (tmp_path / "password").write_text(PASSWORD + "\n")
    return tmp_path


def environ(place: Path) -> dict[str, str]:
    return {"PATH": f"{SCRIPT.parent}:{os.environ['PATH']}", "HOME": str(place)}


def credentials(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            SCRIPT,
            "credentials",
            "--config",
            "g.yaml",
            "--username",
            "alice",
            "--password-file",
            "password",
            *arguments,
        ],
        cwd=place,
        env=environ(place),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=200,
        check=False,
    )


def test_they_are_the_role_s_and_of_this_user(local: LocalCognito, place: Path) -> None:
    done = credentials(place)
    assert (done.returncode, done.stderr) == (0, "")
    given = json.loads(done.stdout)
    who = client(
        local,
        "sts",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    ).get_caller_identity()
    assert ":assumed-role/tokens-authenticated/" in who["Arn"]
    ends = datetime.fromisoformat(given["Expiration"].replace("Z", "+00:00"))
    assert timedelta(minutes=50) < ends - datetime.now(UTC) < timedelta(minutes=61)
    assert json.loads(credentials(place).stdout)["IdentityId"] == given["IdentityId"]


def test_for_a_shell(local: LocalCognito, place: Path) -> None:
    done = credentials(place, "--format", "env")
    shell = subprocess.run(
        ["sh", "-c", done.stdout + 'printf "%s %s" "$AWS_ACCESS_KEY_ID" "${AWS_SESSION_TOKEN:+set}"'],
        capture_output=True,
        text=True,
        check=True,
    )
    key, token = shell.stdout.split()
    assert key.startswith("ASIA")
    assert token == "set"


def test_as_credential_process_of_the_aws_cli(local: LocalCognito, place: Path) -> None:
    (place / ".aws").mkdir()
    command = f"{SCRIPT} credentials --format process --config {place}/g.yaml --username alice"
    (place / ".aws/config").write_text(
        "[profile alice]\nregion = us-east-1\n"
        f"credential_process = {command} --password-file {place}/password\n"
    )
    done = subprocess.run(
        [AWS, "sts", "get-caller-identity", "--profile", "alice", "--endpoint-url", local.url],
        env=environ(place),
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ":assumed-role/tokens-authenticated/" in json.loads(done.stdout)["Arn"]


def test_kept_tokens_serve_without_a_password(place: Path) -> None:
    first = credentials(place, "--cache")
    assert first.returncode == 0, first.stderr
    (place / "password").unlink()
    again = credentials(place, "--cache")
    assert again.returncode == 0, again.stderr


def test_an_id_token_from_a_file(local: LocalCognito, place: Path) -> None:
    signed_in = client(local, "cognito-idp").initiate_auth(
        ClientId=CLIENT,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "alice", "PASSWORD": PASSWORD},
    )["AuthenticationResult"]
    (place / "id").write_text(signed_in["IdToken"] + "\n")
    assert credentials(place, "--id-token-file", "id").returncode == 0
    (place / "id").write_text(signed_in["AccessToken"] + "\n")
    refused = credentials(place, "--id-token-file", "id")
    assert (refused.returncode, refused.stdout) == (1, "")
    # It is the token that is wrong, not anybody's AWS credentials.
    assert refused.stderr.startswith("cognito-gateway: AWS refused cognito-identity:GetId: NotAuthorized")
    assert signed_in["AccessToken"][-20:] not in refused.stderr


def test_no_identity_pool(place: Path) -> None:
    text = (place / "g.yaml").read_text()
    (place / "g.yaml").write_text(
        "".join(line for line in text.splitlines(True) if "identity_pool" not in line)
    )
    done = credentials(place)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("cognito-gateway: credentials: which identity pool? ")
