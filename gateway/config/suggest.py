"""The nearest known name for one that is not known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gateway.config.shapes import ListOf, Section
from gateway.config.table import SCHEMA

# difflib's own default: below it the suggestions look like guesses; across sections, only slips of a letter.
_CLOSE = 0.6
_VERY_CLOSE = 0.8


def nearest(name: str, siblings: tuple[str, ...], path: str) -> str:
    """The end of "unknown key: …": a sibling spelled alike, the same key elsewhere, or all there are."""
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
    import difflib  # noqa: PLC0415 - only needed once something is wrong; a start does not pay for it

    return next(iter(difflib.get_close_matches(name.lower(), sorted(known), n=1, cutoff=cutoff)), None)


def _paths(section: Section[Any], path: str) -> Iterator[str]:
    for key in section.keys:
        where = f"{path}{key.name}"
        yield where
        if isinstance(key.shape, Section):
            yield from _paths(key.shape, f"{where}.")
        elif isinstance(key.shape, ListOf) and isinstance(key.shape.of, Section):
            yield from _paths(key.shape.of, f"{where}[].")
