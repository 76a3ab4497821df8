"""What goes wrong on a machine says what happened, with the file or port concerned, and what to do."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.programs import DEMO_CLIENT, DEMO_POOL, ROOT, SCRIPT, environment, run
from tests.support.terminal import Terminal
from tests.support.tokens import KeyPair, access_claims, sign

POOL = "cognito: {user_pools: [{id: ap-south-1_TestPool1, client_ids: [1testing23456789]}]}\n"


def configured(folder: Path, text: str) -> Path:
    path = folder / "gateway.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("workers", ["1", "2"])
def test_all_taken_ports_are_named_at_once(tmp_path: Path, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        first, second = (f"127.0.0.1:{each.getsockname()[1]}" for each in (one, two))
        path = configured(tmp_path, f"listen: {{address: '{first}'}}\nmetrics: {{address: '{second}'}}\n")
        done = run(SCRIPT, "serve", path, "--workers", workers)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert f"listen.address {first} is taken: stop the program that listens there" in line
    assert f"metrics.address {second} is taken: stop the program that listens there" in line


@pytest.fixture
def powerless() -> list[str]:
    """What runs a command without root's powers over files and ports."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() == 0 and setpriv is None:
        pytest.skip("root may do everything, and setpriv is not there")
    return [setpriv, "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 and setpriv else []


@pytest.mark.parametrize("command", ["serve", "check-config"])
def test_a_configuration_that_may_not_be_read(tmp_path: Path, powerless: list[str], command: str) -> None:
    path = configured(tmp_path, POOL)
    path.chmod(0)
    done = run(*powerless, SCRIPT, command, path)
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"{path}: cannot read the configuration: permission denied: grant this user (uid "
    )
    assert len(done.stderr.splitlines()) == 1


def test_named_files_that_may_not_be_read(tmp_path: Path, powerless: list[str]) -> None:
    for name in ("client-secret.txt", "keys.json"):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(0)
    path = configured(
        tmp_path,
        "cognito:\n  user_pools:\n    - id: ap-south-1_TestPool1\n      client_ids: [1testing23456789]\n"
        "      client_secret_file: ./client-secret.txt\n      jwks_file: keys.json\n",
    )
    lines = run(*powerless, SCRIPT, "check-config", path).stderr.splitlines()
    for line, name in zip(lines, ("client-secret.txt", "keys.json"), strict=True):
        assert f"{tmp_path / name}: permission denied: grant this user (uid " in line


def test_a_port_that_needs_a_capability(tmp_path: Path, powerless: list[str]) -> None:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 80:
        pytest.skip("every port is free for all here")
    path = configured(
        tmp_path, f"listen: {{address: ':80'}}\nmetrics: {{address: '127.0.0.1:{free_port()}'}}\n"
    )
    done = run(*powerless, SCRIPT, "serve", path)
    assert done.returncode == 1
    assert "listen.address :80: cannot listen: permission denied: ports below 1024 need" in done.stderr
    assert "CAP_NET_BIND_SERVICE" in done.stderr


def test_a_secret_that_was_pasted_in_place_of_its_files_name_is_not_repeated(tmp_path: Path) -> None:
    secret = "3fvkq8a1v5c2m1o0Jd7tq2kH8j3rjqa5o9mh2u0f3k1c4v6b7n8m"
    path = configured(tmp_path, POOL.replace("}]}", f", client_secret_file: {secret}}}]}}"))
    done = run(SCRIPT, "check-config", path)
    assert done.returncode == 1
    assert "its name is not shown" in done.stderr
    assert secret[:20] not in done.stderr


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    """Each of the commands that need one says how to come by it, and the way works."""
    for command in ("serve", "check-config", "doctor", "explain"):
        done = run(SCRIPT, command, cwd=tmp_path)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith(
            "config/gateway.yaml: cannot read the configuration: no such file or directory: "
        )
        assert line.endswith("`cognito-gateway setup --write config/gateway.yaml` write one")
    setup = ("setup", "--region", "us-east-1", "--write", "config/gateway.yaml")
    done = run(SCRIPT, *setup, "--endpoint-url", "http://127.0.0.1:1", cwd=tmp_path)
    assert "no such folder): create config first" in done.stderr
    done = run(SCRIPT, "serve", tmp_path, cwd=tmp_path)
    assert done.stderr.endswith("is a directory: name a file in it\n")


