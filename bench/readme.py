"""The README's benchmark figures, generated from a run's JSON only. Pure.

Invariant: between the two marks are the results of one run, with its command.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"
OURS = "gateway"
# Options about files, which do not affect the figures.
_FILES = ("--json", "--svg", "--gateway")


def command(argv: Sequence[str]) -> str:
    """Return the command that repeats a run, without its file options."""
    kept: list[str] = []
    skip = False
    for argument in argv:
        if skip:
            skip = False
        elif argument in _FILES:
            skip = True
        elif argument != "--keep" and not argument.startswith(tuple(f"{name}=" for name in _FILES)):
            kept.append(argument)
    return f'make bench ARGS="{shlex.join(kept)}"' if kept else "make bench"


def between_marks(text: str, section: str) -> str:
    """Replace the text between the marks. Raises ValueError if they are missing."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"it lacks {BEGIN} or {END}")
    return f"{head}{BEGIN}\n{section}\n{END}{tail}"


def section(written: Mapping[str, Any]) -> str:
    """Return the tables: CPU per request by contestant, and each goal with its result.

    Raises ValueError if the run measured neither, KeyError if this is not a run's JSON.
    """
    works = list(written["works"].values())
    tables = [table for table in (_costs(works), _bars(works)) if table]
    if not tables:
        raise ValueError("the run has no figures for it")
    run = written["run"]
    made = (
        f"Measured by `{run['command']}` on {run['at'][:10]}: {run['cpu']}, {run['cpus']} CPUs, "
        f"Linux {run['kernel']}, Python {run['python']}."
    )
    return "\n\n".join([*tables, made])


def _costs(works: Sequence[Mapping[str, Any]]) -> str:
    works = [work for work in works if work["headline"] == "cpu_us"]
    names: dict[str, str] = {}
    for work in works:
        for name, entry in work["contestants"].items():
            if _measured(entry):
                names.setdefault(name, f"{entry['title']} {entry['version']}".strip())
    if not names:
        return ""
    rows = [["CPU µs per request", *names.values()], ["---", *["--:"] * len(names)]]
    for work in works:
        rows.append([work["title"], *(_cost(work["contestants"].get(name), name) for name in names)])
    return "\n".join(_row(row) for row in rows)


def _cost(entry: Mapping[str, Any] | None, name: str) -> str:
    if entry is None or not _measured(entry):
        return "–"
    value = f"{entry['medians']['cpu_us']:,.1f}"
    if name == OURS:
        return f"**{value}**"
    factor = entry["ours_to_it"]
    return value if factor is None else f"{value} (ratio {factor:.2f})"


def _bars(works: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            f"{work['title']}: {bar['what']}",
            f"≤ {bar['limit']:g}",
            f"{bar['value']:.2f}{'' if bar['met'] else ' (missed)'}",
        ]
        for work in works
        for bar in work["bars"]
        if bar["value"] is not None
    ]
    head = [["", "target", "measured"], ["---", "--:", "--:"]]
    return "\n".join(_row(row) for row in [*head, *rows]) if rows else ""


def _measured(entry: Mapping[str, Any]) -> bool:
    return not entry["failed"] and bool(entry["rounds"])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
