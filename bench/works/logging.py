"""The access log: the cost of a request with and without a log line on stdout (a file here).

Every other work runs without, as the peers do; this one shows what that leaves out. Only the gateway.
"""

from __future__ import annotations

from dataclasses import replace

from bench.contestants import Contestant, Gateway
from bench.goals import Goal
from bench.processes import BenchError, free_port
from bench.report import Column
from bench.stats import Sample
from bench.works.base import Arena, Work


class Logging(Gateway):
    """The gateway with its default log: JSON, level info, access lines."""

    def render(self) -> dict[str, str]:
        (name, text), *_ = super().render().items()
        head, found, _ = text.partition("log:\n")
        if not found:
            raise BenchError("the gateway's configuration for benchmarks no longer has a log section")
        return {name: head}


class AccessLog(Work):
    name = "logging"
    title = "one warm token, with and without access lines"
    columns = (
        Column("plain_us", "CPU µs, no log"),
        Column("logged_us", "CPU µs, logged"),
        Column("share", "more %", 1),
    )
    headline = None
    goals = (Goal("access lines, % of a request's CPU", "share", 15.0),)
    _logging: Logging

    def unfit(self, contestant: Contestant) -> str | None:
        return None if contestant.name == "gateway" else "its log differs"

    def warm_up(self, arena: Arena, contestant: Contestant) -> None:
        self._logging = Logging(
            replace(
                contestant.setup,
                directory=arena.directory / "logging",
                port=free_port(),
                probe_port=free_port(),
            )
        )
        arena.resources.callback(self._logging.stop)
        self._logging.start(arena.proxy_cpus)
        self._logging.wait_ready(arena.token)
        for each in (contestant, self._logging):
            arena.load(arena.plan(each, arena.one_token(), seconds=1))

    def measure(self, arena: Arena, contestant: Contestant, number: int) -> Sample:
        plain, logged = (
            arena.drive(each, arena.plan(each, arena.one_token()))["cpu_us"]
            for each in (contestant, self._logging)
        )
        return {"plain_us": plain, "logged_us": logged, "share": 100 * (logged / plain - 1)}
