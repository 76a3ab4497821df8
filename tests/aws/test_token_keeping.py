"""`token` beyond one sign-in: kept and renewed tokens, second factors, choices; against a local Cognito."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from local_cognito import operations, totp
from local_cognito.errors import AwsError
from local_cognito.server import LocalCognito
from local_cognito.table import Operation
from tests.support import local_cognito
from tests.support.commands import run
from tests.support.script import SCRIPT

POOL, CLIENT = "us-east-1_Token1234", "tokenclient"
PASSWORD = "Correct-Horse-1"
FLOWS = [
    *("ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_USER_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"),
]
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


TRACKED: dict[str, Any] = {
    "UserPools": [
        {**SEED["UserPools"][0], "DeviceConfiguration": {"DeviceOnlyRememberedOnUserPrompt": False}}
    ]
}


@pytest.fixture
def tracked() -> Iterator[LocalCognito]:
    """Its pool remembers devices."""
    with local_cognito.running(TRACKED) as server:
        yield server


@pytest.fixture
def local() -> Iterator[LocalCognito]:
    with local_cognito.running(SEED) as server:
        yield server


def command(local: LocalCognito, home: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    flags = (
        "--username",
        "alice",
        "--user-pool-id",
        POOL,
        "--client-id",
        CLIENT,
        "--endpoint-url",
        local.url,
    )
    environ = {"PATH": os.environ["PATH"], "HOME": str(home)}
    return [str(SCRIPT), "token", *flags, *arguments], environ


def token(
    local: LocalCognito, home: Path, *arguments: str, stdin: str = f"{PASSWORD}\n"
) -> subprocess.CompletedProcess[str]:
    words, environ = command(local, home, *arguments)
    return run(*words[1:], cwd=home, environ=environ, given=stdin)


def claims(access_token: str) -> dict[str, Any]:
    unverified: dict[str, Any] = jwt.decode(access_token.strip(), options={"verify_signature": False})
    return unverified


@pytest.mark.parametrize("flow", ["srp", "choice", "password"])
def test_every_flow_that_needs_no_aws_credentials(local: LocalCognito, tmp_path: Path, flow: str) -> None:
    done = token(local, tmp_path, "--flow", flow)
    assert (done.returncode, done.stderr) == (0, "")
    assert claims(done.stdout)["username"] == "alice"
    wrong = token(local, tmp_path, "--flow", flow, stdin="Wrong-Horse-1\n")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "ncorrect username or password" in wrong.stderr


def test_nothing_is_kept_unless_asked_for(local: LocalCognito, tmp_path: Path) -> None:
    assert token(local, tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_kept_tokens_need_no_password_and_are_the_owner_s_alone(local: LocalCognito, tmp_path: Path) -> None:
    first = token(local, tmp_path, "--cache")
    assert first.returncode == 0, first.stderr
    again = token(local, tmp_path, "--cache", stdin="")
    assert (again.returncode, again.stdout) == (0, first.stdout)
    folder = tmp_path / ".local/state/cognito-gateway"
    (kept,) = folder.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    # Another user's name is another file.
    assert "alice" not in kept.name


def test_a_sign_in_that_is_too_old_for_a_route_is_made_again(tmp_path: Path) -> None:
    day = {"AccessTokenValidity": 24, "IdTokenValidity": 24}
    seed = {
        "UserPools": [{**SEED["UserPools"][0], "Clients": [{**SEED["UserPools"][0]["Clients"][0], **day}]}]
    }
    with local_cognito.running(seed) as local:
        local.hooks.offset = -3600
        first = token(local, tmp_path, "--cache")
        assert first.returncode == 0, first.stderr
        local.hooks.offset = 0
        kept = token(local, tmp_path, "--cache", "--max-age", "2h", stdin="")
        assert (kept.returncode, kept.stdout) == (0, first.stdout)
        # Renewing keeps auth_time: it would not do.
        for flag in ("--cache", "--refresh"):
            refused = token(local, tmp_path, flag, "--max-age", "5m", stdin="")
            assert (refused.returncode, refused.stdout) == (1, "")
            assert "password" in refused.stderr
        again = token(local, tmp_path, "--cache", "--max-age", "5m")
        assert again.returncode == 0, again.stderr
        assert claims(again.stdout)["auth_time"] - claims(first.stdout)["auth_time"] >= 3600
        kept = token(local, tmp_path, "--cache", "--max-age", "2h", stdin="")
        assert kept.stdout == again.stdout
        wrong = token(local, tmp_path, "--cache", "--max-age", "5")
        assert wrong.returncode == 2
        assert "has no unit" in wrong.stderr


def test_files_that_others_could_read_or_write_are_not_used(local: LocalCognito, tmp_path: Path) -> None:
    assert token(local, tmp_path, "--cache").returncode == 0
    folder = tmp_path / ".local/state/cognito-gateway"
    (kept,) = folder.iterdir()
    for path, mode, told in (
        (kept, 0o644, "others may read it (mode 0644): chmod 600 it"),
        (kept, 0o660, "others may read it (mode 0660): chmod 600 it"),
        (folder, 0o777, "others may write it (mode 0777): chmod 700 it"),
    ):
        before = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode)
        refused = token(local, tmp_path, "--cache", stdin="")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.startswith(f"cognito-gateway: {path}: {told}")
        path.chmod(before)
    # A link to a file of somebody's choice is not followed: a password is asked for.
    elsewhere = tmp_path / "elsewhere"
    kept.rename(elsewhere)
    kept.symlink_to(elsewhere)
    assert token(local, tmp_path, "--cache", stdin="").stderr == (
        "cognito-gateway: token: stdin has no password\n"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_of_another_user_are_not_used(local: LocalCognito, tmp_path: Path) -> None:
    assert token(local, tmp_path, "--cache").returncode == 0
    (kept,) = (tmp_path / ".local/state/cognito-gateway").iterdir()
    os.chown(kept, 65534, 65534)
    refused = token(local, tmp_path, "--cache", stdin="")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"{kept}: belongs to another user (uid 65534)" in refused.stderr


def test_an_old_token_is_renewed_and_not_handed_out(local: LocalCognito, tmp_path: Path) -> None:
    first = claims(token(local, tmp_path, "--cache").stdout)
    (kept,) = (tmp_path / ".local/state/cognito-gateway").iterdir()

    def age(**changes: object) -> None:
        kept.write_text(json.dumps(json.loads(kept.read_text()) | {"expires_at": time.time() + 30} | changes))

    age()
    renewed = token(local, tmp_path, "--cache", stdin="")
    assert renewed.returncode == 0, renewed.stderr
    second = claims(renewed.stdout)
    assert (second["jti"] != first["jti"], second["origin_jti"]) == (True, first["origin_jti"])
    # Where nothing can be renewed any more a password is asked for.
    for worthless in ("", "rubbish"):
        age(refresh=worthless)
        none = token(local, tmp_path, "--cache", stdin="")
        assert none.returncode == 1
        assert none.stderr == "cognito-gateway: token: stdin has no password\n"
    kept.write_text("{half")
    assert token(local, tmp_path, "--cache").returncode == 0
    assert json.loads(kept.read_text())["expires_at"] > time.time() + 60


def test_refresh_renews_without_a_password(local: LocalCognito, tmp_path: Path) -> None:
    none = token(local, tmp_path, "--refresh", stdin="")
    assert none.stderr == (
        "cognito-gateway: no refresh token is stored: sign in once with --cache, then use --refresh\n"
    )
    first = claims(token(local, tmp_path, "--cache").stdout)
    renewed = token(local, tmp_path, "--refresh", stdin="")
    assert renewed.returncode == 0, renewed.stderr
    second = claims(renewed.stdout)
    assert second["jti"] != first["jti"]
    assert second["origin_jti"] == first["origin_jti"]
    local_cognito.client(local.url).admin_user_global_sign_out(UserPoolId=POOL, Username="alice")
    refused = token(local, tmp_path, "--refresh", stdin="")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Refresh Token has been revoked" in refused.stderr


def devices(local: LocalCognito) -> list[str]:
    (alice,) = local.state.pools[POOL].users.values()
    return list(alice.devices)


def test_where_the_pool_remembers_devices_kept_tokens_are_renewed_with_theirs(
    tracked: LocalCognito, tmp_path: Path
) -> None:
    first = token(tracked, tmp_path, "--flow", "srp", "--cache")
    assert (first.returncode, first.stderr) == (0, "")
    (kept,) = (tmp_path / ".local/state/cognito-gateway").iterdir()
    assert [json.loads(kept.read_text())["device_key"]] == devices(tracked)
    # Twice: the key outlives the tokens that it came with.
    for _ in range(2):
        renewed = token(tracked, tmp_path, "--refresh", stdin="")
        assert (renewed.returncode, renewed.stderr) == (0, "")
        assert claims(renewed.stdout)["origin_jti"] == claims(first.stdout)["origin_jti"]
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"expires_at": time.time() + 30}))
    assert token(tracked, tmp_path, "--cache", stdin="").returncode == 0
    assert len(devices(tracked)) == 1
    # A file without the key, as an earlier build wrote it.
    content = json.loads(kept.read_text())
    del content["device_key"]
    kept.write_text(json.dumps(content))
    refused = token(tracked, tmp_path, "--refresh", stdin="")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "only sign-ins with --flow srp can be renewed" in refused.stderr


def test_tokens_that_are_not_kept_leave_no_device_behind(tracked: LocalCognito, tmp_path: Path) -> None:
    assert token(tracked, tmp_path, "--flow", "srp").returncode == 0
    assert devices(tracked) == []
    # A user who prints the refresh token wants to use it.
    shown = json.loads(token(tracked, tmp_path, "--flow", "srp", "--json").stdout)
    assert [shown["DeviceKey"]] == devices(tracked)
    new = local_cognito.client(tracked.url).get_tokens_from_refresh_token(
        ClientId=CLIENT, RefreshToken=shown["RefreshToken"], DeviceKey=shown["DeviceKey"]
    )
    assert claims(new["AuthenticationResult"]["AccessToken"])["username"] == "alice"


def test_an_unconfirmed_device_is_reported(
    tracked: LocalCognito, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> dict[str, Any]:
        raise AwsError("TooManyRequestsException", "Rate exceeded")

    known = operations.OPERATIONS["ConfirmDevice"]
    monkeypatch.setitem(operations.OPERATIONS, "ConfirmDevice", Operation(known.fields, refuse, signed=False))
    done = token(tracked, tmp_path, "--flow", "srp", "--cache")
    assert done.returncode == 0
    assert claims(done.stdout)["username"] == "alice"
    assert done.stderr.startswith(
        "cognito-gateway: token: the device was not confirmed, so these tokens cannot be renewed: "
    )


def conversation(local: LocalCognito, home: Path, secret: str | None = None) -> tuple[int, str, str, str]:
    """Signs in and answers for an authenticator app; exit code, token, what was said, the app's secret."""
    words, environ = command(local, home)
    with subprocess.Popen(
        words,
        env=environ,
        cwd=home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(f"{PASSWORD}\n")
        process.stdin.flush()
        said = ""
        if secret is None:
            said = process.stderr.readline()
            found = re.search(r"authenticator app: ([A-Z2-7]{32,})", said)
            assert found, said
            secret = found.group(1)
        # A code is good once: the second one is the next step's, which clocks that differ make acceptable.
        step = int(time.time()) // 30 + (not said)
        process.stdin.write(totp.code_at(secret, step) + "\n")
        process.stdin.close()
        token, more = process.stdout.read(), process.stderr.read()
        return process.wait(200), token, said + more, secret


def test_a_second_factor_is_set_up_and_then_asked_for(local: LocalCognito, tmp_path: Path) -> None:
    local_cognito.client(local.url).set_user_pool_mfa_config(
        UserPoolId=POOL, SoftwareTokenMfaConfiguration={"Enabled": True}, MfaConfiguration="ON"
    )
    code, printed, said, secret = conversation(local, tmp_path)
    assert code == 0, said
    assert claims(printed)["username"] == "alice"
    code, printed, said, _ = conversation(local, tmp_path, secret)
    assert (code, said) == (0, "")
    assert claims(printed)["username"] == "alice"
