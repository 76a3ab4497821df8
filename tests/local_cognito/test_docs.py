"""docs/local-cognito.md says what is there: operations, and an example that works."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from local_cognito import seed
from local_cognito.iam.wire import ROLE_ACTIONS, STS_ACTIONS
from local_cognito.identity.operations import IDENTITY_OPERATIONS
from local_cognito.operations import OPERATIONS
from tests.local_cognito.conftest import Cognito

TEXT = (Path(__file__).parents[2] / "docs" / "local-cognito.md").read_text(encoding="utf-8")


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
