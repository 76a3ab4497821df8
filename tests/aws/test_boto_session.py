"""Sessions of boto3: what they share, and what each has of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.aws.boto_session import boto_session


def test_clients_share_one_model_of_their_service() -> None:
    one, two = (boto_session(None, region).client("cognito-idp") for region in ("us-east-1", "eu-west-1"))
    # Its parsed JSON takes ten megabytes.
    assert one.meta.service_model.metadata is two.meta.service_model.metadata
    assert (one.meta.region_name, two.meta.region_name) == ("us-east-1", "eu-west-1")


def test_each_session_has_its_own_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "credentials"
    file.write_text(
        "".join(
            f"[{name}]\naws_access_key_id = {name}\naws_secret_access_key = x\n" for name in ("one", "two")
        )
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    found = [boto_session(name, "us-east-1").get_credentials() for name in ("one", "two")]
    assert [each and each.access_key for each in found] == ["one", "two"]


def test_folders_of_further_models_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "invented" / "2026-01-01"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_text(json.dumps({"metadata": {}, "operations": {}, "shapes": {}}))
    assert "invented" not in boto_session(None, "us-east-1").get_available_services()
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    assert "invented" in boto_session(None, "us-east-1").get_available_services()
