"""The exposition, read back with Prometheus's own parsers."""

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from gateway.observe.exposition import render
from gateway.observe.metrics import WorkerMetrics, merge
from tests.support.used_metrics import used_metrics

# The published interface: name as promised, type, labels.
PROMISED = {
    "cognito_gateway_requests_total": ("counter", {"method", "code"}),
    "cognito_gateway_request_duration_seconds": ("histogram", {"le"}),
    "cognito_gateway_upstream_duration_seconds": ("histogram", {"le"}),
    "cognito_gateway_requests_in_flight": ("gauge", set()),
    "cognito_gateway_auth_decisions_total": ("counter", {"result", "reason"}),
    "cognito_gateway_token_cache_hits_total": ("counter", set()),
    "cognito_gateway_token_cache_misses_total": ("counter", set()),
    "cognito_gateway_jwks_fetches_total": ("counter", {"pool", "result"}),
    "cognito_gateway_jwks_keys": ("gauge", {"pool"}),
    "cognito_gateway_jwks_keys_ignored": ("gauge", {"pool"}),
    "cognito_gateway_jwks_last_success_timestamp_seconds": ("gauge", {"pool"}),
    "cognito_gateway_certificate_expiry_timestamp_seconds": ("gauge", {"section"}),
    "cognito_gateway_upstream_errors_total": ("counter", {"reason"}),
    "cognito_gateway_limits_reached_total": ("counter", {"limit"}),
    "cognito_gateway_rate_limited_total": ("counter", {"by"}),
    "cognito_gateway_rate_limit_errors_total": ("counter", set()),
    "cognito_gateway_sessions_total": ("counter", {"event"}),
    "cognito_gateway_session_renewals_total": ("counter", {"result"}),
    "cognito_gateway_mcp_requests_total": ("counter", {"step", "result"}),
    "cognito_gateway_spans_total": ("counter", {"result"}),
    "cognito_gateway_revocation_checks_total": ("counter", {"result"}),
    "cognito_gateway_revocation_oldest_check_seconds": ("gauge", set()),
    "cognito_gateway_revocation_watched": ("gauge", set()),
    "cognito_gateway_revocation_denied": ("gauge", set()),
    "cognito_gateway_revocation_unwatched_total": ("counter", {"reason"}),
    "cognito_gateway_config_reloads_total": ("counter", {"result"}),
    "cognito_gateway_config_last_reload_successful": ("gauge", set()),
    "cognito_gateway_workers": ("gauge", set()),
    "cognito_gateway_build_info": ("gauge", {"version"}),
}


def families(metrics: WorkerMetrics, accept: str = "") -> dict[str, Metric]:
    body, content_type = render(metrics.snapshot(), workers=2, version="1.2.3", accept=accept)
    parse = parse_openmetrics if content_type.startswith("application/openmetrics-text") else parse_text
    return {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in parse(body.decode())
    }


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_names_types_and_labels_are_the_promised_ones(accept: str) -> None:
    shown = families(used_metrics(), accept)
    assert {name: family.type for name, family in shown.items()} == {
        name: kind for name, (kind, _) in PROMISED.items()
    }
    for name, (_, labels) in PROMISED.items():
        assert shown[name].samples
        assert set().union(*(sample.labels for sample in shown[name].samples)) == labels


def test_every_metric_is_there_before_its_first_event_and_explains_itself() -> None:
    shown = families(WorkerMetrics())
    assert shown.keys() == PROMISED.keys()
    assert all(len(family.documentation) > 20 for family in shown.values())


def value(shown: dict[str, Metric], name: str, sample: str | None = None, **labels: str) -> float:
    (found,) = [s for s in shown[name].samples if s.labels == labels and s.name == (sample or name)]
    return float(found.value)


def test_values() -> None:
    shown = families(used_metrics())
    prefix = "cognito_gateway_"
    assert value(shown, prefix + "requests_total", method="GET", code="200") == 3
    assert value(shown, prefix + "auth_decisions_total", result="refused", reason="token_expired") == 1
    assert value(shown, prefix + "requests_in_flight") == 2
    assert value(shown, prefix + "jwks_keys", pool="pool") == 2
    assert value(shown, prefix + "jwks_keys_ignored", pool="pool") == 1
    assert value(shown, prefix + "jwks_last_success_timestamp_seconds", pool="pool") == 1_700_000_000.5
    assert value(shown, prefix + "workers") == 2
    assert value(shown, prefix + "build_info", version="1.2.3") == 1
    assert value(shown, prefix + "config_reloads_total", result="success") == 0
    duration = prefix + "request_duration_seconds"
    assert value(shown, duration, duration + "_bucket", le="0.1") == 0
    assert value(shown, duration, duration + "_bucket", le="0.25") == 1
    assert value(shown, duration, duration + "_bucket", le="+Inf") == 1
    assert value(shown, duration, duration + "_count") == 1
    assert value(shown, duration, duration + "_sum") == 0.25


def test_a_view_without_workers_is_still_a_view() -> None:
    body, _ = render(merge([]), workers=0, version="1.2.3")
    assert b"cognito_gateway_workers 0.0" in body


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=x", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=\udcff", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ],
)
def test_the_format_follows_the_accept_header(accept: str, content_type: str) -> None:
    assert render(WorkerMetrics().snapshot(), workers=1, version="1", accept=accept)[1] == content_type
