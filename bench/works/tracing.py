"""Tracing: the cost of a request with two spans sent, with those of a tenth of the traces, and without.

The thread that encodes and sends spans belongs to the gateway and counts fully, up to the last batch; the
collector does not count. Every other work runs without tracing. Only the gateway.
"""

from __future__ import annotations

import re
from dataclasses import replace

from bench import collector, procfs
from bench.collector import Collector
from bench.contestants import Contestant, Gateway
from bench.processes import BenchError, fetch, free_port
from bench.report import Column
from bench.stats import Sample
from bench.works.base import Arena, Work, require_success

TENTH = 0.1
# Seconds: the gateway sends waiting spans once a second, so after this long without one, none is left.
QUIET, MOST = 1.5, 10.0


class Traced(Gateway):
    """The gateway with tracing of this share of the traces."""

    endpoint: str
    sample: float

    def render(self) -> dict[str, str]:
        (name, text), *_ = super().render().items()
        return {name: f"{text}tracing:\n  otlp_endpoint: {self.endpoint}\n  sample: {self.sample:g}\n"}


class Tracing(Work):
    name = "tracing"
    title = "one warm token, with and without spans"
    columns = (
        Column("plain_us", "CPU µs, no spans"),
        Column("tenth_us", "a tenth traced"),
        Column("all_us", "all traced"),
        Column("tenth_ratio", "tenth ÷ none", 2),
        Column("all_ratio", "all ÷ none", 2),
        Column("lost", "spans lost %"),
    )
    headline = None
    _tenth: tuple[Traced, Collector]
    _all: tuple[Traced, Collector]

    def unfit(self, contestant: Contestant) -> str | None:
        if contestant.name != "gateway":
            return "its spans differ, if it has any"
        return collector.missing()

    def warm_up(self, arena: Arena, contestant: Contestant) -> None:
        self._tenth = self._start(arena, contestant, "tenth", TENTH)
        self._all = self._start(arena, contestant, "all", 1.0)
        for each in (contestant, self._tenth[0], self._all[0]):
            arena.load(arena.plan(each, arena.one_token(), seconds=1))

    def measure(self, arena: Arena, contestant: Contestant, number: int) -> Sample:
        plain = arena.drive(contestant, arena.plan(contestant, arena.one_token()))["cpu_us"]
        tenth, _ = self._cost(arena, *self._tenth)
        traced, lost = self._cost(arena, *self._all)
        return {
            "plain_us": plain,
            "tenth_us": tenth,
            "all_us": traced,
            "tenth_ratio": tenth / plain,
            "all_ratio": traced / plain,
            "lost": 100 * lost,
        }

    def _start(
        self, arena: Arena, contestant: Contestant, name: str, sample: float
    ) -> tuple[Traced, Collector]:
        spans = arena.resources.enter_context(Collector())
        traced = Traced(
            replace(
                contestant.setup,
                directory=arena.directory / f"traced-{name}",
                port=free_port(),
                probe_port=free_port(),
            )
        )
        traced.endpoint, traced.sample = spans.url, sample
        arena.resources.callback(traced.stop)
        traced.start(arena.proxy_cpus)
        traced.wait_ready(arena.token)
        wrong = traced.check(arena.mint)
        if wrong:
            raise BenchError(f"traced, the gateway fails its check: {'; '.join(wrong)}")
        return traced, spans

    def _cost(self, arena: Arena, traced: Traced, spans: Collector) -> tuple[float, float]:
        """Return CPU µs per request with its spans sent, and the share of lost spans. Raises BenchError.

        A span that found the queue full costs next to nothing: by that share the figure is too low.
        """
        arrived, counted = spans.settle(QUIET, MOST), _counted(traced)
        before = procfs.cpu(traced.pid)
        result = arena.load(arena.plan(traced, arena.one_token()))
        arrived = spans.settle(QUIET, MOST) - arrived
        spent = procfs.spent_ns(before, procfs.cpu(traced.pid))
        require_success(traced, result)
        made = {outcome: number - counted[outcome] for outcome, number in _counted(traced).items()}
        if not arrived or arrived != made["exported"]:
            raise BenchError(f"{arrived} spans arrived of {made['exported']} that the gateway says it sent")
        return spent / result.requests / 1e3, 1 - arrived / sum(made.values())


def _counted(traced: Traced) -> dict[str, int]:
    """Return the gateway's own count of spans, by `result`."""
    _, text = fetch(traced.setup.probe_port, "/metrics")
    found = re.findall(r'^cognito_gateway_spans_total\{result="(\w+)"\} ([0-9.e+]+)$', text.decode(), re.M)
    return {result: int(float(number)) for result, number in found}
