"""Formatting of log records as lines: JSON for machines, text for people. Pure.

Invariant: a line is ASCII without control characters except its final newline, whatever the values contain,
so that no client can forge a line; and it is never longer than ATOMIC_WRITE.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring_ascii
from math import isfinite
from typing import TypeAlias

from gateway.observe.sink import ATOMIC_WRITE

Render: TypeAlias = Callable[[Mapping[str, object]], str]

# Characters that need no quotes in a text line; anything else is quoted as in JSON.
_BARE = re.compile(r"[A-Za-z0-9_.:/@+,%~-]+").fullmatch

# Values are truncated to ever fewer characters until the line fits: one takes up to 12 bytes (\ud83d\ude00).
_CUTS = (1024, 512, 256, 64, 16)
_ELLIPSIS = "…"


def quote(text: str) -> str:
    """Return a JSON string literal in ASCII.

    Lone surrogates become visible escapes, because strict parsers refuse them.
    """
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode()
    return encode_basestring_ascii(text)


def json_record(record: Mapping[str, object]) -> str:
    """Format a record as one JSON object without newline; keys are ours and need no escaping."""
    return "{" + ",".join([f'"{key}":{_json(value)}' for key, value in record.items()]) + "}"


def text_record(record: Mapping[str, object]) -> str:
    """Format a record as `TIME LEVEL event key=value …`; null fields are omitted."""
    head = f"{record['timestamp']} {str(record['level']).upper():7} {record['event']}"
    fields = [(key, value) for key, value in record.items() if key not in _HEAD and value is not None]
    return head + "".join([f" {key}={_text(value)}" for key, value in fields])


def fit(record: Mapping[str, object], render: Render) -> bytes:
    """Format a record with its newline, truncating long values to fit into one atomic write."""
    line = render(record)
    if len(line) >= ATOMIC_WRITE:
        line = _shortened(record, render)
    return line.encode("ascii") + b"\n"


_HEAD = frozenset({"timestamp", "level", "event"})


def _shortened(record: Mapping[str, object], render: Render) -> str:
    for limit in _CUTS:
        line = render({key: _cut(value, limit) for key, value in record.items()})
        if len(line) < ATOMIC_WRITE:
            return line
    # Hundreds of fields: what is left tells the author of the record.
    return render({key: value for key, value in record.items() if key in _HEAD} | {"fields": _ELLIPSIS})


def _cut(value: object, limit: int) -> object:
    if isinstance(value, (list, tuple, set, frozenset, Mapping)):
        value = _json(value)
    if not isinstance(value, str) or len(value) <= limit:
        return value
    # The end of a traceback and the beginning of a path say the most: both are kept.
    head = limit // 2
    return value[:head] + _ELLIPSIS + value[head - limit :]


def _text(value: object) -> str:
    if isinstance(value, str) and _BARE(value):
        return value
    return _json(value)


def _json(value: object) -> str:
    if isinstance(value, str):
        return quote(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value) if isfinite(value) else "null"
    if isinstance(value, Mapping):
        return "{" + ",".join([f"{quote(str(key))}:{_json(item)}" for key, item in value.items()]) + "}"
    if isinstance(value, (list, tuple, set, frozenset)):
        return "[" + ",".join([_json(item) for item in value]) + "]"
    # Never repr(): an unknown object's may contain a secret.
    return quote(f"<{type(value).__name__}>")
