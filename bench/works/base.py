"""The base class of works: a work declares its columns and measures one contestant in a round.

Invariant: there is a sample only if every single answer was correct; otherwise BenchError.
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
USER = Column("user_us", "user")
SYSTEM = Column("system_us", "system")
RATE = Column("per_second", "req/s", 0)
P50 = Column("p50_ms", "p50 ms", 2)
P99 = Column("p99_ms", "p99 ms", 2)
RSS = Column("rss_mib", "RSS MiB")
PEAK = Column("peak_mib", "peak MiB")
LOADED = (CPU, USER, SYSTEM, RATE, P50, P99, RSS, PEAK)


@dataclass(frozen=True, slots=True)
class Arena:
    """The environment of a work: tokens, key endpoint, upstream, directory, CPUs.

    Anything else that a work starts is registered in `resources`.
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
        """Return the usual closed-loop plan for this contestant, with the first token of the file."""
        return LoadPlan(
            port=contestant.setup.port,
            path=contestant.target(),
            headers=contestant.naming(),
            tokens=str(tokens),
            seconds=self.options.seconds if seconds is None else seconds,
            connections=self.options.connections,
        )

    def one_token(self) -> Path:
        """Return a file with the run's one warm token."""
        path = self.directory / "one-token"
        path.write_text(self.token + "\n")
        return path

    def drive(self, contestant: Contestant, plan: LoadPlan) -> Sample:
        """Run a plan and measure what it costs the contestant. Raises BenchError for any failed request."""
        before = procfs.cpu(contestant.pid)
        result = self.load(plan)
        after = procfs.cpu(contestant.pid)
        require_success(contestant, result)
        memory = procfs.memory(contestant.pid)
        each = procfs.spent_ns(before, after) / result.requests / 1e3
        system = each * procfs.system_share(before, after)
        return {
            "cpu_us": each,
            "user_us": each - system,
            "system_us": system,
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
    """Restart the contestant, and wait until it has answered one request."""
    contestant.stop()
    contestant.start(arena.proxy_cpus)
    contestant.wait_serving(arena.token)


class Work(ABC):
    name: ClassVar[str]
    title: ClassVar[str]
    columns: ClassVar[tuple[Column, ...]]
    # The column whose ratio, ours to theirs, is the work's result; None if a ratio means nothing.
    headline: ClassVar[Column | None]
    # The useful number of rounds: one, if a round is expensive and its result stable.
    most_rounds: ClassVar[int | None] = None
    # Whether contestants decide for another proxy instead of forwarding.
    asked: ClassVar[bool] = False
    # Whether the table has a row per figure instead of a column.
    tall: ClassVar[bool] = False
    # Whether a second nginx runs as the control, and the parts of a request can be counted (bench/parts.py).
    controlled: ClassVar[bool] = False
    # The goals for its figures.
    goals: ClassVar[tuple[Goal, ...]] = ()

    def unfit(self, contestant: Contestant) -> str | None:
        """Return why this work does not apply to this contestant; None if it does."""
        return None

    def upstream_port(self, arena: Arena) -> int:
        """Return the upstream's port; called after `prepare`."""
        return arena.upstream_port

    def prepare(self, arena: Arena) -> None:  # noqa: B027  (optional: most works need nothing)
        """Prepare before anything is started: what takes long, such as creating tokens."""

    def warm_up(self, arena: Arena, contestant: Contestant) -> None:  # noqa: B027
        """Warm up each contestant once, before the first round."""

    @abstractmethod
    def measure(self, arena: Arena, contestant: Contestant, number: int) -> Sample:
        """Measure round `number`, from 0. Raises BenchError if the contestant fails."""
