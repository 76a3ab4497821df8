"""The examples in the user's guides are configurations that work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.config_files import said
from tests.support.tokens import CLIENT_ID, POOL_ID

DOCS = Path(__file__).parents[2] / "docs"
PAGES = (
    "cors.md",
    "machine-clients.md",
    "migrating.md",
    "private-network.md",
    "routes.md",
    "start.md",
    "tracing.md",
    "upstream-identity.md",
)


def examples() -> list[tuple[str, str]]:
    return [
        (f"{page}-{number}", text)
        for page in PAGES
        for number, text in enumerate(
            re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
        )
    ]


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in examples()])
def test_an_example_has_no_mistake_and_no_warning(tmp_path: Path, text: str) -> None:
    for name in ("assertion.key", "jwks.json"):  # which examples name
        (tmp_path / name).touch(mode=0o600)
    # The IDs of the examples are warned about, for who leaves them in.
    text = text.replace("ap-south-1_AbCdEfGhI", POOL_ID).replace("1example23456789", CLIENT_ID)
    assert said(tmp_path, text) == []


def test_every_page_has_an_example() -> None:
    assert {name.rpartition("-")[0] for name, _ in examples()} == set(PAGES)
