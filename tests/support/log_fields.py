"""The fields of an access log line, as listed in docs/logs.md."""

from __future__ import annotations

# The published interface.
ACCESS = (
    "timestamp, level, event, request_id, client, method, path, status, duration_ms, request_bytes, "
    "response_bytes, upstream_ms, subject, pool, decision, reason"
)


ACCESS_FIELDS = ACCESS.split(", ")
