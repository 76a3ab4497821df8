"""The metrics of one worker, and their merge over many.

The request path increments plain ints, dicts and lists; nothing is computed before a scrape, which takes a
snapshot of every worker, merges them and renders the result (gateway/observe/exposition.py).

Invariant: counters of a snapshot never decrease, in one worker or in a merge, and adding them is exact
(integers only: Prometheus takes the smallest decrease for a restart). So a supervisor keeps
`merge([gone, retired(last_snapshot)])` of the workers that ended, and shows `merge([gone, *live])`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

PREFIX = "cognito_gateway_"

# Upper bounds in seconds. The gateway itself takes about 0.1 ms, so fast APIs need bounds below 1 ms; 60 s is
# the default response_timeout. Each bound is one series per histogram: a dozen is customary.
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)

# RFC 9110 section 9.3 without CONNECT and TRACE, which are refused, plus PATCH (RFC 5789).
USUAL_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# JSON-able: {"counters" | "gauges": {metric: [[label values, number], …]}}
Snapshot: TypeAlias = dict[str, Any]
Series: TypeAlias = list[list[Any]]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its name without the prefix, its labels, and how workers are merged."""

    name: str
    kind: Literal["counter", "histogram", "gauge"]
    labels: tuple[str, ...]
    # Counters and histograms are summed. For a gauge that each worker has, the worst worker is shown (min,
    # max), so that an alert sees the one without keys. "view": only known when rendering.
    merge: Literal["sum", "min", "max", "view"]
    help: str


METRICS = (
    Metric(
        "requests_total",
        "counter",
        ("method", "code"),
        "sum",
        "Requests answered on the public listener, refusals included, by method and status code.",
    ),
    Metric(
        "request_duration_seconds",
        "histogram",
        (),
        "sum",
        "Time from a request's head to the end of its response.",
    ),
    Metric(
        "upstream_duration_seconds",
        "histogram",
        (),
        "sum",
        "Time from sending a request to the upstream until the response head.",
    ),
    Metric("requests_in_flight", "gauge", (), "sum", "Requests in progress, including tunnels and streams."),
    Metric(
        "auth_decisions_total",
        "counter",
        ("result", "reason"),
        "sum",
        "Decisions by result (allowed, refused, error) and reason, as in the log.",
    ),
    Metric("token_cache_hits_total", "counter", (), "sum", "Tokens found in the cache of verified tokens."),
    Metric("token_cache_misses_total", "counter", (), "sum", "Tokens that had to be verified."),
    Metric(
        "jwks_fetches_total",
        "counter",
        ("pool", "result"),
        "sum",
        "Attempts to fetch a user pool's key set, by result.",
    ),
    Metric(
        "jwks_keys", "gauge", ("pool",), "min", "Usable keys of a user pool, in the worker with the fewest."
    ),
    Metric(
        "jwks_keys_ignored",
        "gauge",
        ("pool",),
        "max",
        "Unusable keys in a user pool's key set, in the worker with the most.",
    ),
    Metric(
        "jwks_last_success_timestamp_seconds",
        "gauge",
        ("pool",),
        "min",
        "Unix time of the last successful fetch of a user pool's key set, in the worker with the oldest.",
    ),
    Metric(
        "certificate_expiry_timestamp_seconds",
        "gauge",
        ("section",),
        "min",
        "Unix time at which the certificate in use expires, by configuration section.",
    ),
    Metric(
        "upstream_errors_total",
        "counter",
        ("reason",),
        "sum",
        "Requests that failed at the upstream: unreachable, timeout or malformed response.",
    ),
    Metric(
        "limits_reached_total",
        "counter",
        ("limit",),
        "sum",
        "Requests refused and connections closed at a limit, by configuration key.",
    ),
    Metric(
        "rate_limited_total",
        "counter",
        ("by",),
        "sum",
        "Requests over the rate limit, by whose limit: principal or address.",
    ),
    Metric(
        "rate_limit_errors_total",
        "counter",
        (),
        "sum",
        "Requests counted by one worker only, because Redis was unavailable.",
    ),
    Metric(
        "revocation_checks_total",
        "counter",
        ("result",),
        "sum",
        "Revocation checks, by result: active, revoked, shared (checked by another replica) or error.",
    ),
    Metric(
        "revocation_oldest_check_seconds",
        "gauge",
        (),
        "max",
        "Age of the oldest revocation check of a sign-in in use, in the worker with the oldest.",
    ),
    Metric("revocation_watched", "gauge", (), "sum", "Sign-ins in use that are checked for revocation."),
    Metric(
        "revocation_denied", "gauge", (), "max", "Denied sign-ins and users, in the worker with the most."
    ),
    Metric(
        "revocation_unwatched_total",
        "counter",
        ("reason",),
        "sum",
        "Accepted tokens that cannot be checked: id_token, no_user, no_scope or no_room.",
    ),
    Metric(
        "config_reloads_total",
        "counter",
        ("result",),
        "sum",
        "Reloads of the configuration: success, failure (the old one stays), unchanged.",
    ),
    Metric(
        "config_last_reload_successful",
        "gauge",
        (),
        "min",
        "1; 0 while the configuration file is invalid and the last valid configuration is used.",
    ),
    Metric(
        "sessions_total",
        "counter",
        ("event",),
        "sum",
        "Sessions that began (signed_in) or ended (signed_out; expired: Cognito refused new tokens).",
    ),
    Metric(
        "session_renewals_total",
        "counter",
        ("result",),
        "sum",
        "Renewals of a session's tokens: success, elsewhere (another replica did it), refused, failure.",
    ),
    Metric(
        "mcp_requests_total",
        "counter",
        ("step", "result"),
        "sum",
        "MCP clients' steps (registration, consent, token), by result: success, denied or the error code.",
    ),
    Metric(
        "spans_total",
        "counter",
        ("result",),
        "sum",
        "Spans by result: exported, failed (the collector did not accept them), dropped (queue full).",
    ),
    Metric("workers", "gauge", (), "view", "Worker processes in service."),
    Metric("build_info", "gauge", ("version",), "view", "Always 1; the label is the running version."),
)

