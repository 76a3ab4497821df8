"""The memory of an idle connection: kept alive after one request, or a WebSocket after one frame.

Resident memory of the proxy only; what the kernel holds for the sockets is the same for all. Each round
starts with a fresh process: freed memory that is reused would flatter the second.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import ClassVar

from bench import bulk, procfs
from bench.contestants import Contestant
from bench.goals import Goal
from bench.load.crowd import crowd
from bench.report import Column
from bench.stats import Sample
from bench.works.base import MIB, Arena, Work, restart

KIB = 1024
# Buffers of the last answers are freed within a turn of the loop; a cyclic collection may take longer.
SETTLE_SECONDS = 1.0

EACH = Column("kib_each", "KiB each", 2)


class IdleConnections(Work):
    name = "idle-connections"
    title = "10,000 idle keep-alive connections"
    columns = (
        EACH,
        Column("count", "open", 0),
        Column("before_mib", "RSS before"),
        Column("with_mib", "RSS with"),
        Column("after_mib", "RSS after"),
    )
    headline = EACH
    goals: ClassVar[tuple[Goal, ...]] = (Goal("memory of an idle connection, KiB", "kib_each", 6),)
    most_rounds = 3
    size: ClassVar[int] = 10_000
    upgrade: ClassVar[bool] = False

    def unfit(self, contestant: Contestant) -> str | None:
        fits = contestant.name in {"gateway", "nginx"}
        return None if fits else "its limit of connections is below 10,000 as it is set up here"

    def measure(self, arena: Arena, contestant: Contestant, number: int) -> Sample:
        restart(arena, contestant)
        arena.load(arena.plan(contestant, arena.one_token(), seconds=1))
        before = procfs.memory(contestant.pid).resident
        count = self.size // 10 if arena.options.quick else self.size
        plan = replace(arena.plan(contestant, arena.one_token()), connections=count, upgrade=self.upgrade)
        with crowd(plan, arena.load_cpus) as opened:
            time.sleep(SETTLE_SECONDS)
            held = procfs.memory(contestant.pid).resident
            opened.require_alive()
        time.sleep(SETTLE_SECONDS)
        return {
            "count": count,
            "kib_each": (held - before) / count / KIB,
            "before_mib": before / MIB,
            "with_mib": held / MIB,
            "after_mib": procfs.memory(contestant.pid).resident / MIB,
        }


class IdleTunnels(IdleConnections):
    name = "idle-tunnels"
    title = "1,000 open WebSockets"
    goals = (Goal("memory of an open WebSocket, KiB", "kib_each", 30),)
    size = 1_000
    upgrade = True
    _port: int

    def unfit(self, contestant: Contestant) -> str | None:
        fits = contestant.name in {"gateway", "haproxy"}
        return None if fits else "not set up for upgrades here"

    def prepare(self, arena: Arena) -> None:
        self._port = bulk.start(arena.resources, arena.directory / "sockets", arena.load_cpus)

    def upstream_port(self, arena: Arena) -> int:
        return self._port
