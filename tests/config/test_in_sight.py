"""Credentials that show themselves without boto3."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.in_sight import credentials_in_sight


def nothing(folder: Path, **more: str) -> dict[str, str]:
    return {
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
        "AWS_CONFIG_FILE": str(folder / "config"),
        **more,
    }


def test_no_credentials_are_detected(tmp_path: Path) -> None:
    assert not credentials_in_sight(nothing(tmp_path), None)
    assert not credentials_in_sight(nothing(tmp_path, AWS_ACCESS_KEY_ID=""), "https://cognito.example.com")
    assert not credentials_in_sight({"HOME": str(tmp_path)}, None)
    assert not credentials_in_sight(nothing(tmp_path, AWS_CONFIG_FILE="no\0file"), None)
    assert not credentials_in_sight({}, None)


@pytest.mark.parametrize(
    "name", ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]
)
def test_credentials_in_a_variable_are_detected(tmp_path: Path, name: str) -> None:
    assert credentials_in_sight(nothing(tmp_path, **{name: "x"}), None)


def test_credentials_in_a_file_are_detected(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[default]\n")
    assert credentials_in_sight(nothing(tmp_path), None)
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").touch()
    assert credentials_in_sight({"HOME": str(tmp_path)}, None)


def test_a_local_cognito_needs_no_credentials(tmp_path: Path) -> None:
    assert credentials_in_sight(nothing(tmp_path), "http://127.0.0.1:9229")
    assert credentials_in_sight(nothing(tmp_path), "http://localhost:9229")
