"""2,000 requests/s on a schedule: the latency that a contestant adds to asking the upstream directly.

Latency counts from the schedule. Direct requests and those through the contestant alternate every few
seconds, and the latencies of each side are combined, so that a slow minute of the machine affects both.
"""

from __future__ import annotations

from dataclasses import replace

from bench.contestants import Contestant
from bench.goals import Goal
from bench.load.steady import LATE_SECONDS, SteadyResult, steady
from bench.processes import BenchError
from bench.report import Column
from bench.stats import Sample, percentile
from bench.works.base import Arena, Work

RATE = 2000.0
SECONDS = 60
SECONDS_QUICK = 4
SLICE = 5.0
# Above this share the generator, not the contestant, was measured.
MOST_LATE = 0.01

ADDED_P50 = Column("added_p50_ms", "added p50 ms", 3)


class OpenLoop(Work):
    name = "openloop"
    title = "2,000 requests/s by the clock, latency from the schedule"
    columns = (
        Column("direct_p50_ms", "direct p50 ms", 3),
        Column("p50_ms", "p50 ms", 3),
        ADDED_P50,
        Column("direct_p99_ms", "direct p99 ms", 3),
        Column("p99_ms", "p99 ms", 3),
        Column("added_p99_ms", "added p99 ms", 3),
        Column("late_percent", "late sends %", 2),
    )
    headline = ADDED_P50
    goals = (
        Goal("added p50, ms", "added_p50_ms", 0.3),
        Goal("added p99, ms", "added_p99_ms", 1.5),
    )
    most_rounds = 1

    def warm_up(self, arena: Arena, contestant: Contestant) -> None:
        arena.load(arena.plan(contestant, arena.one_token(), seconds=1))

    def measure(self, arena: Arena, contestant: Contestant, number: int) -> Sample:
        seconds = arena.options.asked_seconds or (SECONDS_QUICK if arena.options.quick else SECONDS)
        through = replace(arena.plan(contestant, arena.one_token(), min(SLICE, seconds)), rate=RATE)
        direct = replace(through, port=arena.upstream_port)
        sides: tuple[list[SteadyResult], list[SteadyResult]] = ([], [])
        for _ in range(max(1, round(seconds / through.seconds))):
            for side, plan in zip(sides, (direct, through), strict=True):
                side.append(steady(plan, arena.load_cpus))
        late = require_on_time([*sides[0], *sides[1]])
        straight, passed = (sorted(us for part in side for us in part.latencies_us) for side in sides)
        figures = {"late_percent": late * 100, "requests": float(len(passed))}
        for name, share in (("p50", 0.50), ("p99", 0.99)):
            there, here = percentile(straight, share) / 1e3, percentile(passed, share) / 1e3
            figures |= {f"direct_{name}_ms": there, f"{name}_ms": here, f"added_{name}_ms": here - there}
        return figures


def require_on_time(parts: list[SteadyResult]) -> float:
    """Return the share of requests sent late by the generator's own fault. Raises BenchError if too high."""
    late = sum(part.late for part in parts) / sum(part.requests for part in parts)
    if late > MOST_LATE:
        raise BenchError(
            f"invalid: the load generator was over {LATE_SECONDS * 1e3:g} ms behind its schedule for "
            f"{late:.1%} of the requests; wait until the machine is idle and run it again"
        )
    return late
