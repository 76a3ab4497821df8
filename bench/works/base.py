"""The seam between the run and a work: a work declares its columns and measures one contestant for one round.

Invariant: a sample exists only when every single answer was the right one; otherwise BenchError.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bench import procfs
from bench.contestants import Contestant
from bench.goals import Goal
from bench.keyserver import KeyServer
from bench.load import LoadPlan, LoadResult, generate
from bench.options import Options
from bench.processes import BenchError
from bench.report import Column
from bench.stats import Sample
from bench.tokens import Mint

MIB = 1024 * 1024


CPU = Column("cpu_us", "CPU µs/req")
RATE = Column("per_second", "req/s", 0)
P50 = Column("p50_ms", "p50 ms", 2)
P99 = Column("p99_ms", "p99 ms", 2)
RSS = Column("rss_mib", "RSS MiB")
PEAK = Column("peak_mib", "peak MiB")
LOADED = (CPU, RATE, P50, P99, RSS, PEAK)


@dataclass(frozen=True, slots=True)
class Arena:
    """What a work finds ready: the pool's tokens, the key endpoint, the upstream, a directory, the CPUs.

    What a work starts besides, it enters into `resources`.
    """

    options: Options
    mint: Mint
    token: str
    key_server: KeyServer
    upstream_port: int
    directory: Path
    proxy_cpus: frozenset[int]
    load_cpus: frozenset[int]
    resources: ExitStack

    def load(self, plan: LoadPlan) -> LoadResult:
        return generate(plan, self.load_cpus)

    def plan(self, contestant: Contestant, tokens: Path, seconds: float | None = None) -> LoadPlan:
        """The usual closed loop on this contestant, first token of the file only."""
        return LoadPlan(
            port=contestant.setup.port,
            path=contestant.target(),
            headers=contestant.naming(),
            tokens=str(tokens),
            seconds=self.options.seconds if seconds is None else seconds,
            connections=self.options.connections,
        )

    def one_token(self) -> Path:
        """A file with the run's one warm token."""
        path = self.directory / "one-token"
        path.write_text(self.token + "\n")
        return path

    def drive(self, contestant: Contestant, plan: LoadPlan) -> Sample:
        """Runs the plan and reads what it cost the contestant. Raises BenchError for any failed request."""
        before = procfs.cpu(contestant.pid)
        result = self.load(plan)
        after = procfs.cpu(contestant.pid)
        require_success(contestant, result)
        memory = procfs.memory(contestant.pid)
        return {
            "cpu_us": procfs.spent_ns(before, after) / result.requests / 1e3,
            "per_second": result.per_second,
            "p50_ms": result.p50_ms,
            "p99_ms": result.p99_ms,
            "rss_mib": memory.resident / MIB,
            "peak_mib": memory.peak / MIB,
            "requests": result.requests,
        }


def require_success(contestant: Contestant, result: LoadResult) -> None:
    if result.failed or not result.requests:
        raise BenchError(f"{contestant.name}: {result.failed} of {result.requests} requests failed")


def restart(arena: Arena, contestant: Contestant) -> None:
    """A fresh process that has answered one request."""
    contestant.stop()
    contestant.start(arena.proxy_cpus)
    contestant.wait_serving(arena.token)


class Work(ABC):
    name: ClassVar[str]
    title: ClassVar[str]
    columns: ClassVar[tuple[Column, ...]]
    # The column whose ratio, ours to theirs, is what the work is about; None where a ratio says nothing.
    headline: ClassVar[Column | None]
    # The most rounds that make sense: one, where a round is costly and its outcome steady.
    most_rounds: ClassVar[int | None] = None
    # The contestants are asked by another proxy, instead of forwarding.
    asked: ClassVar[bool] = False
    # The table has a row for each figure instead of a column.
    tall: ClassVar[bool] = False
    # What the figures have to show.
    goals: ClassVar[tuple[Goal, ...]] = ()

    def unfit(self, contestant: Contestant) -> str | None:
        """Why this work has no meaning for this contestant; None when it has."""
        return None

    def upstream_port(self, arena: Arena) -> int:
        """Where the contestants forward to; known once `prepare` is through."""
        return arena.upstream_port

    def prepare(self, arena: Arena) -> None:  # noqa: B027  (optional: most works need nothing)
        """Before anything is started: what takes long, such as making tokens."""

    def warm_up(self, arena: Arena, contestant: Contestant) -> None:  # noqa: B027
        """Once for each contestant, before the first round."""

    @abstractmethod
    def measure(self, arena: Arena, contestant: Contestant, number: int) -> Sample:
        """Round `number`, from 0. Raises BenchError when the contestant fails at it."""
