"""The `token` command from outside, against a local Cognito."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from botocore.exceptions import ClientError

from gateway.aws.sentences import refused
from gateway.aws.user_pool import Challenge, PoolAddress, Tokens, UserPoolClient
from gateway.commands.support.signing_in import SignInRequest, address_of, obtain
from gateway.errors import GatewayError
from local_cognito.server import LocalCognito
from tests.support import local_cognito
from tests.support.commands import run

POOL, CLIENT, SECRET_CLIENT = "us-east-1_Token1234", "tokenclient", "secretclient"
PASSWORD, TEMPORARY = "Correct-Horse-1", "Temporary-1"
FLOWS = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_ADMIN_USER_PASSWORD_AUTH"]
SEED: dict[str, Any] = {
    "UserPools": [
        {
            "Id": POOL,
            "PoolName": "tokens",
            "Clients": [
                {"ClientId": CLIENT, "ClientName": "a", "ExplicitAuthFlows": FLOWS},
                {"ClientId": "onlyadmin", "ClientName": "b", "ExplicitAuthFlows": FLOWS[1:]},
                {
                    "ClientId": SECRET_CLIENT,
                    "ClientName": "c",
                    "ClientSecret": "s" * 24,
                    "ExplicitAuthFlows": FLOWS,
                },
            ],
            "Users": [
                {"Username": "alice", "Password": PASSWORD},
                {"Username": "new", "Password": TEMPORARY, "Status": "FORCE_CHANGE_PASSWORD"},
                {"Username": "off", "Password": PASSWORD, "Enabled": False},
            ],
        }
    ]
}


@pytest.fixture
def local() -> Iterator[LocalCognito]:
    with local_cognito.running(SEED) as server:
        yield server


def environ(home: Path) -> dict[str, str]:
    """No AWS settings, no proxy that would work, nothing of the caller's."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AWS_EC2_METADATA_DISABLED": "true",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }


def flags(local: LocalCognito, client_id: str = CLIENT) -> list[str]:
    return ["--user-pool-id", POOL, "--client-id", client_id, "--endpoint-url", local.url]


def token(home: Path, *arguments: str, stdin: str = PASSWORD + "\n") -> subprocess.CompletedProcess[str]:
    return run("token", *arguments, environ=environ(home), given=stdin)


def claims(text: str) -> dict[str, Any]:
    return dict(jwt.decode(text.strip(), options={"verify_signature": False}))


@pytest.mark.parametrize("flow", ["password", "admin"])
def test_the_access_token_is_all_that_is_printed(local: LocalCognito, tmp_path: Path, flow: str) -> None:
    done = token(tmp_path, "--username", "alice", "--flow", flow, *flags(local))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    assert claims(done.stdout)["token_use"] == "access"


def test_other_forms_of_output(local: LocalCognito, tmp_path: Path) -> None:
    arguments = ["--username", "alice", *flags(local)]
    assert claims(token(tmp_path, *arguments, "--id").stdout)["token_use"] == "id"
    header = token(tmp_path, *arguments, "--header").stdout
    assert header.startswith("Authorization: Bearer ")
    assert claims(header.removeprefix("Authorization: Bearer "))["token_use"] == "access"
    everything = json.loads(token(tmp_path, *arguments, "--json").stdout)
    assert set(everything) == {"AccessToken", "IdToken", "RefreshToken", "ExpiresIn", "TokenType"}


def test_the_password_may_be_in_a_file(local: LocalCognito, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    done = token(tmp_path, "--username", "alice", "--password-file", str(path), *flags(local), stdin="")
    assert claims(done.stdout)["username"] == "alice"
    path.write_text("\n")
    done = token(tmp_path, "--username", "alice", "--password-file", str(path), *flags(local), stdin="")
    assert (done.returncode, done.stdout) == (1, "")
    assert "empty" in done.stderr


def test_a_file_without_an_end_is_no_password(local: LocalCognito, tmp_path: Path) -> None:
    done = token(tmp_path, "--username", "alice", "--password-file", "/dev/zero", *flags(local), stdin="")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("/dev/zero: the first line is longer than any password or token\n")


def test_a_password_with_a_space_at_its_end_is_named(local: LocalCognito, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD} \n")
    done = token(tmp_path, "--username", "alice", "--password-file", str(path), *flags(local), stdin="")
    assert (done.returncode, done.stdout) == (1, "")
    assert "begins or ends with a space" in done.stderr
    done = token(tmp_path, "--username", "new", *flags(local), stdin=f"{TEMPORARY}\n{PASSWORD} \n")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the new password begins or ends with a space" in done.stderr
    assert PASSWORD not in done.stderr
    # From standard input too, at either end, and before Cognito is asked.
    for typed in (f"{PASSWORD} ", f" {PASSWORD}", f"{PASSWORD}\t"):
        done = token(tmp_path, "--username", "alice", *flags(local), stdin=f"{typed}\n")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            "cognito-gateway: the password begins or ends with a space, which Cognito does not allow\n"
        )
    assert local.state.pools[POOL].attempts == {}, "it counts as no guess"


