"""What is not built yet is refused in one sentence, and accepted at its default."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.overrides import scalar_paths
from gateway.config.unbuilt import NOT_BUILT

from .support import POOL, said

ROUTE = "routes:\n  - path: /a\n"
ASKED: dict[str, str] = {
    "sign_in.auth_flow": "sign_in:\n  auth_flow: USER_AUTH\n",
    "sign_in.sign_up": "sign_in:\n  sign_up: never\n",
    "sign_in.state_dir": "sign_in:\n  state_dir: .\n",
    "tracing": "tracing: {otlp_endpoint: http://127.0.0.1:4318}\n",
}


@pytest.mark.parametrize("key", NOT_BUILT)
def test_each_part_that_is_not_built_says_so_once(tmp_path: Path, key: str) -> None:
    (tmp_path / "ok").touch(mode=0o600)
    (line,) = said(tmp_path, ASKED[key])
    assert line.endswith(f": {key.replace('[]', '[0]')}: {NOT_BUILT[key]}")
    assert "hunter2" not in line


def test_defaults_written_out_are_accepted(tmp_path: Path) -> None:
    text = (
        "listen: {workers: 1, tls: null}\nupstream: {tls: }\npaths: {semicolon: reject}\ncors: null\n"
        "sign_in: {enabled: false, session: {store: cookie, max_age: 720m}, state_dir: null}\n"
        "rate_limit: {requests_per_second: 0, burst: 0}\n"
        + POOL
        + "      identity_pool_id: null\n"
        + ROUTE
        + "    groups: []\n    claims: {}\n"
    )
    assert said(tmp_path, text) == []


def test_the_table_names_keys_that_exist() -> None:
    known = {*scalar_paths(), "cors", "tracing"}
    assert {key for key in NOT_BUILT if "[]" not in key} <= known
