"""Forms and queries: one reading, or none."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import MalformedForm
from gateway.http.forms import parse_fields

_TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"))


@given(st.dictionaries(_TEXT.filter(bool), _TEXT, max_size=20))
def test_forms_of_browsers_are_parsed(fields: dict[str, str]) -> None:
    assert parse_fields(urlencode(fields)) == fields


@pytest.mark.parametrize(
    "text", ["a=1&a=2", "a=%zz", "a=%", "a=%ff", "a=ä", "a=%00", "&".join(f"a{n}=" for n in range(101))]
)
def test_ambiguous_forms_are_refused(text: str) -> None:
    with pytest.raises(MalformedForm):
        parse_fields(text)


@given(st.text(max_size=80))
def test_nothing_else_raises(text: str) -> None:
    try:
        fields = parse_fields(text)
    except MalformedForm:
        return
    assert all(isinstance(value, str) for value in fields.values())
