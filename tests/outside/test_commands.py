"""The commands, as their users see them: exit codes, usage, one sentence for what went wrong."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import pytest

from gateway.version import VERSION
from tests.support import commands
from tests.support.programs import DEMO_PASSWORD, DEMO_POOL, POOL_FLAGS, ROOT, SCRIPT, environment, run

COMMANDS = (
    *(
        "serve",
        "check-config",
        "config-schema",
        "demo",
        "local-cognito",
        "token",
        "explain",
        "sign-up",
        "setup",
        "credentials",
        "doctor",
        "help",
        "completion",
        "version",
    ),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_usage_is_2(command: str, tmp_path: Path) -> None:
    done = commands.run(command, "--nonsense", cwd=tmp_path, environ=environment())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: cognito-gateway")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_0(command: str) -> None:
    done = run(SCRIPT, command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: cognito-gateway {command}")


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve"],
        ["serve", "--config", "wrong.yaml"],
        ["serve", "--config", "."],
        ["check-config"],
        ["check-config", "wrong.yaml"],
        ["check-config", "binary.yaml"],
        ["local-cognito", "--listen", "192.0.2.1:0"],
        ["local-cognito", "--seed", "nothing.yaml"],
        ["local-cognito", "--seed", "wrong.yaml"],
        ["setup"],
        ["setup", "--plan", "--region", "us-east-1", "--endpoint-url", "http://127.0.0.1:9"],
        ["sign-up", "enable"],
        ["sign-up", "disable", "--user-pool-id", DEMO_POOL, "--endpoint-url", "http://127.0.0.1:9"],
        ["credentials", "--username", "alice"],
        ["explain"],
        ["explain", "a.b.c", "--config", "wrong.yaml"],
        ["doctor"],
        ["doctor", "--json", "--config", "wrong.yaml"],
        ["token", "--username", "alice"],
        ["token", "--username", "alice", "--config", "wrong.yaml"],
        [*POOL_FLAGS, "--password-file", "nothing"],
        [*POOL_FLAGS, "--endpoint-url", "http://127.0.0.1:9"],
    ],
    ids=" ".join,
)
def test_mistakes_of_the_user_end_with_1_and_one_sentence(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("listen: ]\n")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00a")
    done = commands.run(*arguments, cwd=tmp_path, environ=environment(), given=DEMO_PASSWORD + "\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert DEMO_PASSWORD not in done.stderr


def test_version() -> None:
    done = run(SCRIPT, "version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"cognito-gateway {VERSION}",
        f"Python {platform.python_version()}",
        f"aiohttp {version('aiohttp')}",
    ]


def test_config_schema_is_the_committed_file() -> None:
    done = run(SCRIPT, "config-schema")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (ROOT / "config/gateway.schema.json").read_text(encoding="utf-8")
