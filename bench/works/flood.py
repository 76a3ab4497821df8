"""A burst of 500 distinct unknown kids: requests at the key endpoint, and the latency of valid tokens.

Valid tokens follow a schedule well below every contestant's capacity, with latency counted from the schedule:
at saturation every request would wait for others, and the flood's effect would not be visible.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from bench.contestants import Contestant
from bench.load import LoadPlan, LoadResult
from bench.load.run import finish_builtin, start_builtin
from bench.processes import BenchError, on_cpus
from bench.report import Column
from bench.stats import Sample
from bench.works.base import Arena, Work, require_success

UNKNOWN = 500
RATE = 300.0
# Not the run's seconds: in a longer window, calm requests would hide those during the burst.
WINDOW_SECONDS = 2.0
# Seconds before the burst; the window also covers time after it, to include its after-effects.
LEAD_SECONDS = 0.5


class Flood(Work):
    name = "flood"
    title = "500 distinct unknown kids in a burst"
    columns = (
        Column("fetches", "key fetches", 0),
        Column("calm_p50_ms", "p50 calm", 2),
        Column("flood_p50_ms", "p50 flood", 2),
        Column("calm_p99_ms", "p99 calm", 2),
        Column("flood_p99_ms", "p99 flood", 2),
        Column("burst_ms", "burst ms", 0),
    )
    headline = None
    _file: Path

    def unfit(self, contestant: Contestant) -> str | None:
        return None if contestant.fetches_keys else "it fetches no keys: nothing to flood"

    def prepare(self, arena: Arena) -> None:
        self._file = arena.directory / "unknown-kids"
        rounds = arena.options.rounds
        self._file.write_text("".join(t + "\n" for t in arena.mint.unknown_kids(UNKNOWN * rounds)))

    def measure(self, arena: Arena, contestant: Contestant, number: int) -> Sample:
        usual = arena.plan(contestant, arena.one_token(), WINDOW_SECONDS)
        valid = replace(usual, connections=8, rate=RATE)
        calm = arena.load(valid)
        require_success(contestant, calm)
        fetches = arena.key_server.fetches
        flooded, burst = self._flooded(arena, contestant, valid, number)
        require_success(contestant, flooded)
        if burst.failed != UNKNOWN:
            raise BenchError(
                f"{contestant.name} let {UNKNOWN - burst.failed} tokens with unknown kids through"
            )
        return {
            "fetches": arena.key_server.fetches - fetches,
            "calm_p50_ms": calm.p50_ms,
            "flood_p50_ms": flooded.p50_ms,
            "calm_p99_ms": calm.p99_ms,
            "flood_p99_ms": flooded.p99_ms,
            "burst_ms": burst.seconds * 1e3,
        }

    def _flooded(
        self, arena: Arena, contestant: Contestant, valid: LoadPlan, number: int
    ) -> tuple[LoadResult, LoadResult]:
        burst = replace(
            arena.plan(contestant, self._file, 30), order="once", offset=UNKNOWN * number, count=UNKNOWN
        )
        with on_cpus(arena.load_cpus):
            steady = start_builtin(valid)
            try:
                time.sleep(LEAD_SECONDS)
                result = finish_builtin(start_builtin(burst), burst)
            finally:
                steady_result = finish_builtin(steady, valid)
        return steady_result, result
