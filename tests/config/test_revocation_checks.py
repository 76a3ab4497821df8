"""Revocation checks whose numbers cannot fit each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.config_files import said

SETTINGS = "cognito:\n  revocation: {{check_every: {every}, calls_per_second: {calls}{more}}}\n"


@pytest.mark.parametrize(
    ("every", "calls", "more", "suffices"),
    [
        ("1s", "30", "", 21),
        ("30s", "1", "", 21),
        ("30s", "30", ", replicas: 10", 63),
        ("5m", "0.1", ", redis_url: 'redis://h', replicas: 10", 21),
    ],
)
def test_calls_that_suffice_for_a_few_sign_ins_are_named(
    tmp_path: Path, every: str, calls: str, more: str, suffices: int
) -> None:
    (line,) = said(tmp_path, SETTINGS.format(every=every, calls=calls, more=more))
    assert line.startswith(
        "F:2: warning: cognito.revocation.check_every: calls_per_second suffices for "
        f"{suffices} concurrent sign-ins"
    )
    assert ("redis_url" in line) == ("replicas" in more and "redis_url" not in more)


@pytest.mark.parametrize("more", ["", ", redis_url: 'redis://h', replicas: 10"])
def test_calls_that_suffice_are_not(tmp_path: Path, more: str) -> None:
    assert said(tmp_path, SETTINGS.format(every="30s", calls="30", more=more)) == []
