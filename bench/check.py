"""The regression check: this commit against the last release, paired and interleaved.

`python -m bench.check [--against REF] [--rounds N] [--seconds N]`: builds the wheel of the last tag, or of
REF, installs it with its own dependencies under build/bench-check, and measures both in the same rounds,
beside two nginx that tell how far equal programs differ here. Exit code 1: a request costs more than LIMIT ×
the release's. If the machine was too noisy to tell, it says so, and exits with 0.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from bench.contestants import Gateway, Nginx
from bench.control import Control, Spread, spread_of
from bench.options import Options
from bench.processes import BenchError
from bench.report import OURS, Outcome
from bench.run import run

WORKS = ("warm", "tokens3000", "new")
LIMIT = 1.05
BUILT = Path("build/bench-check")


class Before(Gateway):
    """The release."""

    name = "before"
    title = "before"
    executable: ClassVar[tuple[str, ...]] = ()


def last_release() -> str:
    """Return the last tag that this commit contains. Raises BenchError if there is none."""
    found = _git("describe", "--tags", "--abbrev=0")
    if found is None:
        raise BenchError("there is no release before this commit: name a commit with --against REF")
    return found


def build(ref: str) -> Path:
    """Return the gateway command of a commit's wheel, built and installed unless it already was.

    Raises BenchError.
    """
    commit = _git("rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")
    if commit is None:
        raise BenchError(f"there is no commit {ref}")
    place = BUILT / commit
    command = place / "venv" / "bin" / "cognito-gateway"
    if (place / "done").exists():
        return command.absolute()
    source = place / "source"
    pip = [str(place / "venv/bin/python"), "-m", "pip", "--disable-pip-version-check", "-q"]
    needed = [part for name in ("build", "run") for part in ("-r", str(source / f"requirements/{name}.txt"))]
    source.mkdir(parents=True, exist_ok=True)
    _run(["git", "archive", "-o", str(place / "source.tar"), commit])
    _run(["tar", "-xf", str(place / "source.tar"), "-C", str(source)])
    _run([sys.executable, "-m", "venv", "--clear", str(place / "venv")])
    _run([*pip, "install", "--require-hashes", *needed])
    _run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(place), str(source)])
    _run([*pip, "install", "--no-deps", *map(str, place.glob("*.whl"))])
    (place / "done").touch()
    return command.absolute()


def _git(*arguments: str) -> str | None:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{command[0]} {command[1]} failed: {(done.stderr or done.stdout).strip()[-400:]}")


def judged(title: str, spread: Spread | None, control: Control | None) -> tuple[str, bool]:
    """Return the line about one work, and whether it fails the check."""
    if spread is None:
        return f"{title}: not measured", True
    said = f"{title}: this commit ÷ before {spread}"
    if control is None:
        return f"{said}: not judged: no nginx here for a control", False
    if not control.quiet:
        return f"{said}: not judged: {control}", False
    slower = spread.middle > LIMIT
    return f"{said}: {f'MORE than {LIMIT:g}' if slower else f'at most {LIMIT:g}'}; {control}", slower


def judge(outcome: Outcome) -> tuple[str, bool]:
    """Return the line about one work, and whether it fails the check."""
    rounds = {entry.name: entry.rounds for entry in outcome.measured()}
    spread = spread_of(rounds.get(OURS, ()), rounds.get(Before.name, ()), "cpu_us")
    return judged(outcome.title, spread, outcome.control())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the check; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.check", description=__doc__.partition("\n")[0])
    parser.add_argument("--against", metavar="REF", help="a commit or tag; default: the last tag")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3)
    parsed = parser.parse_args(argv)
    names = (OURS, Before.name, Nginx.name)
    options = Options(works=WORKS, only=names, rounds=parsed.rounds, seconds=parsed.seconds)
    try:
        Before.executable = (str(build(parsed.against or last_release())),)
        outcomes = run(options, lambda text: print(text, file=sys.stderr), kinds=(Gateway, Before, Nginx))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    lines = [judge(outcome) for outcome in outcomes]
    failures = [
        f"{entry.label} not measured: {entry.failed}"
        for outcome in outcomes
        for entry in outcome.entries
        if entry.failed
    ]
    print("\n".join([*(line for line, _ in lines), *failures]))
    return 1 if failures or any(slower for _, slower in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
