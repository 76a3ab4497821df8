"""Texts for people: the English text with its values, so that the pages can say it in another language. Pure.

The English text is the message's ID in the catalogues (gateway/pages/languages). A `Text` is a string in
English, for logs, programs and tests; gateway/pages/catalogue.py says it in the reader's language.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

# What a text may contain: a name or an address, a number, or another text, which is translated too.
Value: TypeAlias = "str | int"
Packed: TypeAlias = list[Any]


class Text(str):
    """A text in English. `id`: the same with {placeholders}; `other`: its plural, chosen by the value
    `count`."""

    id: str
    other: str | None
    values: Mapping[str, Value]

    def __new__(cls, said: str, /, **values: Value) -> Text:
        """Return the text; `said` is a literal, which `make config` finds."""
        return cls._made(said, None, values)

    @classmethod
    def counted(cls, one: str, other: str, count: int, /, **values: Value) -> Text:
        """Return the text for this number. Both are literals; `other` has the placeholder {count}."""
        return cls._made(one, other, {**values, "count": count})

    @classmethod
    def of(cls, said: str) -> Text:
        """Return a text of gateway/errors.py, which has no values or is one of these already."""
        return said if isinstance(said, Text) else cls(said)

    @classmethod
    def _made(cls, said: str, other: str | None, values: Mapping[str, Value]) -> Text:
        english = said if other is None or values["count"] == 1 else other
        made = super().__new__(cls, english.format(**values) if values else english)
        made.id, made.other, made.values = said, other, values
        return made

    # --- in a cookie, between two pages ---

    def packed(self) -> Packed:
        """Return the text as JSON."""
        packed = {
            name: value.packed() if isinstance(value, Text) else value for name, value in self.values.items()
        }
        return [self.id, self.other, packed]

    @classmethod
    def unpacked(cls, packed: Packed) -> Text:
        """Return what `packed` packed. Raises ValueError, TypeError, KeyError or IndexError."""
        said, other, values = packed
        return cls._made(
            said,
            other,
            {
                name: cls.unpacked(value) if isinstance(value, list) else value
                for name, value in values.items()
            },
        )
