"""Generator of config/gateway.example.yaml: every key with its default and description.

Examples are commented out, so that the unchanged file means "all defaults". Lines end before column 80, as
yamllint requires.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from gateway.config.shapes import Key, ListOf, MapOf, Section
from gateway.config.table import SCHEMA

_WIDTH = 79
_HEAD = """\
# yaml-language-server: $schema=gateway.schema.json
#
# Every key of cognito-gateway with its default and documentation. Generated:
# change gateway/config/table_*.py and run `make config`. Your own file needs
# only the keys that differ; start from gateway.minimal.yaml.
#
# Durations are 500ms, 2s, 5m, 12h; sizes 65536, 64KiB, 1MiB. ${NAME} and
# ${NAME:-default} read the environment, $$ is a dollar sign. Check with:
#   cognito-gateway check-config FILE
---
"""


def example(*, live: bool = False) -> str:
    """Return the file's text; `live` uncomments the examples, which is how the tests check them."""
    return _HEAD + "\n".join(_section(SCHEMA, 0, live=live)).rstrip("\n") + "\n"


def value_of(key: Key) -> str:
    """Return the default as YAML."""
    if isinstance(key.shape, MapOf):
        return "{}"
    if isinstance(key.default, tuple):
        return f"[{', '.join(key.default)}]"
    return "null" if key.default is None else key.default


def _section(section: Section[Any], indent: int, *, live: bool) -> Iterator[str]:
    for key in section.keys:
        yield from _comment(key.why, indent)
        if isinstance(key.shape, Section) and not key.nullable:
            yield f"{' ' * indent}{key.name}:"
            yield from _section(key.shape, indent + 2, live=live)
        else:
            yield from _leaf(key, indent, live=live)
        if not indent:
            yield ""


def _leaf(key: Key, indent: int, *, live: bool) -> Iterator[str]:
    """Yield a key with its default and, commented out, its example."""
    pad = " " * indent
    shown: list[str] = []
    if isinstance(key.shape, ListOf) and isinstance(key.shape.of, Section):
        shown = [f"{key.name}:", *_item(key.shape.of)]
    elif isinstance(key.shape, Section):
        shown = [f"{key.name}:", *_filled(key.shape, "  ")]
    elif key.example is not None:
        shown = [f"{key.name}: {key.example}"]
    if not (live and shown):
        yield f"{pad}{key.name}: {value_of(key)}"
    if shown and not live:
        yield f"{pad}# For example:"
    yield from (f"{pad}{line}" if live else f"{pad}# {line}" for line in shown)
    if shown and indent:
        yield ""


def _item(section: Section[Any]) -> Iterator[str]:
    """Yield one list item with every key."""
    lines = list(_filled(section, "    "))
    first = next(index for index, line in enumerate(lines) if not line.lstrip().startswith("#"))
    for index, line in enumerate(lines):
        yield "  - " + line[4:] if index == first else line


def _filled(section: Section[Any], pad: str) -> Iterator[str]:
    for key in section.keys:
        note = " Required." if key.required else ""
        yield from _comment(key.why + note, len(pad) + 2, pad)
        yield f"{pad}{key.name}: {key.example or value_of(key)}"


def _comment(text: str, indent: int, pad: str | None = None) -> Iterator[str]:
    pad = " " * indent if pad is None else pad
    for line in textwrap.wrap(text, _WIDTH - indent - 4, break_long_words=False, break_on_hyphens=False):
        yield f"{pad}# {line}"
