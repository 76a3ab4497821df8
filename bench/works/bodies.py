"""One large download and one large upload: CPU per GiB, and the memory that the proxy holds meanwhile."""

from __future__ import annotations

import subprocess
import sys
import time
from time import perf_counter

from bench import bulk, procfs
from bench.contestants import Contestant
from bench.goals import Goal
from bench.processes import BenchError, on_cpus
from bench.report import Column
from bench.stats import Sample
from bench.works.base import MIB, Arena, Work

GIB = 1024 * MIB
# Often enough to see data pile up: at 1 GiB/s, 20 MiB pass in between.
LOOK_EVERY = 0.02
# Time limit in case it hangs; the slowest contestant moves a GiB in seconds.
SLOWEST_BYTES_PER_SECOND = 10 * MIB

DOWN = Column("down_s", "down CPU s/GiB", 2)
UP = Column("up_s", "up CPU s/GiB", 2)


class Bodies(Work):
    name = "bodies"
    title = "one large answer, one large upload"
    columns = (
        Column("size_mib", "MiB", 0),
        DOWN,
        Column("down_mib_s", "down MiB/s", 0),
        Column("down_growth_mib", "down RSS + MiB"),
        UP,
        Column("up_mib_s", "up MiB/s", 0),
        Column("up_growth_mib", "up RSS + MiB"),
    )
    headline = DOWN
    goals = (
        Goal("CPU of the answer ÷ nginx", "down_s", 2.5, "nginx"),
        Goal("CPU of the upload ÷ nginx", "up_s", 2.5, "nginx"),
        Goal("memory growth of the answer, MiB", "down_growth_mib", 16, highest=True),
        Goal("memory growth of the upload, MiB", "up_growth_mib", 16, highest=True),
    )
    _port: int

    def prepare(self, arena: Arena) -> None:
        self._port = bulk.start(arena.resources, arena.directory / "bulk", arena.load_cpus)
        self._before: dict[str, int] = {}

    def upstream_port(self, arena: Arena) -> int:
        return self._port

    def warm_up(self, arena: Arena, contestant: Contestant) -> None:
        arena.load(arena.plan(contestant, arena.one_token(), seconds=1))
        # Once, before everything: what the first round leaves behind counts as growth in the second too.
        self._before[contestant.name] = procfs.memory(contestant.pid).resident

    def measure(self, arena: Arena, contestant: Contestant, number: int) -> Sample:
        return (
            {"size_mib": arena.options.size_mib}
            | self._move(arena, contestant, "down")
            | self._move(arena, contestant, "up")
        )

    def _move(self, arena: Arena, contestant: Contestant, direction: str) -> dict[str, float]:
        size = arena.options.size_mib * MIB
        command = [sys.executable, "-m", "bench.load.bulk", direction, str(contestant.setup.port)]
        before, start = procfs.cpu(contestant.pid), perf_counter()
        with on_cpus(arena.load_cpus):
            process = subprocess.Popen(
                [*command, str(arena.one_token()), str(size)], stderr=subprocess.PIPE, text=True
            )
        try:
            peak = self._watch(process, contestant, 30 + size / SLOWEST_BYTES_PER_SECOND)
        finally:
            process.kill()
            _, errors = process.communicate()
        if process.returncode != 0:
            raise BenchError(f"{contestant.name}: {direction}: {errors.strip()[-300:]}")
        seconds = perf_counter() - start
        spent = procfs.spent_ns(before, procfs.cpu(contestant.pid)) / 1e9
        return {
            f"{direction}_s": spent / (size / GIB),
            f"{direction}_mib_s": size / MIB / seconds,
            f"{direction}_growth_mib": max(0, peak - self._before[contestant.name]) / MIB,
        }

    def _watch(self, process: subprocess.Popen[str], contestant: Contestant, seconds: float) -> int:
        """Return the contestant's peak memory in bytes during the transfer. Raises BenchError if it is
        late."""
        peak, end = 0, perf_counter() + seconds
        while process.poll() is None:
            peak = max(peak, procfs.memory(contestant.pid).resident)
            if perf_counter() > end:
                raise BenchError(f"{contestant.name}: the transfer did not end within {seconds:.0f} s")
            time.sleep(LOOK_EVERY)
        return max(peak, procfs.memory(contestant.pid).resident)
