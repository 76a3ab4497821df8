"""The commands' happy paths against both: ours, and moto as a second opinion."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import jwt
import pytest

from gateway.cli import main
from tests.support import local_cognito

USER, PASSWORD = "carol@example.com", "Correct-Horse-1"


@pytest.fixture(params=["local", "moto"])
def url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    # moto believes any signature; boto3 wants one all the same.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


def command(*words: str | Path) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    return code, out.getvalue(), err.getvalue()


@pytest.fixture
def made(url: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """A pool and a client by `setup`; one name for each test, for both servers outlive it."""
    name = f"commands-{abs(hash(request.node.name))}"
    code, out, err = command(
        *("setup", "--json", "--region", "us-east-1", "--endpoint-url", url, "--pool-name", name)
    )
    assert code == 0, err
    answer: dict[str, Any] = json.loads(out) | {"name": name}
    return answer


def test_setup_finds_what_it_made(url: str, made: dict[str, Any]) -> None:
    code, out, err = command(
        *("setup", "--json", "--region", "us-east-1", "--endpoint-url", url, "--pool-name", made["name"])
    )
    assert code == 0, err
    again = json.loads(out)
    assert (again["user_pool_id"], again["client_id"]) == (made["user_pool_id"], made["client_id"])
    assert {step["verdict"] for step in again["steps"]} <= {"same", "differs"}


def test_sign_up_changes_one_setting(url: str, made: dict[str, Any]) -> None:
    pool_id = made["user_pool_id"]
    code, out, err = command("sign-up", "enable", "--user-pool-id", pool_id, "--endpoint-url", url)
    assert (code, err) == (0, "")
    assert out == f"{pool_id}: sign-up is now open: anyone can create an account\n"
    pool = local_cognito.client(url).describe_user_pool(UserPoolId=pool_id)["UserPool"]
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is False
    assert pool["AutoVerifiedAttributes"] == ["email"]


# Not srp: moto accepts any proof, and its challenge holds no base64, which Cognito's does.
@pytest.mark.parametrize("flow", ["password", "admin"])
def test_token(url: str, made: dict[str, Any], tmp_path: Path, flow: str) -> None:
    cognito = local_cognito.client(url)
    pool_id = made["user_pool_id"]
    cognito.admin_create_user(UserPoolId=pool_id, Username=USER, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(UserPoolId=pool_id, Username=USER, Password=PASSWORD, Permanent=True)
    (tmp_path / "password").write_text(PASSWORD + "\n")
    code, out, err = command(
        *("token", "--username", USER, "--flow", flow, "--password-file", tmp_path / "password"),
        *("--user-pool-id", pool_id, "--client-id", made["client_id"], "--endpoint-url", url),
    )
    assert code == 0, err
    unverified = jwt.decode(out.strip(), options={"verify_signature": False})
    assert (unverified["token_use"], unverified["client_id"]) == ("access", made["client_id"])


def test_doctor_finds_nothing_broken(url: str, made: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(
        f"upstream:\n  url: {url}\ncognito:\n  endpoint_url: {url}\n  user_pools:\n"
        f"    - id: {made['user_pool_id']}\n      client_ids: [{made['client_id']}]\n"
    )
    code, out, err = command("doctor", "--json", "--config", path)
    assert err == ""
    broken = [finding for finding in json.loads(out)["findings"] if finding["level"] == "broken"]
    assert (code, broken) == (0, [])
