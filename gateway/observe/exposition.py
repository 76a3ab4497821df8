"""Rendering of metric snapshots as Prometheus text; the only importer of prometheus_client.

It is imported by scrapes only, because it costs 14 ms on top of aiohttp. Invariant: every metric of the table
is in every response, with its help text, even before its first event.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from gateway.observe.metrics import METRICS, PREFIX, Metric, Series, Snapshot


def render(snapshot: Snapshot, *, workers: int, version: str, accept: str = "") -> tuple[bytes, str]:
    """Return body and content type: Prometheus text, or OpenMetrics if the `accept` header asks for it."""
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is not a number, e.g. "text/plain;version=x"
        encode, content_type = choose_encoder("")
    return encode(_View(snapshot, workers, version)), content_type


class _View(Collector):
    def __init__(self, snapshot: Snapshot, workers: int, version: str) -> None:
        self._counters: dict[str, Series] = snapshot["counters"]
        self._gauges: dict[str, Series] = snapshot["gauges"] | {
            "workers": [[[], workers]],
            "build_info": [[[version], 1]],
        }

    def collect(self) -> Iterator[Family]:
        for metric in METRICS:
            if metric.kind == "histogram":
                yield self._histogram(metric)
            else:
                yield self._plain(metric)

    def _plain(self, metric: Metric) -> Family:
        counter = metric.kind == "counter"
        make = CounterMetricFamily if counter else GaugeMetricFamily
        family = make(PREFIX + metric.name, metric.help, labels=metric.labels)
        series = (self._counters if counter else self._gauges).get(metric.name, [])
        for labels, value in sorted(series):
            family.add_metric(labels, value)
        return family

    def _histogram(self, metric: Metric) -> Family:
        family = HistogramMetricFamily(PREFIX + metric.name, metric.help, labels=metric.labels)
        series = self._counters.get(f"{metric.name}_bucket", [])
        if series:
            bounds = [labels[0] for labels, _ in series]
            nanoseconds = self._counters[f"{metric.name}_nanoseconds"][0][1]
            buckets = list(zip(bounds, accumulate(n for _, n in series), strict=True))
            family.add_metric([], buckets, nanoseconds / 1e9)
        return family
