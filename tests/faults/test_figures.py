"""The table of docs/reliability.md: every row has a test, every marked test a row, and a run fills them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support import figures

TESTS = Path(__file__).parents[1]
DOCUMENT = figures.DOCUMENT.read_text(encoding="utf-8")


def marked() -> set[str]:
    """The rows that tests name."""
    found = set()
    for path in TESTS.rglob("test_*.py"):
        found.update(re.findall(r'mark\.fault\("([^"]+)"\)', path.read_text(encoding="utf-8")))
    return found


def test_every_row_has_a_test_and_every_test_a_row() -> None:
    assert marked() == set(figures.ROWS)


def test_every_row_stands_in_the_document_with_what_was_seen() -> None:
    cells = figures.standing(DOCUMENT)
    assert cells.keys() == figures.ROWS.keys()
    assert all(seen not in {"", "–"} and failed == "0" for seen, failed in cells.values())


def test_the_document_is_what_the_generator_writes() -> None:
    assert figures.written(DOCUMENT, {}) == DOCUMENT


def test_a_run_replaces_its_rows_and_no_others() -> None:
    lines = [
        json.dumps({"row": "killed", "seen": "one", "failed": 0}),
        json.dumps({"row": "killed", "seen": "two", "failed": 1}),
        json.dumps({"row": "killed", "seen": "one", "failed": 2}),
    ]
    cells = figures.measured(lines)
    assert cells == {"killed": ("one; two", "3")}
    text = figures.written(DOCUMENT, cells)
    assert figures.standing(text) == {**figures.standing(DOCUMENT), **cells}
    assert text.partition(figures.END)[2] == DOCUMENT.partition(figures.END)[2]


def test_what_a_test_sees_is_kept_where_the_run_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "faults.jsonl"
    monkeypatch.setenv(figures.VARIABLE, str(file))
    figures.recorded("hung", "replaced", 0)
    figures.recorded("hung", "replaced again", 0)
    assert figures.measured(file.read_text().splitlines()) == {"hung": ("replaced; replaced again", "0")}
