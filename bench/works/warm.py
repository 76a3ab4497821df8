"""One warm token: the cost of a request when everything is cached."""

from __future__ import annotations

from typing import ClassVar

from bench.contestants import Contestant
from bench.goals import Goal
from bench.report import Column
from bench.stats import Sample
from bench.works.base import CPU, LOADED, Arena, Work


class Warm(Work):
    name = "warm"
    title = "one warm token"
    columns: ClassVar[tuple[Column, ...]] = LOADED
    headline = CPU
    controlled = True
    goals: ClassVar[tuple[Goal, ...]] = (
        Goal("CPU per request ÷ HAProxy", "cpu_us", 0.80, "haproxy"),
        Goal("CPU per request ÷ nginx", "cpu_us", 2.3, "nginx"),
    )

    def warm_up(self, arena: Arena, contestant: Contestant) -> None:
        arena.load(arena.plan(contestant, arena.one_token(), seconds=1))

    def measure(self, arena: Arena, contestant: Contestant, number: int) -> Sample:
        return arena.drive(contestant, arena.plan(contestant, arena.one_token()))
