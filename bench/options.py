"""The benchmark's command-line options."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# It becomes a file name.
_MACHINE = re.compile(r"[a-z0-9-]{1,40}")


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a run. `seconds`: per round and contestant."""

    works: tuple[str, ...]
    only: tuple[str, ...]
    rounds: int
    seconds: int
    connections: int = 32
    size_mib: int = 1024
    quick: bool = False
    gateway: str | None = None
    json: Path | None = None
    svg: Path | None = None
    keep: bool = False
    # Whether system calls and instructions are counted.
    parts: bool = False
    # The machine under whose name the figures of `json` are published.
    publish: str | None = None
    # The value of --seconds, for works with their own duration.
    asked_seconds: int | None = None


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def parse(argv: Sequence[str] | None, works: Sequence[str], contestants: Sequence[str]) -> Options:
    """Parse the options; exits with 2 and a usage line if they are invalid."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="The gateway beside its peers: same checks, same upstream, same tokens, one run.",
    )
    parser.add_argument("--work", type=_list, default=("warm",), metavar="NAME[,NAME]")
    parser.add_argument("--only", type=_list, default=tuple(contestants), metavar="NAME[,NAME]")
    parser.add_argument("--rounds", type=_positive, help="default 5, with --quick 2")
    parser.add_argument(
        "--seconds", type=_positive, help="per round and contestant; default 5, with --quick 1"
    )
    parser.add_argument("--connections", type=_positive, default=32)
    parser.add_argument("--size", type=_positive, metavar="MIB", help="size of a large body; default 1024")
    parser.add_argument(
        "--quick", action="store_true", help="short rounds: show that it works, not how fast it is"
    )
    parser.add_argument(
        "--gateway", metavar="COMMAND", help="another gateway, for example '/other/.venv/bin/cognito-gateway'"
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all figures of every round")
    parser.add_argument(
        "--svg", type=Path, metavar="OUT", help="draw CPU per request of the works that measure it"
    )
    parser.add_argument(
        "--parts", action="store_true", help="count system calls and instructions in one more round"
    )
    parser.add_argument(
        "--publish",
        metavar="MACHINE",
        help="do not run: add the figures of the --json file to bench/machines, README.md and docs",
    )
    parser.add_argument("--keep", action="store_true", help="keep configurations and logs, and print where")
    parsed = parser.parse_args(argv)
    for given, known, what in (
        (parsed.work, [*works, "all"], "--work"),
        (parsed.only, contestants, "--only"),
    ):
        for name in given:
            if name not in known:
                parser.error(f"{what}: invalid choice {name!r} (choose from {', '.join(known)})")
    if parsed.publish is not None and parsed.json is None:
        parser.error("--publish: name the file with the figures with --json")
    if parsed.publish is not None and not _MACHINE.fullmatch(parsed.publish):
        parser.error("--publish: a machine is named by letters, digits and -")
    return Options(
        works=tuple(works) if "all" in parsed.work else parsed.work,
        only=parsed.only,
        rounds=parsed.rounds or (2 if parsed.quick else 5),
        seconds=parsed.seconds or (1 if parsed.quick else 5),
        connections=parsed.connections,
        size_mib=parsed.size or (64 if parsed.quick else 1024),
        quick=parsed.quick,
        gateway=parsed.gateway,
        json=parsed.json,
        svg=parsed.svg,
        keep=parsed.keep,
        parts=parsed.parts,
        publish=parsed.publish,
        asked_seconds=parsed.seconds,
    )
