"""One warm token, decided for Envoy: the cost of a decision over gRPC, and over HTTP. Only the gateway."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

from bench.contestants import Contestant, Gateway
from bench.goals import Goal
from bench.load import LoadPlan
from bench.processes import BenchError, free_port
from bench.report import Column
from bench.stats import Sample
from bench.works.base import Arena, Work

# Envoy has one connection to a gateway for each of its threads.
ENVOYS_THREADS = 2


class Checked(Gateway):
    """The gateway with a gRPC listener."""

    grpc_port: int

    def render(self) -> dict[str, str]:
        (name, text), *_ = super().render().items()
        return {name: f"{text}ext_authz:\n  grpc_address: 127.0.0.1:{self.grpc_port}\n"}


class GrpcDecisions(Work):
    name = "grpc"
    title = "a decision for Envoy, over gRPC and over HTTP"
    columns = (
        Column("http_us", "HTTP: CPU µs"),
        Column("grpc_us", "gRPC: CPU µs"),
        Column("ratio", "gRPC ÷ HTTP", 2),
        Column("http_p99_ms", "HTTP: p99 ms", 2),
        Column("grpc_p99_ms", "gRPC: p99 ms", 2),
        Column("http_rss_mib", "HTTP: RSS MiB"),
        Column("grpc_rss_mib", "gRPC: RSS MiB"),
    )
    headline = None
    asked = True
    goals = (Goal("CPU per decision, gRPC ÷ HTTP", "ratio", 3.0),)
    _checked: Checked

    def unfit(self, contestant: Contestant) -> str | None:
        if contestant.name != "gateway":
            return "Envoy does not ask it over gRPC"
        return None if find_spec("grpc") else "the gateway's extra grpc is not installed"

    def warm_up(self, arena: Arena, contestant: Contestant) -> None:
        # Only here: it needs the extra grpc.
        from bench.load.checks import decided

        setup = contestant.setup
        checked = self._checked = Checked(
            replace(setup, directory=arena.directory / "checked", port=free_port(), probe_port=free_port())
        )
        checked.grpc_port = free_port()
        arena.resources.callback(checked.stop)
        checked.start(arena.proxy_cpus)
        checked.wait_ready(arena.token)
        statuses = [
            decided(checked.grpc_port, token) for token in (arena.token, "", *arena.mint.hostile().values())
        ]
        if statuses[0] != 200 or set(statuses[1:]) - {401, 403}:
            raise BenchError(f"over gRPC, the gateway fails its check: {statuses}")
        arena.load(arena.plan(contestant, arena.one_token(), seconds=1))
        arena.load(replace(self._plan(arena), seconds=1))

    def measure(self, arena: Arena, contestant: Contestant, number: int) -> Sample:
        http = arena.drive(contestant, arena.plan(contestant, arena.one_token()))
        grpc = arena.drive(self._checked, self._plan(arena))
        return {
            "http_us": http["cpu_us"],
            "grpc_us": grpc["cpu_us"],
            "ratio": grpc["cpu_us"] / http["cpu_us"],
            "http_p99_ms": http["p99_ms"],
            "grpc_p99_ms": grpc["p99_ms"],
            "http_rss_mib": http["rss_mib"],
            "grpc_rss_mib": grpc["rss_mib"],
        }

    def _plan(self, arena: Arena) -> LoadPlan:
        plan = arena.plan(self._checked, arena.one_token())
        return replace(
            plan,
            port=self._checked.grpc_port,
            connections=ENVOYS_THREADS,
            window=plan.connections,
            grpc=True,
        )
