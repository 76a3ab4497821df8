"""`python -m bench`: exits with 0 if everything that can run was measured, 1 if a check or a work failed."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from bench import chart, figures, report
from bench.contestants import CONTESTANTS
from bench.load import generator_name
from bench.options import Options, parse
from bench.processes import BenchError
from bench.run import run
from bench.stats import medians
from bench.works import WORKS

README = Path("README.md")
PAGE = Path("docs/performance.md")
FIGURES = Path("bench/machines")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _terminated(number: int, frame: FrameType | None) -> None:
    """Let SIGTERM end a run as Ctrl-C does: through every `finally`."""
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    options = parse(argv, list(WORKS), [kind.name for kind in CONTESTANTS])
    if options.publish is not None:
        return _publish(options, options.publish)
    signal.signal(signal.SIGTERM, _terminated)
    described: dict[str, object] = report.machine() | {
        "command": figures.command(sys.argv[1:] if argv is None else argv),
        "load": generator_name(),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "connections": options.connections,
    }
    try:
        outcomes = run(options, _say)
    except BenchError as error:
        _say(f"bench: {error}")
        return 1
    except KeyboardInterrupt:
        _say("bench: interrupted; everything it started is stopped")
        return 130
    print(_heading(described))
    for outcome in outcomes:
        print("\n" + report.table(outcome))
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report.as_json(outcomes, described), indent=1) + "\n")
    drawn = options.svg is None or _draw(options, outcomes, described)
    failed = any(entry.failed for outcome in outcomes for entry in outcome.entries)
    return 0 if drawn and not failed and all(outcome.measured() for outcome in outcomes) else 1


def _publish(options: Options, machine: str) -> int:
    """Add a run to the figures, and write the tables that are made from all of them."""
    assert options.json is not None, "parse requires it"
    try:
        found = figures.published(json.loads(options.json.read_text()), machine)
    except (OSError, ValueError, KeyError) as error:
        _say(f"bench: nothing is published: {error}")
        return 1
    (FIGURES / f"{machine}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    for file, text in pages(Path()).items():
        file.write_text(text)
    return 0


def pages(root: Path) -> dict[Path, str]:
    """Return README and the page with the tables of all figures: file → text."""
    machines = [json.loads(file.read_text()) for file in sorted((root / FIGURES).glob("*.json"))]
    parts = {README: figures.summary(machines), PAGE: figures.tables(machines)}
    return {
        root / file: figures.between_marks((root / file).read_text(), part) for file, part in parts.items()
    }


def _heading(run: dict[str, object]) -> str:
    return (
        f"{run['cpu']}, {run['cpus']} CPUs, Linux {run['kernel']}, Python {run['python']}; {run['load']}, "
        f"{run['connections']} connections, {run['seconds']} s a round; "
        f"load average before {run['load_average']}"
    )


def _draw(options: Options, outcomes: Sequence[report.Outcome], run: dict[str, object]) -> bool:
    """Draw the works that measured CPU per request; return False, with a message, if none did."""
    assert options.svg is not None
    groups = []
    for outcome in outcomes:
        if outcome.headline is None or outcome.headline.key != "cpu_us" or not outcome.measured():
            continue
        bars = [_bar(outcome, entry) for entry in outcome.measured()]
        groups.append(chart.Group(outcome.title, sorted(bars, key=lambda bar: bar.value)))
    if not groups:
        _say("bench: no chart: none of the works measured CPU per request")
        return False
    noisy = any(control is None or not control.quiet for control in map(report.Outcome.control, outcomes))
    subtitle = f"{run['cpu']}, Python {run['python']}; {run['connections']} connections"
    if noisy:
        subtitle += "; not a quiet machine"
    options.svg.parent.mkdir(parents=True, exist_ok=True)
    options.svg.write_text(chart.draw("CPU time per request", subtitle, "µs per request", groups))
    return True


def _bar(outcome: report.Outcome, entry: report.Entry) -> chart.Bar:
    factor = outcome.ratio_to(entry)
    remark = "" if factor is None else f"ours {factor:.2f} ×"
    return chart.Bar(entry.label, medians(entry.rounds)["cpu_us"], remark, ours=entry.name == report.OURS)


if __name__ == "__main__":
    sys.exit(main())
