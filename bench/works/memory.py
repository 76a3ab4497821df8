"""Resident memory before the first and after 100,000 requests."""

from __future__ import annotations

from bench import procfs
from bench.contestants import Contestant
from bench.report import Column
from bench.stats import Sample
from bench.works.base import MIB, PEAK, RSS, Arena, Work, require_success

REQUESTS = 100_000
REQUESTS_QUICK = 5_000
BEFORE = Column("before_mib", "RSS before")
COUNT = Column("requests", "requests", 0)


class MemoryAfterRequests(Work):
    name = "memory"
    title = "memory after 100,000 requests"
    columns = (BEFORE, RSS, PEAK, COUNT)
    headline = RSS
    most_rounds = 1

    def measure(self, arena: Arena, contestant: Contestant, number: int) -> Sample:
        before = procfs.memory(contestant.pid)
        wanted = REQUESTS_QUICK if arena.options.quick else REQUESTS
        served = 0
        while served < wanted:
            result = arena.load(arena.plan(contestant, arena.one_token()))
            require_success(contestant, result)
            served += result.requests
        after = procfs.memory(contestant.pid)
        return {
            "before_mib": before.resident / MIB,
            "rss_mib": after.resident / MIB,
            "peak_mib": after.peak / MIB,
            "requests": served,
        }
