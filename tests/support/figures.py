"""The figures of the fault tests, and the tables in docs/reliability.md generated from them.

    make test-faults                                 # runs them, and writes the first table
    make test-kubernetes                             # the second one, in a real Kubernetes
    python -m tests.support.figures build/faults.jsonl --write

A test names its row with the marker `fault` and passes its figures to the fixture `figure`; a row without
figures from this run keeps its previous ones.
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
END = "<!-- end -->"
# The file that receives a run's figures, one JSON object per line; none if unset.
VARIABLE = "FAULT_FIGURES"

# Takes the observation, and the number of failed requests beyond those that the fault itself affected.
Figure: TypeAlias = Callable[..., None]
# Row → observation, number of failed requests.
Cells: TypeAlias = dict[str, tuple[str, str]]

# The rows, in the tables' order: the marker's name → the fault.
LOOPBACK: dict[str, str] = {
    "reloads": "50 reloads, 5 of them broken: SIGHUP, file renamed over, ConfigMap link swapped; two workers",
    "sigterm": "SIGTERM, with one worker and with two, 6 times",
    "killed": "`kill -9` of a worker, 3 times",
    "hung": "a worker that hangs (SIGSTOP), 3 times",
    "upstream restarts": "the upstream restarts, 10 times",
    "upstream resets": "the upstream resets all its used connections, 30 times",
    "upstream at random": "the upstream hangs, drips, resets, cuts, answers garbage, at random",
    "keys known": "the key endpoint hangs, fails, cuts, refuses; keys known",
    "keys and workers": "the same, and workers are killed (`kill -9`, 4 times): the last ones never read "
    "a key themselves",
    "no keys": "the key endpoint is down from the start",
    "clients leave": "60 clients at a time leave: waiting, sending, reading, tunnelling, pipelining",
    "clients leave early": "60 clients leave while the upstream is dialled, or they wait for a connection",
    "clients stall": "60 clients stop reading; 120 send a byte a second",
    "start": "two workers started under load, 4 times",
    "half-written file": "the configuration file is truncated, and written 3 s later",
    "place without a worker": "one of two workers hangs at its start (SIGSTOP)",
    "throttled": "Cognito throttles revocation checks: a quota of 20/s, 30/s allowed, `on_error: deny`",
    "workers share checks": "50 sign-ins in use on each of four workers, `check_every: 3s`, 30 calls/s",
    "calls without redis": "Redis, which counts the revocation checks of three gateways, is killed",
}
CLUSTER: dict[str, str] = {
    "rolling update": "a rolling update of two replicas",
    "eviction": "an eviction",
    "scale-down": "two replicas become one",
    "node drain": "the node is drained, and takes pods again",
    "container killed": "`kill -9` of one of two gateways' containers",
    "worker stopped in a pod": "one of two workers of the only pod hangs (SIGSTOP)",
    "out of memory": "one of two gateways' containers runs out of memory (OOM kill)",
    "disk full": "the volume under `sign_in.state_dir` is full",
    "redis restarts": "Redis, which three gateways share, is killed and starts again",
}
ROWS = {**LOOPBACK, **CLUSTER}
TABLES = {
    "<!-- measured: make test-faults -->": LOOPBACK,
    "<!-- measured: make test-kubernetes -->": CLUSTER,
}


def recorded(row: str, seen: str, failed: int = 0) -> None:
    """Record a figure of this run."""
    assert row in ROWS, f"{row} is no row of {Path(__file__).name}"
    path = os.environ.get(VARIABLE)
    if path:
        line = json.dumps({"row": row, "seen": seen, "failed": failed}) + "\n"
        # A single write, since several processes append to the file.
        with Path(path).open("ab", buffering=0) as file:
            file.write(line.encode())


def measured(lines: Iterable[str]) -> Cells:
    """Return the cells of the rows for which the run has figures, each row's in order of arrival."""
    seen: dict[str, list[str]] = defaultdict(list)
    failed: dict[str, int] = defaultdict(int)
    for line in lines:
        record = json.loads(line)
        if record["seen"] not in seen[record["row"]]:
            seen[record["row"]].append(record["seen"])
        failed[record["row"]] += record["failed"]
    return {row: ("; ".join(texts), str(failed[row])) for row, texts in seen.items()}


def standing(document: str) -> Cells:
    """Return the cells now in the document."""
    faults = {fault: row for row, fault in ROWS.items()}
    cells: Cells = {}
    for begin in TABLES:
        for line in document.partition(begin)[2].partition(END)[0].splitlines():
            parts = [part.strip() for part in line.strip().strip("|").split(" | ")]
            if len(parts) == 3 and parts[0] in faults:
                cells[faults[parts[0]]] = (parts[1], parts[2])
    return cells


def written(document: str, cells: Mapping[str, tuple[str, str]]) -> str:
    """Return the document with these cells; the other rows keep theirs."""
    both = {**standing(document), **cells}
    for begin, rows in TABLES.items():
        lines = ["| fault, under load | what was seen | failed |", "|---|---|---|"]
        for row, fault in rows.items():
            seen, failed = both.get(row, ("–", "–"))
            lines.append(f"| {fault} | {seen} | {failed} |")
        before, _, rest = document.partition(begin)
        table = "\n".join(lines)
        document = f"{before}{begin}\n\n{table}\n\n{END}{rest.partition(END)[2]}"
    return document


def main(arguments: list[str]) -> int:
    lines = Path(arguments[0]).read_text(encoding="utf-8").splitlines()
    text = written(DOCUMENT.read_text(encoding="utf-8"), measured(lines))
    if "--write" in arguments:
        DOCUMENT.write_text(text, encoding="utf-8")
    else:
        for begin in TABLES:
            print(text.partition(begin)[2].partition(END)[0].strip())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
