"""What commands print for people: marks, colours where a terminal can show them, columns that line up.

Invariant: without a terminal, or with NO_COLOR set, the text is the same and holds no escape sequence.
"""

from __future__ import annotations

import codecs
import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Literal, TextIO

Mark = Literal["good", "bad", "warn", "none"]

# A sign and an SGR colour (ECMA-48 section 8.3.117); the sign alone has to do for who sees no colours.
_MARKS: dict[Mark, tuple[str, str]] = {
    "good": ("✓", "32"),
    "bad": ("✗", "31"),
    "warn": ("!", "33"),
    "none": ("·", "90"),
}
# Of a terminal's usual 80, less the indent.
_WIDTH = 100


# The same in ASCII, for terminals and files of another encoding.
_PLAIN = {"✓": "ok", "✗": "FAILED:", "·": "-", "→": "->", "—": "-", "…": "...", "•": "*"}


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    shown = [_PLAIN.get(each) or each.encode("ascii", "backslashreplace").decode("ascii") for each in text]
    return "".join(shown), error.end


codecs.register_error("cognito-gateway", _replaced)


def show_in_its_encoding(stream: TextIO) -> None:
    """Have this stream take every text: what its encoding lacks becomes ASCII that says the same."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="cognito-gateway")


class Paint:
    """Puts marks before lines and colours into them, or not."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours

    def mark(self, mark: Mark) -> str:
        sign, colour = _MARKS[mark]
        return self._in(colour, sign)

    def bold(self, text: str) -> str:
        return self._in("1", text)

    def dim(self, text: str) -> str:
        return self._in("2", text)

    def _in(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colours and text else text


def paint_for(stream: TextIO, environ: Mapping[str, str]) -> Paint:
    """Colours where `stream` is a terminal that has them, unless NO_COLOR asks for none (no-color.org)."""
    plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
    return Paint(colours=stream.isatty() and not plain)


def columns(rows: Sequence[tuple[str, ...]], *, gap: int = 2) -> list[str]:
    """Rows with all columns but the last padded to their widest member."""
    if not rows:
        return []
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    return [
        "".join(cell.ljust(width + gap) for cell, width in zip(row, widths, strict=False)) + row[-1]
        for row in rows
    ]


def wrapped(text: str, *, indent: int) -> str:
    """A paragraph under an indent; words such as commands and ARNs are never broken."""
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
