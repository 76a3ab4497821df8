"""The report of a run: a table for people, JSON with every round for machines. Pure except for `machine`."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.control import Control, control_of
from bench.goals import Goal, Verdict
from bench.parts import Parts
from bench.stats import Sample, medians, ratio, spread

OURS = "gateway"
BASELINE = "nginx"


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of a sample: its key, its heading with the unit, and its decimals."""

    key: str
    heading: str
    decimals: int = 1


@dataclass(slots=True)
class Entry:
    """One contestant's rounds. `failed`: why there are no more; `unchecked`: faults it cannot detect."""

    name: str
    title: str
    version: str
    unchecked: list[str]
    rounds: list[Sample] = field(default_factory=list)
    failed: str | None = None
    # None: not counted.
    parts: Parts | None = None

    @property
    def label(self) -> str:
        return f"{self.title} {self.version}".strip()


@dataclass(slots=True)
class Outcome:
    """The results of one work. `left_out`: contestants that were not started, with the reason."""

    name: str
    title: str
    columns: Sequence[Column]
    headline: Column | None
    wanted_rounds: int
    goals: Sequence[Goal] = ()
    # Whether figures are rows instead of columns.
    tall: bool = False
    entries: list[Entry] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    # The second nginx.
    again: Entry | None = None

    def control(self) -> Control | None:
        """Return the control; None if it was not measured."""
        first = next((entry for entry in self.measured() if entry.name == BASELINE), None)
        if self.again is None or self.again.failed or first is None or self.headline is None:
            return None
        return control_of(self.again.rounds, first.rounds, self.headline.key)

    def measured(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.failed is None and entry.rounds]

    def verdicts(self) -> list[Verdict]:
        rounds = {entry.name: entry.rounds for entry in self.measured()}
        return [Verdict(goal.what, goal.limit, goal.value(rounds, OURS)) for goal in self.goals]

    def ratio_to(self, entry: Entry) -> float | None:
        """Return our value divided by theirs in the headline column; None if either is missing."""
        ours = next((mine for mine in self.measured() if mine.name == OURS), None)
        if ours is None or self.headline is None or entry is ours:
            return None
        return ratio(ours.rounds, entry.rounds, self.headline.key)


def table(outcome: Outcome) -> str:
    """Return the outcome as text: medians, the headline's range, our ratio to each."""
    if outcome.tall:
        return _aligned(outcome, _figures_down(outcome))
    heading = ["", *(column.heading for column in outcome.columns)]
    if outcome.headline is not None:
        heading += [f"{outcome.headline.heading}, range", "ours ÷ peer"]
    rows = [heading]
    for entry in outcome.measured():
        middle = medians(entry.rounds)
        row = [entry.label, *(f"{middle[c.key]:,.{c.decimals}f}" for c in outcome.columns)]
        if outcome.headline is not None:
            low, high = spread(entry.rounds, outcome.headline.key)
            factor = outcome.ratio_to(entry)
            decimals = outcome.headline.decimals
            row.append(f"{low:,.{decimals}f} – {high:,.{decimals}f}")
            row.append("" if factor is None else f"{factor:.2f}")
        rows.append(row)
    return _aligned(outcome, rows)


def _figures_down(outcome: Outcome) -> list[list[str]]:
    """Return a row per figure; a dash if it was not measured."""
    entries = [(entry, medians(entry.rounds)) for entry in outcome.measured()]
    rows = [["", *(entry.label for entry, _ in entries)]]
    for column in outcome.columns:
        values = [
            f"{got[column.key]:,.{column.decimals}f}" if column.key in got else "–" for _, got in entries
        ]
        rows.append([column.heading, *values])
    return rows


def _aligned(outcome: Outcome, rows: list[list[str]]) -> str:
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    rounds = "one round" if outcome.wanted_rounds == 1 else f"medians of {outcome.wanted_rounds} rounds"
    lines = [f"{outcome.title} ({rounds})"]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([*lines, *_remarks(outcome)])


def _remarks(outcome: Outcome) -> list[str]:
    remarks = [
        f"{entry.title} cannot check: {', '.join(entry.unchecked)}"
        for entry in outcome.measured()
        if entry.unchecked
    ]
    remarks += [f"{entry.label} not measured: {entry.failed}" for entry in outcome.entries if entry.failed]
    remarks += [f"{name} left out: {why}" for name, why in outcome.left_out.items()]
    remarks += [f"{entry.label}: {entry.parts}" for entry in outcome.measured() if entry.parts is not None]
    control = outcome.control()
    return [*([] if control is None else [str(control)]), *map(str, outcome.verdicts()), *remarks]


def as_json(outcomes: Sequence[Outcome], run: dict[str, object]) -> dict[str, object]:
    """Return everything: the run, and by work and contestant every round, the medians and our ratio."""
    return {
        "run": run,
        "works": {
            outcome.name: {
                "title": outcome.title,
                "headline": outcome.headline.key if outcome.headline is not None else None,
                "left_out": outcome.left_out,
                "control": _control(outcome.control()),
                "columns": {column.key: column.heading for column in outcome.columns},
                "bars": [
                    {"what": verdict.what, "limit": verdict.limit, "value": verdict.value, "met": verdict.met}
                    for verdict in outcome.verdicts()
                ],
                "contestants": {
                    entry.name: {
                        "title": entry.title,
                        "version": entry.version,
                        "cannot_check": entry.unchecked,
                        "failed": entry.failed,
                        "rounds": [dict(sample) for sample in entry.rounds],
                        "medians": medians(entry.rounds),
                        "ours_to_it": outcome.ratio_to(entry),
                        "parts": None if entry.parts is None else asdict(entry.parts),
                    }
                    for entry in outcome.entries
                },
            }
            for outcome in outcomes
        },
    }


def _control(control: Control | None) -> dict[str, object] | None:
    if control is None:
        return None
    return {**asdict(control), "quiet": control.quiet, "said": str(control)}


def machine() -> dict[str, object]:
    """Return a description of the machine."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": models[0] if models else platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }
