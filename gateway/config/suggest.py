"""Suggestions for unknown names: the nearest known one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gateway.config.shapes import ListOf, Section
from gateway.config.table import SCHEMA

# difflib's default: lower values suggest guesses; across sections, only typing errors.
_CLOSE = 0.6
_VERY_CLOSE = 0.8


def nearest(name: str, siblings: tuple[str, ...], path: str) -> str:
    """Return the end of "unknown key: …": a similar sibling, the same key elsewhere, or all siblings."""
    if close := closest(name.replace("-", "_"), siblings):
        return f"did you mean {close}?"
    here = path.partition("[")[0]
    elsewhere = [known for known in _paths(SCHEMA, "") if known.rpartition(".")[2] == name and known != here]
    if elsewhere:
        return f"did you mean {elsewhere[0]}?"
    names = {known.rpartition(".")[2] for known in _paths(SCHEMA, "")}
    if close := closest(name.replace("-", "_"), names, _VERY_CLOSE):
        owner = next(known for known in _paths(SCHEMA, "") if known.rpartition(".")[2] == close)
        return f"did you mean {owner}?"
    return f"known here: {', '.join(siblings)}"


def closest(name: str, known: Iterable[str], cutoff: float = _CLOSE) -> str | None:
    import difflib  # noqa: PLC0415 - only loaded for a mistake

    return next(iter(difflib.get_close_matches(name.lower(), sorted(known), n=1, cutoff=cutoff)), None)


def _paths(section: Section[Any], path: str) -> Iterator[str]:
    for key in section.keys:
        where = f"{path}{key.name}"
        yield where
        if isinstance(key.shape, Section):
            yield from _paths(key.shape, f"{where}.")
        elif isinstance(key.shape, ListOf) and isinstance(key.shape.of, Section):
            yield from _paths(key.shape.of, f"{where}[].")
