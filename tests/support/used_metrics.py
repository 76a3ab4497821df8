"""Metrics with a value for each of them."""

from __future__ import annotations

from gateway.observe.metrics import (
    WorkerMetrics,
)


def used_metrics() -> WorkerMetrics:
    metrics = WorkerMetrics()
    metrics.requests["GET", 200] += 3
    metrics.request_duration.observe(0.25)
    metrics.upstream_duration.observe(0.125)
    metrics.requests_in_flight = 2
    metrics.auth_decisions["refused", "token_expired"] += 1
    metrics.token_cache_hits = 5
    metrics.token_cache_misses = 1
    metrics.jwks_fetches["pool", "success"] += 1
    metrics.jwks_keys["pool"] = 2
    metrics.jwks_keys_ignored["pool"] = 1
    metrics.jwks_last_success["pool"] = 1_700_000_000.5
    metrics.certificate_expiry["listen.tls"] = 1_800_000_000.0
    metrics.upstream_errors["upstream_timeout"] += 1
    metrics.limits_reached["upstream.response_timeout"] += 1
    metrics.rate_limited["principal"] += 1
    metrics.sessions["signed_in"] += 1
    metrics.session_renewals["success"] += 1
    metrics.mcp_requests["token", "invalid_grant"] += 1
    metrics.spans["exported"] += 1
    metrics.revocation_checks["active"] += 1
    metrics.revocation_unwatched["no_user"] += 1
    metrics.config_reloads["failure"] += 1
    return metrics
