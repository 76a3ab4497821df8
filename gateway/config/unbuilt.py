"""What the schema promises and this version does not do yet: refused in so many words, never ignored.

A part that gets built loses its line here, and that is all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gateway.config.report import Report
from gateway.config.shapes import Key, ListOf, Section
from gateway.config.table import SCHEMA
from gateway.config.validate import Typed, default_of

_INDEX = re.compile(r"\[[0-9]+\]")
# Key → what to do instead. Such a key is accepted at its default only; [] stands for every item of a list.
NOT_BUILT: Mapping[str, str] = {
    "tracing": "tracing is not built yet: leave it at null",
}


def refuse_unbuilt(typed: Typed, report: Report) -> None:
    """A mistake for every key that asks for something this version cannot do."""
    _section(SCHEMA, typed.values, "", typed, report)


def _section(section: Section, values: dict[str, Any], path: str, typed: Typed, report: Report) -> None:
    for key in section.keys:
        where = f"{path}{key.name}"
        value = values[key.name]
        if value is None:
            continue
        sentence = _sentence(key, where, value)
        if sentence is not None:
            report.mistake(typed.place(where), where, sentence)
        elif isinstance(key.shape, Section):
            _section(key.shape, value, f"{where}.", typed, report)
        elif isinstance(key.shape, ListOf) and isinstance(key.shape.of, Section):
            for index, item in enumerate(value):
                if item is not None:
                    _section(key.shape.of, item, f"{where}[{index}].", typed, report)


def _sentence(key: Key, where: str, value: Any) -> str | None:
    name = _INDEX.sub("[]", where)
    return NOT_BUILT.get(name) if value != default_of(key) else None
