"""Published figures: one file per machine in bench/machines, and the tables made from all of them. Pure.

Invariant: a run whose control was noisy is not published, and no ratio is shown as if every machine had it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"
OURS = "gateway"
# Options about files, which do not affect the figures.
_FILES = ("--json", "--svg", "--gateway")
_COPIED = ("cpu", "cpus", "kernel", "python", "at", "command")
# What else is known of a run, where it was noted.
_KNOWN = {"cpus": "{} CPUs", "kernel": "Linux {}", "python": "Python {}", "at": "{:.10}"}
Figures = Mapping[str, Any]


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


def published(run: Figures, machine: str) -> dict[str, Any]:
    """Return what is published of a run's JSON.

    Raises ValueError if the machine was too noisy or had no control; KeyError if this is not a run's JSON.
    """
    works = {name: work for name, work in run["works"].items() if work["headline"] == "cpu_us"}
    if not works:
        raise ValueError("the run measured no CPU per request")
    for work in works.values():
        if work["control"] is None:
            raise ValueError(
                f"{work['title']}: no control was measured: install nginx and do not leave it out"
            )
        if not work["control"]["quiet"]:
            raise ValueError(f"{work['title']}: {work['control']['said']}")
    return {
        "machine": machine,
        "run": {name: run["run"][name] for name in _COPIED},
        "works": {name: _work(work) for name, work in works.items()},
    }


def _work(work: Figures) -> dict[str, Any]:
    entries = {
        name: entry for name, entry in work["contestants"].items() if not entry["failed"] and entry["rounds"]
    }
    ours = entries.get(OURS, {"rounds": []})["rounds"]
    found = {}
    for name, entry in entries.items():
        middle = entry["medians"]
        found[name] = {
            "title": entry["title"],
            "version": entry["version"],
            **{key: round(middle[key], 2) for key in ("cpu_us", "user_us", "system_us") if key in middle},
        }
        pairs = zip(ours, entry["rounds"], strict=False)
        ratios = sorted(mine["cpu_us"] / its["cpu_us"] for mine, its in pairs)
        if name != OURS and ratios:
            found[name]["ratio"] = [round(each, 3) for each in (ratios[0], median(ratios), ratios[-1])]
    return {"title": work["title"], "control": work["control"]["said"], "contestants": found}


def summary(machines: Sequence[Figures]) -> str:
    """Return the README's table: our cost divided by each peer's, from the lowest round to the highest.

    Raises ValueError without figures.
    """
    titles, peers, ratios = _gathered(machines)
    if not peers:
        raise ValueError("there are no figures")
    rows = [["our CPU per request ÷ theirs", *peers.values()], ["---", *["--:"] * len(peers)]]
    for work, title in titles.items():
        rows.append([title, *(_spread(ratios.get((work, peer), [])) for peer in peers)])
    known = ", ".join(each["run"]["cpu"] for each in machines)
    return "\n".join(map(_row, rows)) + f"\n\nMachines: {known}."


def _gathered(
    machines: Sequence[Figures],
) -> tuple[dict[str, str], dict[str, str], dict[tuple[str, str], list[list[float]]]]:
    """Return the works, the peers with a ratio, and the ratios of each pair, one per machine."""
    titles: dict[str, str] = {}
    peers: dict[str, str] = {}
    ratios: dict[tuple[str, str], list[list[float]]] = {}
    for machine in machines:
        for name, work in machine["works"].items():
            titles.setdefault(name, work["title"])
            for peer, entry in work["contestants"].items():
                if "ratio" in entry:
                    peers.setdefault(peer, entry["title"])
                    ratios.setdefault((name, peer), []).append(entry["ratio"])
    return titles, peers, ratios


def _spread(ratios: Sequence[Sequence[float]]) -> str:
    if not ratios:
        return "–"
    low, high = min(each[0] for each in ratios), max(each[-1] for each in ratios)
    many = "1 machine" if len(ratios) == 1 else f"{len(ratios)} machines"
    return f"{low:.2f} ({many})" if low == high else f"{low:.2f} – {high:.2f} ({many})"


def tables(machines: Sequence[Figures]) -> str:
    """Return the tables of docs/performance.md: one per machine."""
    return "\n\n".join(map(_table, machines))


def _table(machine: Figures) -> str:
    run = machine["run"]
    known = [f"**{run['cpu']}**"]
    known += [text.format(run[name]) for name, text in _KNOWN.items() if name in run]
    lines = [", ".join(known) + (f"; `{run['command']}`." if "command" in run else "."), ""]
    lines.append(
        "| workload | contestant | CPU µs | user | system | ours ÷ its: median (lowest – highest round) |"
    )
    lines.append("| --- | --- | --: | --: | --: | --: |")
    for work in machine["works"].values():
        for entry in work["contestants"].values():
            costs = [
                f"{entry[key]:,.1f}" if key in entry else "–" for key in ("cpu_us", "user_us", "system_us")
            ]
            name = f"{entry['title']} {entry['version']}".strip()
            lines.append(_row([work["title"], name, *costs, _ratio(entry.get("ratio", ()))]))
        if work["control"] is not None:
            lines.append(_row([work["title"], work["control"], "", "", "", ""]))
    return "\n".join(lines)


def _ratio(ratio: Sequence[float]) -> str:
    """Return a ratio as lowest, median and highest round; of old runs only one of them, or two, were kept."""
    if len(ratio) == 3:
        return f"{ratio[1]:.2f} ({ratio[0]:.2f} – {ratio[2]:.2f})"
    return " – ".join(f"{each:.2f}" for each in ratio)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
