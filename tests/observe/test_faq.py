"""docs/faq.md: each symptom is a text that the code really writes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SYMPTOMS = re.findall(r"(?m)^\| `([^`]+)` \|", (ROOT / "docs/faq.md").read_text(encoding="utf-8"))


def texts() -> Iterator[str]:
    """Every text of the gateway's code but its docstrings, and the pieces of those with values in them."""
    for path in (ROOT / "gateway").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        said = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
                yield node.value


# strerror's, which no text of ours repeats.
SYSTEM = {"connection refused"}


@pytest.fixture(scope="module")
def written() -> str:
    return "\n".join({*texts(), *SYSTEM})


@pytest.mark.parametrize("symptom", SYMPTOMS)
def test_a_symptom_is_a_text_that_the_code_writes(symptom: str, written: str) -> None:
    assert symptom in written


def test_the_page_has_symptoms_of_each_kind_and_none_twice() -> None:
    assert len(SYMPTOMS) == len(set(SYMPTOMS)) > 35
