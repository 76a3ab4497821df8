"""IDs that are well formed and surely not meant: warnings, with the nearest that exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.load import examine


def warned(folder: Path, pools: str, endpoint: str = "") -> list[str]:
    path = folder / "g.yaml"
    path.write_text(f"cognito:\n{endpoint}  user_pools: {pools}\n")
    config, report = examine(path, {})
    assert config is not None, report.lines
    return [line.partition("warning: cognito.user_pools")[2] for line in report.warnings]


@pytest.mark.parametrize(
    ("pools", "told"),
    [
        (
            "[{id: us-east1_Xy12, client_ids: [3n4b5urk1ft4fl3mg5e62d9ado]}]",
            ["[0].id: us-east1 is not a Region with Amazon Cognito: did you mean us-east-1?"],
        ),
        (
            "[{id: moon_Xy12, client_ids: [3n4b5urk1ft4fl3mg5e62d9ado]}]",
            ["[0].id: moon is not a Region with Amazon Cognito"],
        ),
        (
            "[{id: eu-west-1_Xy12, client_ids: [abc, 1, on]}]",
            [
                f"[0].client_ids[{at}]: {text} does not look like an app client ID "
                "(26 lower-case letters and digits)"
                for at, text in enumerate(("abc", "1", "on"))
            ],
        ),
        (
            "[{id: ap-south-1_AbCdEfGhI, client_ids: [1example23456789]}]",
            [
                "[0].id: is the example's ID: replace it with your user pool's",
                "[0].client_ids[0]: is the example's ID: replace it with your app client's",
            ],
        ),
        ("[{id: us-gov-west-1_Xy12, client_ids: [3n4b5urk1ft4fl3mg5e62d9ado]}]", []),
    ],
)
def test_doubtful_ids_are_warned_about(tmp_path: Path, pools: str, told: list[str]) -> None:
    assert warned(tmp_path, pools) == told


def test_emulators_may_use_ids_of_any_form(tmp_path: Path) -> None:
    local = "  endpoint_url: http://127.0.0.1:9229\n"
    assert warned(tmp_path, "[{id: local_Xy12, client_ids: [abc]}]", local) == []
    url = "http://127.0.0.1:9/keys"
    assert warned(tmp_path, f"[{{id: local_Xy12, client_ids: [abc], jwks_url: '{url}'}}]") == []