def test_aws_credentials_that_are_missing(tmp_path: Path) -> None:
    nothing = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    done = run(SCRIPT, "setup", "--plan", "--region", "us-east-1", cwd=tmp_path, environ=nothing)
    assert "no AWS credentials found: name a profile with --profile" in done.stderr
    # That is for signing in.
    assert "--flow" not in done.stderr
    done = run(SCRIPT, "setup", "--plan", "--region", "us-east-1", "--profile", "mine", environ=nothing)
    assert "the AWS profile mine does not exist" in done.stderr


# --- a terminal of another encoding, an interrupt at a prompt ----------------------------------------------


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_every_encoding_of_standard_output_shows_what_explain_says(tmp_path: Path, encoding: str) -> None:
    key = KeyPair.generate("k")
    path = configured(tmp_path, POOL)
    token = sign(key, access_claims(username="Zoë 雪")).decode()
    done = subprocess.run(
        [SCRIPT, "explain", "-", "--config", path],
        env=environment(PYTHONIOENCODING=encoding),
        input=token.encode(),
        capture_output=True,
        timeout=200,
        check=False,
    )
    assert done.stderr == b""
    said = done.stdout.decode(encoding)
    assert ("✓ issuer" if encoding == "utf-8" else "ok issuer") in said
    assert "Traceback" not in said


def test_an_interrupt_at_the_password_prompt_ends_the_line() -> None:
    pool = ("--user-pool-id", DEMO_POOL, "--client-id", DEMO_CLIENT)
    words = ("token", "--username", "alice", *pool, "--endpoint-url", "http://127.0.0.1:9")
    with Terminal([SCRIPT, *words], cwd=ROOT) as terminal:
        terminal.says("assword")
        terminal.write("\x03")
        said = terminal.rest()
        code = terminal.code()
    assert code == 130
    assert said.endswith("\r\n")
    assert "Traceback" not in said


# --- explain ------------------------------------------------------------------------------------------------


def test_a_doubled_bearer_is_explained_as_the_gateway_refuses_it(tmp_path: Path) -> None:
    path = configured(tmp_path, POOL)
    token = sign(KeyPair.generate("k"), access_claims()).decode()
    done = run(SCRIPT, "explain", "-", "--config", path, stdin=f"Authorization: Bearer Bearer {token}\n")
    assert done.returncode == 1
    assert (
        "refused with 400 (malformed_authorization): Bearer is not followed by exactly one token"
        in done.stdout
    )


def test_explain_with_a_files_name_says_how_to_read_it(tmp_path: Path) -> None:
    (tmp_path / "token.txt").write_text("x")
    path = configured(tmp_path, POOL)
    done = run(SCRIPT, "explain", "token.txt", "--config", path, cwd=tmp_path)
    assert done.returncode == 1
    assert "cognito-gateway explain - < token.txt" in done.stderr


# --- make ---------------------------------------------------------------------------------------------------


def test_make_names_a_python_that_is_not_there(tmp_path: Path) -> None:
    done = run("make", "install", "PYTHON=python9.9", f"VENV={tmp_path / 'v'}")
    assert done.returncode == 2
    assert "make: no program python9.9 here: install Python 3.11 or newer" in done.stderr
    assert "older" not in done.stderr


def test_git_ignores_settings_of_ones_own() -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no git, or no checkout")
    for name in ("config/gateway.yaml", ".env", "compose.override.yaml"):
        assert run("git", "check-ignore", "-q", name).returncode == 0, name
