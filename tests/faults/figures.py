"""What the fault tests measured, and the table of docs/reliability.md that is made of it.

    make test-faults                                 # runs them, and writes the table
    python -m tests.faults.figures build/faults.jsonl --write

A test names its row by the marker `fault` and hands what it saw to the fixture `figure`; a row for which a
run has no figures keeps those it has.
"""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- measured: make test-faults -->", "<!-- end -->"
# Where a run leaves its figures, one JSON object a line; unset, nowhere.
VARIABLE = "FAULT_FIGURES"

# What was seen, and how many requests failed beyond what the fault itself held.
Figure: TypeAlias = Callable[..., None]
# Row → what was seen, and how many failed.
Cells: TypeAlias = dict[str, tuple[str, str]]

# The rows, in the table's order: the marker's name → the fault.
ROWS: dict[str, str] = {
    "calls without redis": "Redis, which counts the revocation checks of three gateways, is killed",
    "workers share checks": "50 sign-ins in use on each of four workers, `check_every: 3s`, 30 calls/s",
    "throttled": "Cognito throttles revocation checks: a quota of 20/s, 30/s allowed, `on_error: deny`",
}


def recorded(row: str, seen: str, failed: int = 0) -> None:
    """Keep a figure of this run."""
    assert row in ROWS, f"{row} is no row of {Path(__file__).name}"
    path = os.environ.get(VARIABLE)
    if path:
        line = json.dumps({"row": row, "seen": seen, "failed": failed}) + "\n"
        # One write: several processes append to it.
        with Path(path).open("ab", buffering=0) as file:
            file.write(line.encode())


def measured(lines: Iterable[str]) -> Cells:
    """The cells of the rows that a run has figures for; those of one row in the order in which they came."""
    seen: dict[str, list[str]] = defaultdict(list)
    failed: dict[str, int] = defaultdict(int)
    for line in lines:
        record = json.loads(line)
        if record["seen"] not in seen[record["row"]]:
            seen[record["row"]].append(record["seen"])
        failed[record["row"]] += record["failed"]
    return {row: ("; ".join(texts), str(failed[row])) for row, texts in seen.items()}


def standing(document: str) -> Cells:
    """The cells that the document has now."""
    faults = {fault: row for row, fault in ROWS.items()}
    cells: Cells = {}
    for line in document.partition(BEGIN)[2].partition(END)[0].splitlines():
        parts = [part.strip() for part in line.strip().strip("|").split(" | ")]
        if len(parts) == 3 and parts[0] in faults:
            cells[faults[parts[0]]] = (parts[1], parts[2])
    return cells


def written(document: str, cells: Mapping[str, tuple[str, str]]) -> str:
    """The document with these cells, and its own for the rows that have none here."""
    both = {**standing(document), **cells}
    lines = ["| fault, under load | what was seen | failed |", "|---|---|---|"]
    for row, fault in ROWS.items():
        seen, failed = both.get(row, ("–", "–"))
        lines.append(f"| {fault} | {seen} | {failed} |")
    before, _, rest = document.partition(BEGIN)
    table = "\n".join(lines)
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}"


def main(arguments: list[str]) -> int:
    lines = Path(arguments[0]).read_text(encoding="utf-8").splitlines()
    text = written(DOCUMENT.read_text(encoding="utf-8"), measured(lines))
    if "--write" in arguments:
        DOCUMENT.write_text(text, encoding="utf-8")
    else:
        print(text.partition(BEGIN)[2].partition(END)[0].strip())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
