"""Instructions of a request in the gateway's own code, counted by Valgrind: the same on a busy machine.

`python -m bench.instructions [--caches]`: the requests of bench/inprocess.py under callgrind, user mode only.
`--caches` adds callgrind's model of caches and branches: misses of the first level, of the last level, and
mispredicted branches. Needs valgrind.

The process marks the beginning and the end of a case by calling `getloadavg`, at which callgrind writes what
it has counted since the last mark.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle
from pathlib import Path

from bench.inprocess import LANES, Lane, ask, asking, prepared, request, turn
from bench.processes import which
from bench.tokens import Mint
from bench.upstream import body
from gateway.serve import loops

# Turns before counting: by then CPython has specialised the bytecode, and everything is loaded.
WARM_UP = 4
ROUNDS = 4
TOKENS_IN_TURN = LANES * 8
MARK = "getloadavg"
CASES = (
    "one warm token",
    f"{TOKENS_IN_TURN} tokens in turn",
    "every token new",
    "one warm token from a trusted proxy",
    "a decision about it for that proxy",
)
BODY = body()
Requests = Callable[[], list[bytes]]


async def count(directory: Path) -> None:
    """Run every case between two marks, with the keys and the tokens of the directory."""
    loop, key_set = asyncio.get_running_loop(), (directory / "keys").read_bytes()
    known = [request(token) for token in (directory / "tokens").read_text().split()]
    in_turn, new = cycle(known[:TOKENS_IN_TURN]), iter(known[TOKENS_IN_TURN:])
    for trusted in (False, True):
        server = await prepared(
            directory, key_set, "listen: {trusted_proxies: [127.0.0.1]}\n" if trusted else ""
        )
        lanes = [Lane(server, loop) for _ in range(LANES)]
        loops.settle()

        def proxied(requests: Requests) -> None:
            turn(server, lanes, requests())  # noqa: B023 - called in this turn of the loop
            assert all(lane.sink.last.endswith(BODY) for lane in lanes)  # noqa: B023

        def decided(requests: Requests) -> None:
            ask(server, lanes, requests())  # noqa: B023
            assert all(lane.sink.last.startswith(b"HTTP/1.1 200") for lane in lanes)  # noqa: B023

        if trusted:
            cases = [(proxied, lambda: [known[0]] * LANES), (decided, lambda: [asking(known[0])] * LANES)]
        else:
            # Each token of the second case is known after the first turn of all.
            for _ in range(TOKENS_IN_TURN // LANES):
                proxied(lambda: [next(in_turn) for _ in range(LANES)])
            cases = [
                (proxied, lambda: [known[0]] * LANES),
                (proxied, lambda: [next(in_turn) for _ in range(LANES)]),
                (proxied, lambda: [next(new) for _ in range(LANES)]),
            ]
        for run, requests in cases:
            for _ in range(WARM_UP):
                run(requests)
            os.getloadavg()
            for _ in range(ROUNDS):
                run(requests)
            os.getloadavg()
        server.app.pool.close()


def dumps(directory: Path) -> Iterator[Mapping[str, int]]:
    """Return what callgrind counted up to each mark, in order."""
    files = sorted(directory.glob("counted.*"), key=lambda file: int(file.suffix.removeprefix(".") or 0))
    for file in files:
        text = file.read_text()
        if f"--dump-before={MARK}" in text:
            yield counted(text)


def counted(text: str) -> dict[str, int]:
    """Return the totals of one of callgrind's files, by event. Raises ValueError if it has none."""
    events = re.search(r"(?m)^events: (.+)$", text)
    totals = re.search(r"(?m)^(?:totals|summary): ([\d ]+)$", text)
    if events is None or totals is None:
        raise ValueError("not a file of callgrind")
    return dict(zip(events[1].split(), map(int, totals[1].split()), strict=False))


def figures(events: Mapping[str, int], requests: int) -> str:
    """Return what one request took."""
    said = [f"{events['Ir'] / requests:,.0f} instructions"]
    for what, names in (
        ("misses of the first level for code", ("I1mr",)),
        ("for data", ("D1mr", "D1mw")),
        ("of the last level", ("ILmr", "DLmr", "DLmw")),
        ("mispredicted branches", ("Bcm", "Bim")),
    ):
        if names[0] in events:
            said.append(f"{sum(events[name] for name in names) / requests:,.0f} {what}")
    return ", ".join(said)


def measured(*, caches: bool = False) -> list[dict[str, int]]:
    """Count each of CASES in a process of its own. Raises CalledProcessError if that fails."""
    more = ["--cache-sim=yes", "--branch-sim=yes"] if caches else []
    with tempfile.TemporaryDirectory() as name:
        mint = Mint()
        (Path(name) / "keys").write_bytes(mint.key_set())
        mint.write(Path(name) / "tokens", LANES * (WARM_UP + ROUNDS) + TOKENS_IN_TURN)
        command = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={name}/counted", *more]
        command += [f"--dump-before={MARK}", sys.executable, "-m", "bench.instructions", "--inside", name]
        # Hashes of texts, and so the order of buckets, are the same each time.
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "0"})
        # Every second one holds what came between two cases.
        return list(map(dict, list(dumps(Path(name)))[1::2]))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.instructions", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--caches", action="store_true", help="simulate caches and branches as well (slower)")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        loops.run(count(options.inside))
        return 0
    if which("valgrind") is None:
        print("instructions: not counted here: valgrind is not installed", file=sys.stderr)
        return 1
    for case, events in zip(CASES, measured(caches=options.caches), strict=True):
        print(f"{case}: {figures(events, ROUNDS * LANES)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
