"""Scaling: whether a request costs more with more connections, tokens or routes.

The gateway is compared with itself: small and large are measured seconds apart on the same CPU, and the ratio
of the two, round by round, is the result.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from bench import procfs, upstream
from bench.contestants import Contestant, Gateway, Nginx
from bench.goals import Goal
from bench.load.crowd import crowd
from bench.load.plan import LoadPlan
from bench.load.steady import steady
from bench.processes import free_port
from bench.report import Column
from bench.stats import Sample
from bench.works.base import Arena, Work, restart

# The growth that is allowed.
LIMIT = 1.15
# Just below the gateway's limit of upstream connections (1,024 by default): more would queue there.
AT_ONCE = 1_000
# A number of tokens that any CPU cache holds.
FEW = 100
# Closing 10,000 connections takes the proxy a second, which belongs to no request.
SETTLE_SECONDS = 2.0


class Growth(Work):
    """Measures the gateway only, against itself."""

    headline = None
    most_rounds = 3

    def unfit(self, contestant: Contestant) -> str | None:
        return None if contestant.name == Gateway.name else "the gateway is held against itself"


def cost(arena: Arena, contestant: Contestant, plan: LoadPlan) -> float:
    """Return the CPU µs per request under this plan."""
    return arena.drive(contestant, plan)["cpu_us"]


class GrowingConnections(Growth):
    """From one connection to many: one request at a time, 32 and 1,000 at once; and many idle beside 32 busy.

    Each pair differs only in the number of connections. With 32 or 1,000 concurrent requests a request is
    cheaper than a single one, since no sleeping process must be woken for it; what grows is the cost of
    memory beyond the CPU's caches, and nginx's growth shows how much of that is unavoidable.
    """

    name = "growth-connections"
    title = "cost per request at 1 to 10,000 connections"
    columns = (
        Column("connections", "many", 0),
        Column("one_us", "1, µs"),
        Column("one_of_many_us", "many, 1 at a time, µs"),
        Column("one_growth", "growth", 2),
        Column("few_us", "32, µs"),
        Column("idle_us", "32 + many idle, µs"),
        Column("idle_growth", "growth", 2),
        Column("turns_few_us", "32 in turn, µs"),
        Column("turns_us", "many in turn, 32 at once, µs"),
        Column("turns_growth", "growth", 2),
        Column("at_once_us", "many in turn, 1,000 at once, µs"),
        Column("at_once_growth", "growth", 2),
    )
    goals = (
        Goal("many connections ÷ 1, one request at a time", "one_growth", LIMIT),
        Goal("32 busy among many idle ÷ 32 alone", "idle_growth", LIMIT),
        Goal("growth with 32 at once ÷ nginx's growth", "turns_growth", LIMIT, Nginx.name),
        Goal("growth with 1,000 at once ÷ nginx's growth", "at_once_growth", LIMIT, Nginx.name),
    )

    def unfit(self, contestant: Contestant) -> str | None:
        return None if contestant.name == Nginx.name else super().unfit(contestant)

    def measure(self, arena: Arena, contestant: Contestant, number: int) -> Sample:
        plan = replace(arena.plan(contestant, arena.one_token()), connections=32, window=32)
        many = 1_000 if arena.options.quick else 10_000
        arena.load(replace(plan, seconds=1))
        few = cost(arena, contestant, plan)
        with crowd(replace(plan, connections=many), arena.load_cpus) as opened:
            idle = cost(arena, contestant, plan)
            opened.require_alive()
        time.sleep(SETTLE_SECONDS)
        one = self._in_turn(arena, contestant, replace(plan, connections=1, window=1))
        turns_few = self._in_turn(arena, contestant, plan)
        turns = self._in_turn(arena, contestant, replace(plan, connections=many))
        time.sleep(SETTLE_SECONDS)
        at_once = self._in_turn(arena, contestant, replace(plan, connections=many, window=AT_ONCE))
        time.sleep(SETTLE_SECONDS)
        one_of_many = self._in_turn(arena, contestant, replace(plan, connections=many, window=1))
        return {
            "connections": many,
            "one_us": one,
            "one_of_many_us": one_of_many,
            "one_growth": one_of_many / one,
            "few_us": few,
            "idle_us": idle,
            "idle_growth": idle / few,
            "turns_few_us": turns_few,
            "turns_us": turns,
            "turns_growth": turns / turns_few,
            "at_once_us": at_once,
            "at_once_growth": at_once / turns_few,
        }

    def _in_turn(self, arena: Arena, contestant: Contestant, plan: LoadPlan) -> float:
        """Return µs per request, without the cost of opening and closing the connections."""
        readings: list[procfs.CpuReading] = []

        def read() -> None:
            readings.append(procfs.cpu(contestant.pid))

        result = steady(plan, arena.load_cpus, opened=read, done=read)
        return procfs.spent_ns(*readings) / result.requests / 1e3


class GrowingTokens(Growth):
    """One warm token before and after 100,000 others; and those 100,000 again.

    The 100,000 in turn have their own baseline, as many requests of the same generator in the same order with
    FEW tokens: walking through 100,000 requests slows the generator, and a proxy with smaller batches wakes
    others more often. Each round begins with a new process.
    """

    name = "growth-tokens"
    title = "cost per request at 1 to 100,000 tokens"
    columns = (
        Column("tokens", "many", 0),
        Column("one_us", "1 token, µs"),
        Column("warm_us", "1 after many, µs"),
        Column("warm_growth", "growth", 2),
        Column("new_us", "each new, µs"),
        Column("few_us", "few in turn, µs"),
        Column("again_us", "many in turn, µs"),
        Column("again_growth", "growth", 2),
        Column("rss_mib", "RSS MiB"),
    )
    goals = (
        Goal("one warm token after many others ÷ before", "warm_growth", LIMIT),
        Goal("many tokens in turn ÷ few in turn", "again_growth", LIMIT),
    )

    _file: Path
    _few: Path

    def _count(self, arena: Arena) -> int:
        return 5_000 if arena.options.quick else 100_000

    def prepare(self, arena: Arena) -> None:
        self._file = arena.directory / "many-tokens"
        arena.mint.write(self._file, self._count(arena))
        with self._file.open() as file:
            few = [next(file) for _ in range(FEW)]
        self._few = arena.directory / "few-tokens"
        with self._few.open("w") as file:
            file.writelines(few[index % FEW] for index in range(self._count(arena)))

    def measure(self, arena: Arena, contestant: Contestant, number: int) -> Sample:
        restart(arena, contestant)
        warm = arena.plan(contestant, arena.one_token())
        arena.load(replace(warm, seconds=1))
        # Minutes, as a time limit in case it hangs.
        all_of_them = replace(
            arena.plan(contestant, self._file, 300), order="once", offset=0, count=self._count(arena)
        )
        one = cost(arena, contestant, warm)
        new = cost(arena, contestant, all_of_them)
        after = cost(arena, contestant, warm)
        few = cost(arena, contestant, replace(all_of_them, tokens=str(self._few)))
        again = arena.drive(contestant, all_of_them)
        return {
            "tokens": self._count(arena),
            "one_us": one,
            "warm_us": after,
            "warm_growth": after / one,
            "new_us": new,
            "few_us": few,
            "again_us": again["cpu_us"],
            "again_growth": again["cpu_us"] / few,
            "rss_mib": again["rss_mib"],
        }


class GrowingRoutes(Growth):
    """10 routes and 1,000 routes, the request matching the last; two processes, taking turns."""

    name = "growth-routes"
    title = "cost per request at 10 to 1,000 routes"
    columns = (
        Column("few_us", "10 routes, µs"),
        Column("many_us", "1,000 routes, µs"),
        Column("growth", "growth", 2),
    )
    goals = (Goal("1,000 routes ÷ 10", "growth", LIMIT),)

    def measure(self, arena: Arena, contestant: Contestant, number: int) -> Sample:
        figures = {}
        for name, count in (("few_us", 10), ("many_us", 1_000)):
            setup = replace(
                contestant.setup,
                directory=contestant.setup.directory / str(count),
                port=free_port(),
                probe_port=free_port(),
                routes=routes(count),
            )
            other = type(contestant)(setup)
            try:
                other.start(arena.proxy_cpus)
                other.wait_serving(arena.token)
                arena.load(arena.plan(other, arena.one_token(), seconds=1))
                figures[name] = cost(arena, other, arena.plan(other, arena.one_token()))
            finally:
                other.stop()
        return figures | {"growth": figures["many_us"] / figures["few_us"]}


def routes(count: int) -> tuple[str, ...]:
    """Return paths, a third each literal, with `*` and with `**`; the last is the one requested."""
    shapes = ("/api/v1/part{}", "/api/v1/part{}/*/items", "/api/v1/part{}/**")
    return (*(shapes[number % 3].format(number) for number in range(count - 1)), upstream.PATH)
