"""Durations, sizes and numbers: what is written comes back, and everything else is refused with its text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import scalars
from tests.support.config_files import refusal

MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
BYTES = {"": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def test_zero_needs_no_unit() -> None:
    assert (scalars.duration("0"), scalars.duration("0s"), scalars.duration("00ms")) == (0.0, 0.0, 0.0)


@given(st.integers(0, 80_000), st.sampled_from(sorted(MILLISECONDS)))
def test_a_duration_is_its_number_times_its_unit(count: int, unit: str) -> None:
    assert scalars.duration(f"{count}{unit}") * 1000 == pytest.approx(count * MILLISECONDS[unit], abs=1e-6)


@given(st.integers(0, 3650 * 86_400_000))
def test_a_duration_that_is_shown_is_read_back(milliseconds: int) -> None:
    assert scalars.duration(scalars.show_duration(milliseconds / 1000)) == milliseconds / 1000


@given(st.integers(0, 1024), st.sampled_from(sorted(BYTES)))
def test_a_size_is_its_number_times_its_unit(count: int, unit: str) -> None:
    assert scalars.size(f"{count}{unit}") == count * BYTES[unit]


@given(st.integers(0, 1024**4))
def test_a_size_that_is_shown_is_read_back(count: int) -> None:
    assert scalars.size(scalars.show_size(count)) == count


@pytest.mark.parametrize(
    "parse", [scalars.duration, scalars.size, scalars.integer, scalars.number, scalars.auto_or(1, 256)]
)
@given(text=st.text(max_size=12))
def test_any_text_is_a_value_or_a_mistake_on_one_line(parse: object, text: str) -> None:
    assert callable(parse)
    told = refusal(parse, text)
    assert told is None or (told.startswith(scalars.shown(text)) and len(told.splitlines()) == 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("30", "'30' has no unit: write 30s for seconds, or use ms, m, h"),
        ("٣", "'٣' is not a duration such as 500ms, 2s, 5m or 12h"),
        ("1.5s", "'1.5s' is not a duration such as 500ms, 2s, 5m or 12h"),
        ("1h30m", "'1h30m' is not a duration such as 500ms, 2s, 5m or 12h"),
        ("-1s", "'-1s' is not a duration such as 500ms, 2s, 5m or 12h"),
        ("1 s", "'1 s' is not a duration such as 500ms, 2s, 5m or 12h"),
        ("1s\n", "'1s\\n' is not a duration such as 500ms, 2s, 5m or 12h"),
        ("١s", "'١s' is not a duration such as 500ms, 2s, 5m or 12h"),
        ("1:30", "'1:30' is not a duration such as 500ms, 2s, 5m or 12h"),
        ("87601h", "'87601h' is longer than ten years"),
        ("9" * 400 + "h", f"'{'9' * 59}…' is longer than ten years"),
    ],
)
def test_a_wrong_duration_says_what_is_right(text: str, told: str) -> None:
    assert refusal(scalars.duration, text) == told


@pytest.mark.parametrize(
    "text", ["64KB", "64k", "1.5MiB", "-1", "0x10", "1_000", "", "KiB", "1 MiB", "1025GiB"]
)
def test_a_wrong_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a size|is larger than"):
        scalars.size(text)


@pytest.mark.parametrize("text", ["0755", "1_000", "0x10", "0o17", "1e3", "+1", " 1", "1.0", "12:30", "٣"])
def test_an_integer_is_decimal_and_nothing_else(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a whole number"):
        scalars.integer(text)


@pytest.mark.parametrize("text", ["yes", "no", "on", "off", "True", "TRUE", "1", "y", ""])
def test_a_boolean_is_true_or_false_and_none_of_the_older_spellings(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not true or false"):
        scalars.boolean(text)
    assert scalars.boolean("true") is True
    assert scalars.boolean("false") is False


def test_bounds_are_inclusive_and_named() -> None:
    parse = scalars.within(scalars.duration, 1.0, 3600.0, scalars.show_duration)
    assert (parse("1s"), parse("1h")) == (1.0, 3600.0)
    with pytest.raises(ValueError, match=r"^'999ms' is outside 1s to 1h$"):
        parse("999ms")
    with pytest.raises(ValueError, match=r"^'61m' is outside 1s to 1h$"):
        parse("61m")


def test_workers_are_a_number_or_auto() -> None:
    workers = scalars.auto_or(1, 256)
    assert workers("auto") == "auto"
    assert workers("4") == 4
    for text in ("0", "257", "Auto", "-1"):
        with pytest.raises(ValueError, match=r"is neither auto nor a whole number from 1 to 256"):
            workers(text)
