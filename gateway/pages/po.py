"""A reader of gettext's .po files: the format that translators know. Pure.

Only what we use: no contexts, no other encoding than UTF-8. Entries that are fuzzy or obsolete, or have an
empty translation, are left out, as msgfmt does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE = re.compile(r'(?:(msgid|msgid_plural|msgstr|msgstr\[[0-9]\])\s+)?"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Message:
    """One entry. `id` empty: the header."""

    id: str
    # The English plural, where a number decides; the translation then has one form for each plural.
    other: str | None
    forms: list[str]
    fuzzy: bool = False

    @property
    def translated(self) -> bool:
        return bool(self.id) and all(self.forms) and not self.fuzzy


def read(text: str) -> list[Message]:
    """Return the entries of a file, the header first. Raises ValueError with the line."""
    return [_message(fields, fuzzy=fuzzy) for fields, fuzzy in _entries(text)]


def _entries(text: str) -> Iterator[tuple[dict[str, str], bool]]:
    """Yield each entry's strings by their keyword, and whether it is fuzzy."""
    fields: dict[str, str] = {}
    at, fuzzy, coming = "", False, False
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line.startswith("#"):
            coming = coming or (line.startswith("#,") and "fuzzy" in line)
            continue
        match = _LINE.fullmatch(line)
        if match is None or not (match[1] or at):
            raise ValueError(f"line {number}: not a line of a .po file")
        if match[1] == "msgid":
            if fields:
                yield fields, fuzzy
            fields, fuzzy, coming = {}, coming, False
        at = match[1] or at
        said = _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[1]), match[2])
        fields[at] = fields.get(at, "") + said
    if fields:
        yield fields, fuzzy


def _message(fields: dict[str, str], *, fuzzy: bool) -> Message:
    forms = [text for keyword, text in sorted(fields.items()) if keyword.startswith("msgstr")]
    return Message(fields.get("msgid", ""), fields.get("msgid_plural"), forms, fuzzy)
