"""IDs put into a configuration: what people wrote stays, to the comment."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.generate import ROOT
from gateway.config.load import load
from gateway.config.writing import PoolIds, with_pool, write_pool
from gateway.errors import GatewayError

IDS = PoolIds("eu-west-1_New123456", "1new2client")
FULL = PoolIds(
    "eu-west-1_New123456",
    "1new2client",
    identity_pool_id="eu-west-1:00000000-0000-4000-8000-000000000000",
    domain="https://orders.auth.eu-west-1.amazoncognito.com",
)


def test_an_empty_file() -> None:
    assert with_pool("", IDS) == (
        "cognito:\n  user_pools:\n    - id: eu-west-1_New123456\n      client_ids: [1new2client]\n"
    )
    assert with_pool("# mine\n", IDS).startswith("# mine\ncognito:\n")


def test_the_example_s_ids_are_replaced_and_its_comments_kept() -> None:
    before = (ROOT / "config/gateway.minimal.yaml").read_text()
    after = with_pool(before, IDS)
    changed = before.replace("ap-south-1_AbCdEfGhI", "eu-west-1_New123456")
    assert after == changed.replace("[1example23456789]", "[1new2client]")


COMMENTED = """\
# ours
listen:   # where
  address: ':8000'   # all
cognito:
  # the old one
  user_pools:
    - id: eu-west-1_Old123456  # keep
      client_ids:
        - 1old
routes:
  - path: /status   # open
    auth: none
"""


def test_another_pool_is_appended() -> None:
    after = with_pool(COMMENTED, IDS)
    added = "    - id: eu-west-1_New123456\n      client_ids: [1new2client]\n"
    assert after == COMMENTED.replace("        - 1old\n", "        - 1old\n" + added)


def test_an_existing_pool_is_completed() -> None:
    before = "cognito:\n  user_pools:\n    - id: eu-west-1_New123456 # it\n      client_ids: [1old] # first\n"
    after = with_pool(before, FULL)
    assert after == (
        "cognito:\n  user_pools:\n    - id: eu-west-1_New123456 # it\n"
        "      client_ids: [1old, 1new2client] # first\n"
        "      identity_pool_id: eu-west-1:00000000-0000-4000-8000-000000000000\n"
        "      domain: https://orders.auth.eu-west-1.amazoncognito.com\n"
        "sign_in:\n  pages: managed\n"
    )
    assert with_pool(after, FULL) == after


@pytest.mark.parametrize("text", ["cognito: null\n", "cognito:\n  user_pools: []\n", "{}\n", "cognito: {}\n"])
def test_places_that_are_there_and_empty(text: str, tmp_path: Path) -> None:
    path = tmp_path / "g.yaml"
    path.write_text(text)
    assert write_pool(path, IDS, {})
    config = load(path, {}).config
    assert [(pool.id, pool.client_ids) for pool in config.cognito.user_pools] == [
        ("eu-west-1_New123456", ("1new2client",))
    ]


def test_the_file_keeps_its_mode_and_is_left_alone_when_nothing_changes(tmp_path: Path) -> None:
    path = tmp_path / "g.yaml"
    path.write_text(COMMENTED)
    path.chmod(0o640)
    assert write_pool(path, IDS, {})
    assert path.stat().st_mode & 0o777 == 0o640
    before = path.stat()
    assert not write_pool(path, IDS, {})
    after = path.stat()
    # All but the time of the last access: reading may change that.
    for field in ("st_ino", "st_mode", "st_mtime_ns"):
        assert getattr(after, field) == getattr(before, field)
    assert [each.name for each in tmp_path.iterdir()] == ["g.yaml"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a\n", "it is not a mapping"),
        ("a: [\n", "while parsing a flow"),
        ("cognito:\n  user_pools: some\n", "user_pools has the wrong type"),
    ],
)
def test_a_file_that_cannot_be_changed(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "g.yaml"
    path.write_text(text)
    with pytest.raises(GatewayError, match=told):
        write_pool(path, IDS, {})
    assert path.read_text() == text


def test_a_file_that_would_not_be_valid_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "g.yaml"
    path.write_text("listen:\n  adress: x\n")
    with pytest.raises(GatewayError) as told:
        write_pool(path, IDS, {})
    assert f"{path}:2: listen.adress: unknown key" in str(told.value)
    assert path.read_text() == "listen:\n  adress: x\n"
    assert [each.name for each in tmp_path.iterdir()] == ["g.yaml"]
