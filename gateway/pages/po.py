"""A reader of gettext's .po files: the format that translators know. Pure.

Only what we use: no contexts, no other encoding than UTF-8. Entries that are fuzzy or obsolete, or have an
empty translation, are left out, as msgfmt does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_LINE = re.compile(r'(?:(msgid|msgid_plural|msgstr|msgstr\[[0-9]\])\s+)?"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t"}


@dataclass(slots=True)
class Message:
    """One entry. `id` empty: the header."""

    id: str = ""
    # The English plural, where a number decides; the translation then has one form for each plural.
    other: str | None = None
    forms: list[str] = field(default_factory=list)
    fuzzy: bool = False
    line: int = 0

    @property
    def translated(self) -> bool:
        return bool(self.id) and all(self.forms) and not self.fuzzy


def read(text: str) -> list[Message]:
    """Return the entries of a file, the header first. Raises ValueError with the line."""
    return list(_messages(text))


def _messages(text: str) -> Iterator[Message]:
    message, at, fuzzy = Message(), "", False
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line.startswith("#"):
            fuzzy = fuzzy or (line.startswith("#,") and "fuzzy" in line)
            continue
        match = _LINE.fullmatch(line)
        if match is None or not (match[1] or at):
            raise ValueError(f"line {number}: not a line of a .po file")
        said = _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[1]), match[2])
        if match[1] == "msgid":
            if at:
                yield message
            message, fuzzy = Message(fuzzy=fuzzy, line=number), False
        at = match[1] or at
        if at == "msgid":
            message.id += said
        elif at == "msgid_plural":
            message.other = (message.other or "") + said
        elif match[1]:
            message.forms.append(said)
        else:
            message.forms[-1] += said
    if at:
        yield message