def test_a_password_may_have_spaces_inside(local: LocalCognito, tmp_path: Path) -> None:
    phrase = "Correct Horse  Battery 1"
    local.call("AdminSetUserPassword", UserPoolId=POOL, Username="alice", Password=phrase, Permanent=True)
    done = token(tmp_path, "--username", "alice", *flags(local), stdin=f"{phrase}\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert claims(done.stdout)["username"] == "alice"


def test_a_new_password_comes_from_the_next_line(local: LocalCognito, tmp_path: Path) -> None:
    arguments = ["--username", "new", *flags(local)]
    done = token(tmp_path, *arguments, stdin=f"{TEMPORARY}\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert "new password" in done.stderr
    done = token(tmp_path, *arguments, stdin=f"{TEMPORARY}\nweak\n")
    assert done.returncode == 1
    assert "Password not long enough" in done.stderr
    done = token(tmp_path, *arguments, stdin=f"{TEMPORARY}\n{PASSWORD}\n")
    assert claims(done.stdout)["username"] == "new"


def needing_a_name(local: LocalCognito) -> list[str]:
    """Flags for a user whose first sign-in must name an attribute."""
    boto = local_cognito.client(local.url)
    schema = [{"Name": "given_name", "AttributeDataType": "String", "Required": True, "Mutable": True}]
    pool = boto.create_user_pool(PoolName="named", Schema=schema)["UserPool"]["Id"]
    made = boto.create_user_pool_client(
        UserPoolId=pool, ClientName="c", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
    )
    boto.admin_create_user(
        UserPoolId=pool, Username="new", TemporaryPassword=TEMPORARY, MessageAction="SUPPRESS"
    )
    client_id = made["UserPoolClient"]["ClientId"]
    return [
        "--username",
        "new",
        "--user-pool-id",
        pool,
        "--client-id",
        client_id,
        "--endpoint-url",
        local.url,
    ]


def test_attributes_that_cognito_asks_for_come_from_a_file_or_the_next_line(
    local: LocalCognito, tmp_path: Path
) -> None:
    flags = needing_a_name(local)
    passwords = f"{TEMPORARY}\n{PASSWORD}\n"
    none = token(tmp_path, *flags, stdin=passwords)
    assert (none.returncode, none.stdout) == (1, "")
    assert none.stderr == (
        "cognito-gateway: token: stdin has no value for the attribute given_name, which Cognito requires "
        "(or pass --attributes-file)\n"
    )
    for text in ("[]", "{", '{"given_name": 1}', "\xff"):
        (tmp_path / "a.json").write_text(text, encoding="latin-1")
        bad = token(tmp_path, *flags, "--attributes-file", str(tmp_path / "a.json"), stdin=passwords)
        assert (bad.returncode, bad.stdout) == (1, "")
        assert "a.json: is not a JSON object of strings" in bad.stderr
    (tmp_path / "a.json").write_text('{"given_name": "Nell", "family_name": "not asked for"}')
    done = token(tmp_path, *flags, "--attributes-file", str(tmp_path / "a.json"), stdin=passwords)
    assert claims(done.stdout)["username"] == "new", done.stderr
    boto = local_cognito.client(local.url)
    got = boto.admin_get_user(UserPoolId=flags[3], Username="new")["UserAttributes"]
    assert {"Name": "given_name", "Value": "Nell"} in got
    assert "family_name" not in {each["Name"] for each in got}
    again = needing_a_name(local)
    done = token(tmp_path, *again, stdin=f"{passwords}Nora\n")
    assert claims(done.stdout)["username"] == "new", done.stderr


def test_on_a_terminal_everything_is_asked_for_and_passwords_are_not_shown(
    local: LocalCognito, tmp_path: Path
) -> None:
    # A process of one thread makes the terminal: the tests' own has several and should not fork.
    spawn = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    command = [sys.executable, "-c", spawn, sys.executable, "-m", "gateway", "token", *flags(local)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ(tmp_path), bufsize=0
    )
    assert process.stdin is not None
    assert process.stdout is not None
    questions = [(b"Username: ", "new"), (b"Password: ", TEMPORARY), (b"New password: ", PASSWORD)]
    questions.append((b"Repeat it: ", PASSWORD))
    shown = b""
    while read := process.stdout.read(65536):
        shown += read
        if questions and shown.endswith(questions[0][0]):
            process.stdin.write(questions.pop(0)[1].encode() + b"\n")
    process.stdin.close()
    process.stdout.close()
    assert process.wait(60) == 0
    assert questions == []
    assert TEMPORARY.encode() not in shown
    assert PASSWORD.encode() not in shown
    assert claims(shown.split()[-1].decode())["username"] == "new"


def config(folder: Path, local: LocalCognito, client_id: str, secret: str | None = None) -> Path:
    pool: dict[str, Any] = {"id": POOL, "client_ids": [client_id]}
    if secret is not None:
        (folder / "secret").write_text(secret + "\n")
        pool["client_secret_file"] = str(folder / "secret")
    path = folder / "gateway.yaml"
    path.write_text(json.dumps({"cognito": {"endpoint_url": local.url, "user_pools": [pool]}}))
    return path


def test_ids_and_endpoint_come_from_the_configuration(local: LocalCognito, tmp_path: Path) -> None:
    path = config(tmp_path, local, CLIENT)
    done = token(tmp_path, "--username", "alice", "--config", str(path))
    assert claims(done.stdout)["client_id"] == CLIENT
    done = token(tmp_path, "--username", "alice", "--config", str(path), "--client-id", "unknown")
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"password": "Wrong-Password-1"}, "Incorrect username or password"),
        ({"username": "nobody"}, "incorrect username or password"),
        ({"username": "off"}, "User is disabled"),
        ({"username": None}, "--username"),
        ({"client_id": "onlyadmin"}, "ALLOW_USER_PASSWORD_AUTH"),
        ({"client_id": SECRET_CLIENT}, "client_secret_file"),
        ({"client_id": "unknown"}, "check the IDs"),
        ({"client_id": None}, "which user pool"),
        ({"client_id": None, "config_path": Path("/nonexistent.yaml")}, "/nonexistent.yaml"),
        ({"endpoint_url": "http://127.0.0.1:9"}, "cannot reach"),
        ({"endpoint_url": "nonsense"}, "not an endpoint URL"),
        ({"region": "no where"}, "region"),
        ({"flow": "admin", "profile": "none"}, "profile"),
        ({"flow": "admin", "user_pool_id": "us-east-1_Other"}, "check the IDs"),
        ({"password_file": Path("/nonexistent")}, "cannot be read"),
    ],
)
def test_each_failure_is_one_sentence(
    local: LocalCognito, tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    changes = dict(changes)
    path = tmp_path / "password"
    path.write_text(changes.pop("password", PASSWORD))
    request = SignInRequest(
        command="token",
        config_path=None,
        username="alice",
        flow="password",
        password_file=path,
        user_pool_id=POOL,
        client_id=CLIENT,
        region=None,
        profile=None,
        endpoint_url=local.url,
    )
    request = replace(request, **changes)
    with pytest.raises(GatewayError) as caught:
        obtain(request, address_of(request))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_text() not in str(caught.value)


def test_from_outside_a_refusal_is_one_line_and_exit_1(local: LocalCognito, tmp_path: Path) -> None:
    done = token(tmp_path, "--username", "alice", *flags(local), stdin="Wrong-Password-1\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "Wrong" not in done.stderr
    done = token(tmp_path, "--username", "alice", *flags(local), stdin="")
    assert (done.returncode, done.stdout) == (1, "")
    assert "stdin has no password" in done.stderr


def test_the_admin_flow_against_aws_needs_real_credentials(tmp_path: Path) -> None:
    """An endpoint that is not loopback: nothing is invented. It fails before anything is sent."""
    arguments = ["--user-pool-id", POOL, "--client-id", CLIENT, "--endpoint-url", "https://cognito.invalid"]
    done = token(tmp_path, "--username", "alice", "--flow", "admin", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no AWS credentials found" in done.stderr
    assert "--flow password needs none" in done.stderr


def test_the_client_secret_comes_from_its_file(local: LocalCognito, tmp_path: Path) -> None:
    path = config(tmp_path, local, SECRET_CLIENT, "s" * 24)
    done = token(tmp_path, "--username", "alice", "--config", str(path))
    assert claims(done.stdout)["client_id"] == SECRET_CLIENT
    (tmp_path / "secret").write_text("t" * 24)
    done = token(tmp_path, "--username", "alice", "--config", str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "check client_secret_file" in done.stderr
    assert "t" * 24 not in done.stderr


def test_the_secret_hash_is_sent() -> None:
    with local_cognito.running(SEED) as local:
        address = PoolAddress(POOL, SECRET_CLIENT, client_secret="s" * 24, endpoint_url=local.url)
        for flow in ("password", "admin"):
            pool = UserPoolClient(address, flow)
            assert isinstance(pool.sign_in("alice", PASSWORD), Tokens)
        outcome = pool.sign_in("new", TEMPORARY)
        assert isinstance(outcome, Challenge)
        assert isinstance(pool.answer(outcome, {"NEW_PASSWORD": PASSWORD}), Tokens)
        for shown in (repr(address), repr(outcome)):
            assert "s" * 24 not in shown
            assert outcome.session not in shown


def test_a_message_that_may_hold_a_token_is_not_shown() -> None:
    secret = base64.b64encode(os.urandom(60)).decode()
    answer: Any = {"Error": {"Code": "NotAuthorizedException", "Message": f"bad {secret}"}}
    sentence = str(refused(ClientError(answer, "GetUser"), client_id="c", flow="admin"))
    assert secret not in sentence
    assert "NotAuthorizedException" in sentence
