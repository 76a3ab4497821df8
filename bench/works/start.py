"""Start-up time: from exec to readiness (/readyz for the gateway, otherwise the first correct answer)."""

from __future__ import annotations

from time import perf_counter

from bench.contestants import Contestant
from bench.goals import Goal
from bench.report import Column
from bench.stats import Sample
from bench.works.base import Arena, Work

READY = Column("ready_ms", "ready ms", 0)
SERVES = Column("serves_ms", "first answer ms", 0)


class Start(Work):
    name = "start"
    title = "start: from exec until ready, and until the first right answer"
    columns = (READY, SERVES)
    headline = READY
    goals = (Goal("from exec until ready, ms", "ready_ms", 500),)

    def measure(self, arena: Arena, contestant: Contestant, number: int) -> Sample:
        contestant.stop()
        start = perf_counter()
        contestant.start(arena.proxy_cpus)
        contestant.wait_ready(arena.token)
        ready = perf_counter()
        contestant.wait_serving(arena.token)
        return {"ready_ms": (ready - start) * 1e3, "serves_ms": (perf_counter() - start) * 1e3}
