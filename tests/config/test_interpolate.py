"""References to the environment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.interpolate import interpolate
from tests.support.config_files import refusal

BROKEN = "what begins with ${ is not a reference: write ${NAME} or ${NAME:-default}, or $${ for itself"
NAMES = st.from_regex(r"\A[A-Z_][A-Z0-9_]{0,8}\Z")


@given(st.text())
def test_doubled_dollars_are_literal(text: str) -> None:
    assert interpolate(text.replace("$", "$$"), {}) == text


@given(NAMES, st.text(min_size=1), st.text(alphabet="ab-. /"), st.text(alphabet="ab-. /"))
def test_a_reference_is_the_variable_and_the_rest_stays(name: str, value: str, left: str, right: str) -> None:
    assert interpolate(f"{left}${{{name}}}{right}", {name: value}) == f"{left}{value}{right}"
    assert interpolate(f"{left}${{{name}:-{right}}}", {name: value}) == f"{left}{value}"


@given(NAMES, st.text().filter(lambda text: "}" not in text))
def test_the_default_replaces_a_variable_that_is_unset_or_empty(name: str, default: str) -> None:
    assert interpolate(f"${{{name}:-{default}}}", {}) == default
    assert interpolate(f"${{{name}:-{default}}}", {name: ""}) == default


def test_a_value_is_not_looked_into_again() -> None:
    assert interpolate("${A}", {"A": "${B} $$", "B": "no"}) == "${B} $$"


def test_a_dollar_before_anything_else_is_itself() -> None:
    assert interpolate("a$b $5 $", {"b": "no"}) == "a$b $5 $"
    assert interpolate("$${A}", {"A": "no"}) == "${A}"


def test_an_empty_variable_is_set() -> None:
    assert interpolate("[${A}]", {"A": ""}) == "[]"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("${A}", "the environment variable A is not set: set it, or write ${A:-default}"),
        ("${A", BROKEN),
        ("${}", BROKEN),
        ("${1}", BROKEN),
        ("${A-b}", BROKEN),
        ("${A:?no}", BROKEN),
    ],
)
def test_a_wrong_reference_says_what_is_right(text: str, told: str) -> None:
    assert refusal(lambda each: interpolate(each, {}), text) == told


def test_every_reference_that_fails_is_named() -> None:
    with pytest.raises(ValueError, match=r"variable A is not set.*variable B is not set"):
        interpolate("${A}${B}", {})