_COMBINE: dict[str, Callable[[Any, Any], Any]] = {"sum": lambda a, b: a + b, "min": min, "max": max}
_GAUGE_MERGE = {metric.name: metric.merge for metric in METRICS if metric.kind == "gauge"}


class Histogram:
    """Durations counted per bucket; `counts` has one more element than `bounds`, for those above the last."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = BOUNDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration of `seconds` (>= 0). A bucket includes its bound, as Prometheus's `le` does."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds


class WorkerMetrics:
    """The counts of one worker; the request path writes to the attributes directly.

    Label values are from fixed sets: the reasons of gateway/errors.py, pool IDs of the configuration.
    """

    __slots__ = (
        "auth_decisions",
        "certificate_expiry",
        "config_last_reload_successful",
        "config_reloads",
        "jwks_fetches",
        "jwks_keys",
        "jwks_keys_ignored",
        "jwks_last_success",
        "limits_reached",
        "mcp_requests",
        "rate_limit_errors",
        "rate_limited",
        "request_duration",
        "requests",
        "requests_in_flight",
        "revocation_checks",
        "revocation_denied",
        "revocation_oldest_check",
        "revocation_unwatched",
        "revocation_watched",
        "session_renewals",
        "sessions",
        "spans",
        "token_cache_hits",
        "token_cache_misses",
        "upstream_duration",
        "upstream_errors",
    )

    def __init__(self) -> None:
        self.requests: defaultdict[tuple[str, int], int] = defaultdict(int)  # (method_label(…), status)
        self.request_duration = Histogram()
        self.upstream_duration = Histogram()
        self.requests_in_flight = 0
        self.auth_decisions: defaultdict[tuple[str, str], int] = defaultdict(int)  # (result, reason)
        self.token_cache_hits = 0
        self.token_cache_misses = 0
        self.jwks_fetches: defaultdict[tuple[str, str], int] = defaultdict(int)  # (pool, result)
        self.jwks_keys: dict[str, int] = {}
        self.jwks_keys_ignored: dict[str, int] = {}
        self.jwks_last_success: dict[str, float] = {}  # Unix time
        self.certificate_expiry: dict[str, float] = {}  # Unix time
        self.upstream_errors: defaultdict[str, int] = defaultdict(int)
        self.limits_reached: defaultdict[str, int] = defaultdict(int)
        self.rate_limited: defaultdict[str, int] = defaultdict(int)  # principal or address
        self.rate_limit_errors = 0
        self.sessions: defaultdict[str, int] = defaultdict(int)
        self.session_renewals: defaultdict[str, int] = defaultdict(int)
        self.mcp_requests: defaultdict[tuple[str, str], int] = defaultdict(int)  # (step, result)
        self.spans: defaultdict[str, int] = defaultdict(int)
        self.revocation_checks: defaultdict[str, int] = defaultdict(int)
        self.revocation_oldest_check = 0.0  # seconds
        self.revocation_watched = 0
        self.revocation_denied = 0
        self.revocation_unwatched: defaultdict[str, int] = defaultdict(int)
        # All three from the start, so that rate() sees the first failure.
        self.config_reloads: defaultdict[str, int] = defaultdict(int, success=0, failure=0, unchanged=0)
        self.config_last_reload_successful = 1

    def snapshot(self) -> Snapshot:
        """Return everything as JSON-able values, by the names of the table without prefix."""
        requests: defaultdict[tuple[str, int], int] = defaultdict(int)
        for (method, status), count in self.requests.items():
            requests[method_label(method), status] += count
        return {
            "counters": {
                "requests_total": [[[method, f"{code:03d}"], n] for (method, code), n in requests.items()],
                **_histogram("request_duration_seconds", self.request_duration),
                **_histogram("upstream_duration_seconds", self.upstream_duration),
                "auth_decisions_total": [[list(labels), n] for labels, n in self.auth_decisions.items()],
                "token_cache_hits_total": [[[], self.token_cache_hits]],
                "token_cache_misses_total": [[[], self.token_cache_misses]],
                "jwks_fetches_total": [[list(labels), n] for labels, n in self.jwks_fetches.items()],
                "upstream_errors_total": _one_label(self.upstream_errors),
                "limits_reached_total": _one_label(self.limits_reached),
                "rate_limited_total": _one_label(self.rate_limited),
                "rate_limit_errors_total": [[[], self.rate_limit_errors]],
                "sessions_total": _one_label(self.sessions),
                "session_renewals_total": _one_label(self.session_renewals),
                "mcp_requests_total": [[list(labels), n] for labels, n in self.mcp_requests.items()],
                "spans_total": _one_label(self.spans),
                "revocation_checks_total": _one_label(self.revocation_checks),
                "revocation_unwatched_total": _one_label(self.revocation_unwatched),
                "config_reloads_total": _one_label(self.config_reloads),
            },
            "gauges": {
                "requests_in_flight": [[[], self.requests_in_flight]],
                "config_last_reload_successful": [[[], self.config_last_reload_successful]],
                "revocation_oldest_check_seconds": [[[], self.revocation_oldest_check]],
                "revocation_watched": [[[], self.revocation_watched]],
                "revocation_denied": [[[], self.revocation_denied]],
                "certificate_expiry_timestamp_seconds": _one_label(self.certificate_expiry),
                "jwks_keys": _one_label(self.jwks_keys),
                "jwks_keys_ignored": _one_label(self.jwks_keys_ignored),
                "jwks_last_success_timestamp_seconds": _one_label(self.jwks_last_success),
            },
        }


def method_label(method: str) -> str:
    """Return the method as a label: clients choose it, so any unusual one is "other"."""
    return method if method in USUAL_METHODS else "other"


def retired(snapshot: Snapshot) -> Snapshot:
    """Return what remains of a worker that ended: its counters, not its gauges."""
    return {"counters": snapshot["counters"], "gauges": {}}


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Merge snapshots by the rules of the table; without any, the result has no series."""
    counters: dict[str, dict[tuple[str, ...], Any]] = {}
    gauges: dict[str, dict[tuple[str, ...], Any]] = {}
    for snapshot in snapshots:
        for name, series in snapshot["counters"].items():
            _add(counters.setdefault(name, {}), series, _COMBINE["sum"])
        for name, series in snapshot["gauges"].items():
            _add(gauges.setdefault(name, {}), series, _COMBINE[_GAUGE_MERGE[name]])
    return {"counters": _as_series(counters), "gauges": _as_series(gauges)}


def _histogram(name: str, histogram: Histogram) -> dict[str, Series]:
    """Return counts per bucket (not cumulative), and the sum in whole nanoseconds, which add up exactly."""
    bounds = [*map(str, histogram.bounds), "+Inf"]
    return {
        f"{name}_bucket": [[[bound], n] for bound, n in zip(bounds, histogram.counts, strict=True)],
        f"{name}_nanoseconds": [[[], int(histogram.total * 1e9)]],
    }


def _one_label(values: Mapping[str, float]) -> Series:
    return [[[label], value] for label, value in values.items()]


def _add(into: dict[tuple[str, ...], Any], series: Series, combine: Callable[[Any, Any], Any]) -> None:
    for labels, value in series:
        key = tuple(labels)
        into[key] = combine(into[key], value) if key in into else value


def _as_series(metrics: Mapping[str, Mapping[tuple[str, ...], Any]]) -> dict[str, Series]:
    return {name: [[list(labels), v] for labels, v in series.items()] for name, series in metrics.items()}
