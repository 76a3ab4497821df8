"""Spans for requests: a server span each, and a client span for the upstream exchange.

Imported only if `tracing` is configured. Invariant: a span has a request's method, path and outcome; never
its query, its headers or its user.
"""

from __future__ import annotations

import asyncio
import time
from random import Random

from opentelemetry.trace import SpanKind

from gateway.config.model import Tracing, Upstream
from gateway.http.request import Request, Trace
from gateway.observe.logs import Logger, loggable_path
from gateway.observe.metrics import WorkerMetrics, method_label
from gateway.observe.spans import Span, SpanSender
from gateway.observe.traceparent import SAMPLED, parse, render

# Seconds that shutdown waits for the collector.
_LAST_BATCH = 2.0


class Tracer:
    """The spans of one configuration. Owns the thread that sends them."""

    def __init__(self, tracing: Tracing, upstream: Upstream, *, metrics: WorkerMetrics, log: Logger) -> None:
        self._sample = tracing.sample
        self._upstream = upstream
        self._sender = SpanSender(tracing, metrics=metrics, log=log)
        self._random = Random()  # noqa: S311 - identifiers, not secrets; seeded by the system

    def start(self) -> None:
        """Start the sender. Idempotent."""
        self._sender.start()

    async def stop(self) -> None:
        await asyncio.to_thread(self._sender.stop, _LAST_BATCH)

    def upstream_lines(self, request: Request) -> bytes:
        """Return the trace context lines for the upstream, whose parent is our client span."""
        trace = request.trace = self._begin(request)
        # W3C Trace Context section 3.3: tracestate belongs to the traceparent it came with.
        state = request.head.tracestate if trace.parent_id else b""
        return render(trace.trace_id, trace.client_id, trace.flags) + state

    def _begin(self, request: Request) -> Trace:
        value = request.head.traceparent
        parent = None if value is None else parse(value)
        bits = self._random.getrandbits
        if parent is not None:  # sampling is decided where the trace began
            return Trace(parent.trace_id, parent.span_id, bits(64) or 1, bits(64) or 1, parent.flags)
        flags = SAMPLED if self._random.random() < self._sample else 0
        return Trace(bits(128) or 1, 0, bits(64) or 1, bits(64) or 1, flags)

    def ended(self, request: Request, status: int, seconds: float) -> None:
        """Send the spans of a finished request, if it is sampled."""
        trace = request.trace or self._begin(request)
        if not trace.flags & SAMPLED:
            return
        ended = time.time_ns()
        started = ended - int(seconds * 1e9)
        self._sender.put(_server_span(request, trace, status, started, ended))
        if request.sent_at:
            self._sender.put(_client_span(request, trace, self._upstream, started, ended))


def _server_span(request: Request, trace: Trace, status: int, started: int, ended: int) -> Span:
    """Build the span by OpenTelemetry's semantic conventions for HTTP servers."""
    attributes = _method(request) | {
        "url.path": loggable_path((request.original or request).raw_path or "-"),
        "url.scheme": request.peer.proto.decode("ascii"),
        "http.response.status_code": status,
        "client.address": request.client,
        "network.protocol.version": "1.0" if request.http10 else "1.1",
        "cognito_gateway.request_id": request.request_id.decode("ascii"),
        "cognito_gateway.decision": request.decision,
        "cognito_gateway.reason": request.failure or request.reason,
    }
    failed = status >= 500
    if failed:
        attributes["error.type"] = request.failure or request.reason or str(status)
    return Span(
        _name(request),
        SpanKind.SERVER,
        trace.trace_id,
        trace.server_id,
        trace.parent_id,
        True,
        trace.flags,
        started,
        ended,
        attributes,
        failed,
    )


def _client_span(request: Request, trace: Trace, upstream: Upstream, started: int, ended: int) -> Span:
    """Build the span from sending the request to the response head, like `upstream_duration_seconds`."""
    sent = started + int((request.sent_at - request.started) * 1e9)
    attributes = _method(request) | {
        "url.path": loggable_path(request.raw_path),
        "server.address": str(upstream.unix or upstream.host),
    }
    if upstream.unix is None:
        attributes["server.port"] = upstream.port
    waited = request.upstream_seconds
    failure = request.failure
    if waited is not None:
        attributes["http.response.status_code"] = request.status
        if request.status >= 400:
            failure = failure or str(request.status)
    if failure:
        attributes["error.type"] = failure
    return Span(
        _name(request),
        SpanKind.CLIENT,
        trace.trace_id,
        trace.client_id,
        trace.server_id,
        False,
        trace.flags,
        sent,
        ended if waited is None else sent + int(waited * 1e9),
        attributes,
        bool(failure),
    )


def _method(request: Request) -> dict[str, str | int]:
    method = method_label((request.original or request).method)
    return {"http.request.method": "_OTHER" if method == "other" else method}


def _name(request: Request) -> str:
    """Return the method only: span names must be few, and clients choose paths."""
    method = method_label((request.original or request).method)
    return "HTTP" if method == "other" else method
