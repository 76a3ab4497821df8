"""Terminal output of commands: status marks, colours where supported, aligned columns.

Invariant: without a terminal, or with NO_COLOR set, the text is the same and holds no escape sequence.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import sys
import textwrap
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, TextIO

Mark = Literal["good", "bad", "warn", "none"]

# A sign and an SGR colour (ECMA-48 section 8.3.117); the sign has to suffice without colours.
_MARKS: dict[Mark, tuple[str, str]] = {
    "good": ("✓", "32"),
    "bad": ("✗", "31"),
    "warn": ("!", "33"),
    "none": ("·", "90"),
}
# Commands and ARNs are long: a little wider than a standard terminal's 80 columns.
_WIDTH = 100
# Seconds: a shorter wait is not worth a line, and after a longer one people wonder whether something hangs.
_PATIENCE = 2.0


# ASCII replacements, for terminals and files in another encoding.
_PLAIN = {"✓": "ok", "✗": "FAILED:", "·": "-", "→": "->", "—": "-", "…": "...", "•": "*"}


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    shown = [_PLAIN.get(each) or each.encode("ascii", "backslashreplace").decode("ascii") for each in text]
    return "".join(shown), error.end


codecs.register_error("cognito-gateway", _replaced)


def show_in_its_encoding(stream: TextIO) -> None:
    """Make the stream accept any text, replacing what its encoding lacks with ASCII equivalents."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="cognito-gateway")


class Paint:
    """Adds marks and, if enabled, colours to text."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours

    def mark(self, mark: Mark) -> str:
        sign, colour = _MARKS[mark]
        return self._in(colour, sign)

    def bold(self, text: str) -> str:
        return self._in("1", text)

    def _in(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colours and text else text


def paint_for(stream: TextIO, environ: Mapping[str, str]) -> Paint:
    """Return a `Paint`, with colours if `stream` is a terminal that has them and NO_COLOR is unset."""
    plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
    return Paint(colours=stream.isatty() and not plain)


def columns(rows: Sequence[tuple[str, ...]], *, gap: int = 2) -> list[str]:
    """Return the rows as lines, with every column but the last padded to its widest cell."""
    if not rows:
        return []
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    return [
        "".join(cell.ljust(width + gap) for cell, width in zip(row, widths, strict=False)) + row[-1]
        for row in rows
    ]


def wrapped(text: str, *, indent: int) -> str:
    """Return the text as an indented paragraph; long words such as commands and ARNs are not broken."""
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


# What the command waits for now, outermost first. The terminal shows the innermost, once.
_waits: list[str] = []


@contextlib.contextmanager
def waiting_for(what: str) -> Iterator[None]:
    """Report on standard error, if that is a terminal, what a block waits for after 2 s.

    In a block of many short waits, the wait is that of the whole block; the report names the current one.
    """
    if not sys.stderr.isatty():
        yield
        return
    _waits.append(what)
    timer = threading.Timer(_PATIENCE, _say_what_for)
    # The program may end meanwhile, by Ctrl-C for example.
    timer.daemon = True
    if len(_waits) == 1:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
        _waits.pop()


def _say_what_for() -> None:
    # A wait can end meanwhile, in the other thread.
    for what in _waits[-1:]:
        sys.stderr.write(f"Waiting for {what} …\n")
