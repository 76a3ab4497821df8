"""A flood of forged tokens from one address: the cost of refusing each, with and without a rate limit.

They are signed by a foreign key under the pool's own key ID, so that only the RSA operation reveals it. Only
the gateway: none of the peers here counts bad tokens.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench import procfs
from bench.contestants import Contestant, Gateway
from bench.processes import BenchError, free_port
from bench.report import Column
from bench.stats import Sample
from bench.works.base import Arena, Work

FORGED = 500


class Limited(Gateway):
    """The gateway with a rate limit that the flood exceeds at once."""

    def render(self) -> dict[str, str]:
        (name, text), *_ = super().render().items()
        return {name: text + "rate_limit:\n  requests_per_second: 1\n  burst: 20\n"}


class Forged(Work):
    name = "forged"
    title = "forged tokens from one address"
    columns = (
        Column("plain_us", "CPU µs, no limit"),
        Column("limited_us", "CPU µs, limited"),
        Column("saved", "saved %", 0),
    )
    headline = None
    _file: Path
    _limited: Limited

    def unfit(self, contestant: Contestant) -> str | None:
        return None if contestant.name == "gateway" else "it does not count bad tokens"

    def prepare(self, arena: Arena) -> None:
        self._file = arena.directory / "forged"
        self._file.write_text("".join(token + "\n" for token in arena.mint.forged(FORGED)))

    def warm_up(self, arena: Arena, contestant: Contestant) -> None:
        self._limited = Limited(
            replace(
                contestant.setup,
                directory=arena.directory / "limited",
                port=free_port(),
                probe_port=free_port(),
            )
        )
        arena.resources.callback(self._limited.stop)
        self._limited.start(arena.proxy_cpus)
        self._limited.wait_ready(arena.token)

    def measure(self, arena: Arena, contestant: Contestant, number: int) -> Sample:
        plain, limited = self._cost(arena, contestant), self._cost(arena, self._limited)
        return {"plain_us": plain, "limited_us": limited, "saved": 100 * (1 - limited / plain)}

    def _cost(self, arena: Arena, contestant: Contestant) -> float:
        plan = replace(arena.plan(contestant, self._file), order="cycle")
        before = procfs.cpu(contestant.pid)
        result = arena.load(plan)
        spent = procfs.spent_ns(before, procfs.cpu(contestant.pid))
        if result.failed != result.requests or not result.requests:
            raise BenchError(f"{contestant.name} let forged tokens through")
        return spent / result.requests / 1e3
