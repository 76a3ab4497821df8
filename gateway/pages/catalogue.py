"""Catalogues: the texts of the pages in one language, with the operator's own texts over them.

A catalogue is loaded with the first page in its language and shared by all configurations; English needs
none. Invariant: a text without a translation is said in English, and a translation has the placeholders of
the English text (tests/pages/test_catalogues.py, messages_file.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from markupsafe import Markup, escape

from gateway.pages import po
from gateway.texts import Text, Value

FOLDER = Path(__file__).with_name("languages")
# The template that translators start from: every text of the pages.
TEMPLATE = FOLDER / "messages.pot"
ENGLISH = "en"
# One form for each plural.
Forms = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Language:
    """A language that we ship. `name`: in the language itself; `plural`: from a number to its form, of
    `plurals` (Unicode CLDR, "Language Plural Rules")."""

    name: str
    plurals: int
    plural: Callable[[int], int]


def _one_or_other(number: int) -> int:
    return int(number != 1)


def _up_to_one_or_more(number: int) -> int:
    return int(number > 1)


def _alike(number: int) -> int:
    del number
    return 0


# Tag (RFC 5646) → language; in the order of the names on the pages.
LANGUAGES: Mapping[str, Language] = {
    "de": Language("Deutsch", 2, _one_or_other),
    ENGLISH: Language("English", 2, _one_or_other),
    "es": Language("Español", 2, _one_or_other),
    "fr": Language("Français", 2, _up_to_one_or_more),
    "pt-BR": Language("Português (Brasil)", 2, _up_to_one_or_more),
    "ja": Language("日本語", 1, _alike),
    "zh-Hans": Language("简体中文", 1, _alike),
}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The texts in one language. `own`: the operator's, which come first."""

    language: str
    messages: Mapping[str, Forms] = field(repr=False)
    own: Mapping[str, Forms] = field(repr=False)

    def say(self, said: str) -> str:
        """Return the text in this language; a plain string, such as a name, unchanged."""
        if not isinstance(said, Text):
            return said
        form, values = self._form(said.id, said.other, said.values), self._said(said.values)
        return form.format(**values) if values else form

    def markup(self, said: str, other: str | None, values: Mapping[str, Value]) -> Markup:
        """Return a template's text as markup: it is escaped, and so is each value that is not markup."""
        form, given = escape(self._form(said, other, values)), self._said(values)
        return form.format(**given) if given else form

    def _said(self, values: Mapping[str, Value]) -> dict[str, Value]:
        return {name: self.say(value) if isinstance(value, Text) else value for name, value in values.items()}

    def _form(self, said: str, other: str | None, values: Mapping[str, Value]) -> str:
        forms, language = self.own.get(said) or self.messages.get(said), self.language
        if forms is None:
            forms, language = (said, other or said), ENGLISH
        if other is None:
            return forms[0]
        count = values["count"]
        assert isinstance(count, int), "what a plural is chosen by"
        return forms[LANGUAGES[language].plural(count)]


@cache
def shipped(language: str) -> Mapping[str, Forms]:
    """Return the catalogue that we ship."""
    if language == ENGLISH:
        return {}
    text = (FOLDER / f"{language}.po").read_text(encoding="utf-8")
    return {each.id: tuple(each.forms) for each in po.read(text) if each.translated}


@cache
def texts() -> Mapping[str, str | None]:
    """Return every text of the pages with its plural, if it has one."""
    return {each.id: each.other for each in po.read(TEMPLATE.read_text(encoding="utf-8")) if each.id}
