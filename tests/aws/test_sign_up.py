"""`sign-up`: exactly one setting of the pool changes, whatever else is set there."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape

from gateway.aws.pool_settings import update_of
from tests.support import local_cognito
from tests.support.commands import run_here as run

# As far from the defaults as the local Cognito lets a pool be.
SETTINGS: dict[str, Any] = {
    "Policies": {
        "PasswordPolicy": {
            "MinimumLength": 12,
            "RequireUppercase": True,
            "RequireSymbols": True,
            "TemporaryPasswordValidityDays": 3,
        }
    },
    "DeletionProtection": "ACTIVE",
    "AutoVerifiedAttributes": ["email"],
    "UsernameAttributes": ["email"],
    "EmailConfiguration": {"EmailSendingAccount": "COGNITO_DEFAULT"},
    "UserPoolTags": {"team": "blue"},
    "AccountRecoverySetting": {"RecoveryMechanisms": [{"Priority": 1, "Name": "verified_email"}]},
    "UserPoolTier": "PLUS",
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with local_cognito.running() as local:
        yield local.url


@pytest.fixture
def pool(url: str) -> dict[str, Any]:
    pool: dict[str, Any] = local_cognito.client(url).create_user_pool(PoolName="orders", **SETTINGS)[
        "UserPool"
    ]
    return pool


def sign_up(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("sign-up", *arguments, "--endpoint-url", url)


def described(url: str, pool_id: str) -> dict[str, Any]:
    answer = local_cognito.client(url).describe_user_pool(UserPoolId=pool_id)["UserPool"]
    return {name: value for name, value in answer.items() if name != "LastModifiedDate"}


def test_one_setting_changes_and_nothing_else(url: str, pool: dict[str, Any]) -> None:
    before = described(url, pool["Id"])
    done = sign_up(url, "disable", "--user-pool-id", pool["Id"])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{pool['Id']}: sign-up is now closed: only administrators can create accounts\n"
    after = described(url, pool["Id"])
    assert after.pop("AdminCreateUserConfig")["AllowAdminCreateUserOnly"] is True
    before.pop("AdminCreateUserConfig")
    assert after == before

    again = sign_up(url, "disable", "--user-pool-id", pool["Id"])
    assert again.stdout == f"{pool['Id']}: sign-up is already closed, nothing was changed\n"
    done = sign_up(url, "enable", "--user-pool-id", pool["Id"])
    assert done.stdout == f"{pool['Id']}: sign-up is now open: anyone can create an account\n"


def test_the_pool_of_the_configuration(url: str, pool: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text(
        f"cognito:\n  endpoint_url: {url}\n  user_pools:\n    - id: {pool['Id']}\n      client_ids: [1abc]\n"
    )
    done = run("sign-up", "disable", "--config", "g.yaml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["disable"], "sign-up: which user pool? name it with --user-pool-id, or a --config"),
        (
            ["disable", "--user-pool-id", "us-east-1_Missing12"],
            "AWS refused cognito-idp:DescribeUserPool: ResourceNotFoundException: "
            "User pool us-east-1_Missing12 does not exist.",
        ),
    ],
)
def test_mistakes_of_the_user_are_one_sentence_each(
    url: str, tmp_path: Path, arguments: list[str], told: str
) -> None:
    done = run("sign-up", *arguments, "--endpoint-url", url, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"cognito-gateway: {told}\n"


def test_an_endpoint_that_refuses_connections(tmp_path: Path) -> None:
    done = run(
        "sign-up",
        "enable",
        "--user-pool-id",
        "us-east-1_Abc",
        "--endpoint-url",
        "http://127.0.0.1:9",
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("cognito-gateway: cannot reach Cognito at http://127.0.0.1:9: ")


class _Page(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<html></html>")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize(
    "arguments",
    [
        ["sign-up", "enable", "--user-pool-id", "us-east-1_Abc"],
        ["setup", "--plan", "--region", "us-east-1"],
    ],
)
def test_another_server_at_the_endpoint(tmp_path: Path, arguments: list[str]) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        elsewhere = f"http://127.0.0.1:{server.server_port}"
        done = run(*arguments, "--endpoint-url", elsewhere, cwd=tmp_path)
        server.shutdown()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"cognito-gateway: what answers at {elsewhere} is not AWS: check the endpoint\n"


# --- the update, against AWS's own model of it ---


def model(operation: str) -> StructureShape:
    service = botocore.session.get_session().get_service_model("cognito-idp")
    shape = service.operation_model(operation).input_shape
    assert isinstance(shape, StructureShape)
    return shape


def example(shape: Shape) -> Any:
    """A value with every member there is."""
    if isinstance(shape, StructureShape):
        return {name: example(member) for name, member in shape.members.items()} | {"Unknown": "dropped"}
    if isinstance(shape, ListShape):
        return [example(shape.member)]
    if isinstance(shape, MapShape):
        return {"key": example(shape.value)}
    return {"boolean": True, "integer": 7, "long": 7}.get(shape.type_name, f"some {shape.name}")


def without_unknown(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_unknown(each) for name, each in value.items() if name != "Unknown"}
    return [without_unknown(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("operation", ["UpdateUserPool", "UpdateUserPoolClient"])
def test_everything_an_update_can_say_is_said(operation: str) -> None:
    shape = model(operation)
    full = example(shape)
    assert update_of(shape, full, {}) == without_unknown(full)


def test_a_change_goes_into_the_structure_that_is_there() -> None:
    shape = model("UpdateUserPool")
    changed = update_of(shape, example(shape), {"AdminCreateUserConfig": {"AllowAdminCreateUserOnly": False}})
    expected = without_unknown(example(shape))
    expected["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] = False
    assert changed == expected
