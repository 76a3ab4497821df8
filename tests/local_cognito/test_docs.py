"""docs/local-cognito.md and the README say what is there: operations, commands, and examples that work."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from local_cognito import seed
from local_cognito.cli import make_parser
from local_cognito.iam.wire import ROLE_ACTIONS, STS_ACTIONS
from local_cognito.identity.operations import IDENTITY_OPERATIONS
from local_cognito.operations import OPERATIONS
from tests.support.emulator import Cognito

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "local-cognito.md").read_text(encoding="utf-8")
README = (ROOT / "local_cognito" / "README.md").read_text(encoding="utf-8")


def test_the_table_names_every_operation_and_no_other() -> None:
    table = TEXT.partition("## Operations")[2].partition("Every other operation")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    every = [*OPERATIONS, *IDENTITY_OPERATIONS, *ROLE_ACTIONS, *STS_ACTIONS]
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted(every)


def test_the_seed_example_signs_bob_in(cognito: Cognito) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    example = next(block for block in blocks if block.startswith("UserPools"))
    seed.apply(cognito.state, yaml.safe_load(example), cognito.clock.now)
    assert cognito.sign_in("bob@example.com", "Correct-Horse-1", client_id="exampleclient")["AccessToken"]


def test_the_demos_ids_are_the_documented_ones() -> None:
    pool = seed.read(seed.DEMO)["UserPools"][0]
    user = pool["Users"][0]
    for value in (pool["Id"], pool["Clients"][0]["ClientId"], user["Username"], user["Password"]):
        assert f"`{value}`" in TEXT


def test_the_readme_counts_the_operations() -> None:
    assert re.findall(r"(\d+) operations", README) == [str(len(OPERATIONS))]


@pytest.mark.parametrize("text", [TEXT, README], ids=["docs", "readme"])
def test_the_commands_parse(text: str) -> None:
    found = re.findall(
        r"(?m)^ {4}(?:\.venv/bin/|docker run --rm --network host )local-cognito\b([^#\n]*)", text
    )
    assert found
    for arguments in found:
        make_parser().parse_args(shlex.split(arguments))


def test_the_readmes_example_runs(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    path = tmp_path / "example.py"
    path.write_text(example, encoding="utf-8")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, "")
