"""Parsers of scalars: numbers, durations, sizes, choices; independent of the schema.

Invariant: every parser takes the text as written and returns one value, or raises ValueError with a clause
that says what is wrong and how to write it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, TypeVar

Value = TypeVar("Value", int, float)
Word = TypeVar("Word", bound=str)

_INTEGER = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)
_NUMBER = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", re.ASCII)
_DURATION = re.compile(r"([0-9]+)(ms|s|m|h)", re.ASCII)
_SIZE = re.compile(r"([0-9]+)(KiB|MiB|GiB)?", re.ASCII)
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_BYTES = {None: 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
# Ten years: Cognito's longest lifetime (a refresh token, 3,650 days); an event loop's timers accept it.
LONGEST = 3650 * 86_400.0
# 1 TiB; for a larger limit write 0, unlimited.
LARGEST = 1024**4
# Texts in mistakes are truncated to a terminal line, and so that no whole secret in the wrong place is shown.
_SHOWN = 60


def shown(text: str) -> str:
    """Return the text quoted and truncated on one line, for a mistake."""
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


def integer(text: str) -> int:
    if not _INTEGER.fullmatch(text) or len(text) > 18:
        raise ValueError(f"{shown(text)} is not a whole number")
    return int(text)


def number(text: str) -> float:
    if not _NUMBER.fullmatch(text) or len(text) > 18:
        raise ValueError(f"{shown(text)} is not a number such as 10 or 0.5")
    return float(text)


def duration(text: str) -> float:
    """Parse a duration to seconds. `0` needs no unit."""
    if text == "0":
        return 0.0
    match = _DURATION.fullmatch(text)
    if match is None:
        if text.isascii() and text.isdigit():
            raise ValueError(f"{shown(text)} has no unit: write {text}s for seconds, or use ms, m, h")
        raise ValueError(f"{shown(text)} is not a duration such as 500ms, 2s, 5m or 12h")
    if len(text) > 18 or int(match[1]) * _MILLISECONDS[match[2]] / 1000 > LONGEST:
        raise ValueError(f"{shown(text)} is longer than ten years")
    return int(match[1]) * _MILLISECONDS[match[2]] / 1000


def size(text: str) -> int:
    """Parse a size to bytes."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{shown(text)} is not a size such as 65536, 64KiB, 1MiB or 1GiB")
    if len(text) > 18 or int(match[1]) * _BYTES[match[2]] > LARGEST:
        raise ValueError(f"{shown(text)} is larger than 1024GiB")
    return int(match[1]) * _BYTES[match[2]]


_SECRET = re.compile(r"[!-~]{1,256}", re.ASCII)


def secret(text: str) -> str:
    """Return the text without surrounding white space. Raises ValueError without repeating any of it."""
    found = text.strip()
    if _SECRET.fullmatch(found) is None:
        raise ValueError(
            "the variable's value is not a secret of 1 to 256 printable ASCII characters without blanks"
        )
    return found


def boolean(text: str) -> bool:
    if text in {"true", "false"}:
        return text == "true"
    raise ValueError(f"{shown(text)} is not true or false")


def auto_or(least: int, most: int) -> Callable[[str], int | Literal["auto"]]:
    def parse(text: str) -> int | Literal["auto"]:
        if text == "auto":
            return "auto"
        try:
            return within(integer, least, most, str)(text)
        except ValueError:
            raise ValueError(
                f"{shown(text)} is neither auto nor a whole number from {least} to {most}"
            ) from None

    return parse


def choice(*words: Word) -> Callable[[str], Word]:
    def parse(text: str) -> Word:
        for word in words:
            if word == text:
                return word
        raise ValueError(f"{shown(text)} is not one of {', '.join(words)}")

    return parse


def within(
    parse: Callable[[str], Value], least: Value, most: Value, show: Callable[[Value], str]
) -> Callable[[str], Value]:
    """Return a parser that also refuses values below `least` or above `most`."""

    def bounded(text: str) -> Value:
        value = parse(text)
        if not least <= value <= most:
            raise ValueError(f"{shown(text)} is outside {show(least)} to {show(most)}")
        return value

    return bounded


def show_duration(seconds: float) -> str:
    """Format seconds in the shortest way that `duration` reads back."""
    milliseconds = round(seconds * 1000)
    if milliseconds == 0:
        return "0s"
    for unit in ("h", "m", "s"):
        if milliseconds % _MILLISECONDS[unit] == 0:
            return f"{milliseconds // _MILLISECONDS[unit]}{unit}"
    return f"{milliseconds}ms"


def show_size(count: int) -> str:
    """Format bytes in the shortest way that `size` reads back."""
    for unit in ("GiB", "MiB", "KiB"):
        if count and count % _BYTES[unit] == 0:
            return f"{count // _BYTES[unit]}{unit}"
    return str(count)


def shaped(pattern: str, what: str, longest: int) -> Callable[[str], str]:
    """Return a parser for text of this pattern; `what` completes the sentence "'x' is not …"."""
    compiled = re.compile(pattern, re.ASCII)

    def parse(text: str) -> str:
        if not compiled.fullmatch(text) or len(text) > longest:
            raise ValueError(f"{shown(text)} is not {what}")
        return text

    return parse
