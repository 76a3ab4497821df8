"""AWS's own files on this machine, broken as people break them: one sentence each, from the commands."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import run

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ROLE = "[default]\nrole_arn = arn:aws:iam::000000000000:role/x\n"
SSO = "[default]\nsso_session = my\nsso_account_id = 000000000000\nsso_role_name = x\n"


def setup(home: Path, config: bytes) -> subprocess.CompletedProcess[str]:
    path = home / "aws-config"
    path.write_bytes(config)
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AWS_CONFIG_FILE": str(path),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return run("setup", "--plan", "--region", "us-east-1", environ=environ)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (f"[default]\nregion = us-east-1\n{SECRET}\n", "aws-config, line 3: this is not AWS's"),
        (f"aws_secret_access_key = {SECRET}\n", "aws-config, line 1: this is not AWS's"),
        ("[default]\nregion = a\nregion = b\n", "aws-config, line 3: this is not AWS's"),
        (b"\xff\xfe[default]\n", "aws-config: this is not AWS's"),
        (ROLE + "source_profile = nobody\n", 'source_profile "nobody" referenced in the'),
        (ROLE + "source_profile = default\n", "Infinite loop in credential configuration"),
        (
            "[default]\ncredential_process = false\n",
            "could not be obtained from their source (custom",
        ),
        (SSO, 'specified sso-session does not exist: "my"'),
        (
            f"{SSO}[sso-session my]\nsso_start_url = https://x.test\nsso_region = us-east-1\n",
            "run `aws sso login`",
        ),
    ],
)
def test_profile_errors_name_the_place_and_the_fix(tmp_path: Path, config: str | bytes, told: str) -> None:
    done = setup(tmp_path, config if isinstance(config, bytes) else config.encode())
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert SECRET not in done.stderr
    assert "Error)" not in done.stderr, "the name of a class tells nobody anything"
