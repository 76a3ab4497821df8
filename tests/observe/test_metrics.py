"""Counters: what a snapshot holds, and that a merge over coming and going workers never goes backwards."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.observe.metrics import (
    BOUNDS,
    METRICS,
    Histogram,
    Snapshot,
    WorkerMetrics,
    merge,
    method_label,
    retired,
)
from tests.support.used_metrics import used_metrics


def test_a_bucket_includes_its_bound() -> None:
    histogram = Histogram((1.0, 2.0))
    for seconds in (0.0, 1.0, 1.5, 2.0, 2.1):
        histogram.observe(seconds)
    assert histogram.counts == [2, 2, 1]
    assert histogram.total == pytest.approx(6.6)


def test_bounds_rise() -> None:
    assert list(BOUNDS) == sorted(set(BOUNDS))


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_usual_methods_are_their_own_label(method: str) -> None:
    assert method_label(method) == method


@pytest.mark.parametrize("method", ["get", "TRACE", "CONNECT", "BREW", "", 'X"\n'])
def test_other_methods_share_a_label(method: str) -> None:
    assert method_label(method) == "other"


def test_methods_of_clients_never_become_labels_even_when_counted_raw() -> None:
    metrics = WorkerMetrics()
    for method in ("BREW", "PURGE", "GET"):
        metrics.requests[method, 200] += 1
    assert metrics.snapshot()["counters"]["requests_total"] == [[["other", "200"], 2], [["GET", "200"], 1]]


def test_a_snapshot_survives_json() -> None:
    snapshot = used_metrics().snapshot()
    assert json.loads(json.dumps(snapshot, allow_nan=False)) == snapshot


def test_a_snapshot_holds_every_metric_of_the_table() -> None:
    snapshot = used_metrics().snapshot()
    for metric in METRICS:
        if metric.kind == "histogram":
            assert {f"{metric.name}_bucket", f"{metric.name}_nanoseconds"} <= snapshot["counters"].keys()
        elif metric.merge != "view":
            series = snapshot["gauges" if metric.kind == "gauge" else "counters"][metric.name]
            assert series
            assert all(len(labels) == len(metric.labels) for labels, _ in series)


def test_gauges_merge_as_the_table_says() -> None:
    one, other = used_metrics(), used_metrics()
    other.requests_in_flight = 5
    other.jwks_keys = {"pool": 0, "second": 2}
    other.jwks_last_success = {"pool": 1_600_000_000.0}
    gauges = merge([one.snapshot(), other.snapshot()])["gauges"]
    assert gauges["requests_in_flight"] == [[[], 7]]
    assert gauges["jwks_keys"] == [[["pool"], 0], [["second"], 2]]
    assert gauges["jwks_last_success_timestamp_seconds"] == [[["pool"], 1_600_000_000.0]]


def test_a_retired_worker_leaves_its_counters_only() -> None:
    snapshot = used_metrics().snapshot()
    merged = merge([retired(snapshot), WorkerMetrics().snapshot()])
    assert merged["counters"]["requests_total"] == snapshot["counters"]["requests_total"]
    assert merged["gauges"]["requests_in_flight"] == [[[], 0]]
    assert merged["gauges"]["jwks_keys"] == []


def test_a_merge_of_nothing_has_no_series() -> None:
    assert merge([]) == {"counters": {}, "gauges": {}}


WORKERS = 3
COUNT = st.tuples(
    st.just("count"),
    st.integers(0, WORKERS - 1),
    st.sampled_from(["GET", "POST", "BREW"]),
    st.sampled_from([200, 401, 503]),
)
OBSERVE = st.tuples(st.just("observe"), st.integers(0, WORKERS - 1), st.floats(0, 1e4), st.none())
REPLACE = st.tuples(st.just("replace"), st.integers(0, WORKERS - 1), st.none(), st.none())


def views(steps: list[tuple[str, int, object, object]]) -> Iterator[Snapshot]:
    """What a supervisor would show after each step."""
    live = [WorkerMetrics() for _ in range(WORKERS)]
    gone = merge([])
    for kind, index, first, second in steps:
        worker = live[index]
        if kind == "count":
            assert isinstance(first, str)
            assert isinstance(second, int)
            worker.requests[first, second] += 1
        elif kind == "observe":
            assert isinstance(first, float)
            worker.request_duration.observe(first)
        else:
            gone = merge([gone, retired(json.loads(json.dumps(worker.snapshot())))])
            live[index] = WorkerMetrics()
        yield merge([gone, *(json.loads(json.dumps(one.snapshot())) for one in live)])


@given(st.lists(COUNT | OBSERVE | REPLACE, max_size=40))
def test_the_view_never_goes_backwards(steps: list[tuple[str, int, object, object]]) -> None:
    before: dict[tuple[str, tuple[str, ...]], int] = {}
    for view in views(steps):
        now = {
            (name, tuple(labels)): value
            for name, series in view["counters"].items()
            for labels, value in series
        }
        assert all(now[key] >= value for key, value in before.items())
        before = now
    counted = sum(value for (name, _), value in before.items() if name == "requests_total")
    assert counted == sum(kind == "count" for kind, *_ in steps)
