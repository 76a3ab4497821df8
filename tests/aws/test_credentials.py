"""`credentials`: every format used for what it is for, by the real AWS CLI among others."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from local_cognito.server import LocalCognito
from tests.support import local_cognito
from tests.support.commands import run
from tests.support.script import SCRIPT
from tests.support.waiting import readable

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
    make: Any = boto3.client
    return make(
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
    # The role's identity pool knows the client of the seed as well.
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
    return run(
        *(
            "credentials",
            "--config",
            "g.yaml",
            "--username",
            "alice",
            "--password-file",
            "password",
            *arguments,
        ),
        cwd=place,
        environ=environ(place),
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


@pytest.mark.engine
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


# Runs a command with a terminal of its own, as a shell would, and a pipe as standard input.
IN_TERMINAL = """
import fcntl, os, sys, termios
terminal = int(sys.argv[1])
os.setsid()
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
os.close(terminal)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def at_terminal(place: Path, command: list[str | Path], typed: str, stdin: str) -> tuple[int, str, str, str]:
    """Exit code, standard output, standard error, and what was to be seen on the terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", IN_TERMINAL, str(theirs), *command],
        cwd=place,
        env=environ(place),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=[theirs],
    ) as process:
        assert process.stdin is not None
        process.stdin.write(stdin)
        process.stdin.flush()
        seen, until = b"", time.monotonic() + 100
        # Our end of `theirs` stays open: a terminal that nobody has open cannot be read.
        while readable(ours, 0.05) or process.poll() is None:
            assert time.monotonic() < until, seen
            if readable(ours, 0):
                seen += os.read(ours, 4096)
                if seen.endswith(b"Password: "):
                    os.write(ours, typed.encode() + b"\n")
        out, err = process.communicate(timeout=100)
    os.close(ours)
    os.close(theirs)
    return process.returncode, out, err, seen.decode()


def process_command(place: Path, *flags: str) -> list[str | Path]:
    where = ("--config", f"{place}/g.yaml", "--username", "alice")
    return [SCRIPT, "credentials", "--format", "process", *where, *flags]


def test_a_password_is_read_from_the_terminal_never_from_a_pipe(place: Path) -> None:
    """With an empty cache; the AWS CLI hands its own standard input on, which may be an upload."""
    command = process_command(place, "--cache")
    code, out, err, seen = at_terminal(place, command, PASSWORD, "line of an upload\n")
    assert code == 0, err
    assert json.loads(out)["Version"] == 1
    assert err == (f"cognito-gateway: waiting at the terminal for the password of alice (user pool {POOL})\n")
    assert seen.startswith("Password: ")
    assert PASSWORD not in seen
    # From now on nobody is asked.
    code, out, err, seen = at_terminal(place, command, "", "line of an upload\n")
    assert (code, err, seen) == (0, "", "")


def test_without_a_terminal_the_error_has_the_fix_and_the_pipe_is_not_read(place: Path) -> None:
    done = subprocess.run(
        process_command(place), env=environ(place), input=f"{PASSWORD}\n", start_new_session=True,
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"cognito-gateway: credentials: the password of alice (user pool {POOL}) is needed, but there is no "
        "terminal to ask on: run the same command once in a terminal with --cache, or pass --password-file\n"
    )


@pytest.mark.engine
def test_the_aws_cli_asks_at_its_terminal_with_a_pipe_as_input(local: LocalCognito, place: Path) -> None:
    (place / ".aws").mkdir()
    command = " ".join(map(str, process_command(place, "--cache")))
    (place / ".aws/config").write_text(
        f"[profile alice]\nregion = us-east-1\ncredential_process = {command}\n"
    )
    aws: list[str | Path] = [
        AWS,
        "sts",
        "get-caller-identity",
        "--profile",
        "alice",
        "--endpoint-url",
        local.url,
    ]
    code, out, err, seen = at_terminal(place, aws, PASSWORD, "line of an upload\n")
    assert code == 0, err
    assert ":assumed-role/tokens-authenticated/" in json.loads(out)["Arn"]
    assert "Password: " in seen


def test_errors_before_signing_in_name_the_right_command(place: Path) -> None:
    (place / "password").write_text(f"{PASSWORD} \n")
    refused = credentials(place)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        "cognito-gateway: the password in --password-file begins or ends with a space, which Cognito does "
        "not allow\n"
    )


def test_one_of_the_users_roles(local: LocalCognito, place: Path) -> None:
    from gateway.aws.provision.wanted import trust_policy

    identity_pool = (place / "g.yaml").read_text().rpartition("identity_pool_id: ")[2].strip()
    users, iam = client(local, "cognito-idp"), client(local, "iam")
    for name, precedence in (("readers", 2), ("writers", 1)):
        policy = json.dumps(trust_policy(identity_pool))
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy)["Role"]["Arn"]
        users.create_group(GroupName=name, UserPoolId=POOL, RoleArn=arn, Precedence=precedence)
        users.admin_add_user_to_group(UserPoolId=POOL, Username="alice", GroupName=name)
    client(local, "cognito-identity").set_identity_pool_roles(
        IdentityPoolId=identity_pool,
        Roles={},
        RoleMappings={
            f"cognito-idp.us-east-1.amazonaws.com/{POOL}:{CLIENT}": {
                "Type": "Token", "AmbiguousRoleResolution": "Deny",
            }
        },
    )  # fmt: skip

    def role_given(*flags: str) -> str:
        done = credentials(place, "--cache", *flags)
        assert done.returncode == 0, done.stderr
        given = json.loads(done.stdout)
        keys = {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }
        return str(client(local, "sts", **keys).get_caller_identity()["Arn"]).split("/")[1]

    assert role_given() == "writers"
    assert role_given("--role", "readers") == "readers"
    assert role_given("--role", arn) == "writers"
    for wrong in ("tokens-authenticated", "writer", "role/writers", ""):
        refused = credentials(place, "--cache", "--role", wrong)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"--role {wrong}: not one of the user's roles (cognito:roles: " in refused.stderr


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
