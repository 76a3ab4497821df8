"""The real AWS CLI against the local Cognito, in a shell that has no AWS settings at all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jwt
import pytest

from gateway.commands.demo import Running, banner, seeded_by
from local_cognito import seed
from tests.support import local_cognito

# The CLI of the interpreter that runs the tests.
AWS = Path(sys.executable).with_name("aws")
pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not AWS.exists(), reason="the AWS CLI is not installed beside this Python"),
]


def run(script: str, home: Path) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": f"{AWS.parent}:/usr/bin:/bin", "HOME": str(home)}
    return subprocess.run(
        ["bash", "-c", script], env=environ, capture_output=True, text=True, timeout=250, check=False
    )


def test_the_demos_line_puts_a_token_into_a_variable(tmp_path: Path) -> None:
    document = seed.read(seed.DEMO)
    with local_cognito.running(document) as local:
        running = Running(
            "http://127.0.0.1:8000", "http://127.0.0.1:9090", local.url, "http://127.0.0.1:8080"
        )
        printed = banner(running, seeded_by(document), has_aws_cli=True)
        lines = [line[2:] for line in printed.splitlines() if line.startswith("$ ")]
        done = run(lines[0] + '\nprintf %s "$TOKEN"', tmp_path)
    assert done.stderr == ""
    claims = jwt.decode(done.stdout, options={"verify_signature": False})
    assert (claims["token_use"], claims["cognito:groups"]) == ("access", ["admins", "users"])


def test_parameters_from_a_file_and_a_refusal(tmp_path: Path) -> None:
    parameters = tmp_path / "auth.json"
    keys = "AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local"
    with local_cognito.running(seed.read(seed.DEMO)) as local:
        command = (
            f"{keys} aws --endpoint-url {local.url} --region us-east-1 cognito-idp admin-initiate-auth "
            "--user-pool-id us-east-1_LocalDemo --client-id 1demo2client3local4cognito "
            f"--auth-flow ADMIN_USER_PASSWORD_AUTH --auth-parameters file://{parameters}"
        )
        parameters.write_text(json.dumps({"USERNAME": "alice@example.com", "PASSWORD": "Wonderland-2024"}))
        done = run(command, tmp_path)
        assert set(json.loads(done.stdout)["AuthenticationResult"]) >= {
            "AccessToken",
            "IdToken",
            "RefreshToken",
        }
        parameters.write_text(json.dumps({"USERNAME": "alice@example.com", "PASSWORD": "wrong"}))
        done = run(command, tmp_path)
    assert done.returncode != 0
    assert "NotAuthorizedException" in done.stderr
    assert "Incorrect username or password." in done.stderr
