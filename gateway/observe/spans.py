"""The span sender: a bounded queue, and one thread that sends spans to an OTLP collector.

Imported only if `tracing` is configured; the only importer of opentelemetry. The thread encodes and sends
batches, so a slow or unavailable collector costs requests only the queue.

Invariant: `put` never blocks and never raises. A span is counted once: exported, failed (not accepted by the
collector) or dropped (the queue was full).
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from gateway.config.model import Tracing
from gateway.observe.logs import Logger
from gateway.observe.metrics import WorkerMetrics
from gateway.version import VERSION

_log = logging.getLogger(__name__)

# Queued spans: a second of 4,000 traced requests, two spans each, about 10 MiB.
_MAX_WAITING = 8192
# The SDK's own batch size: a collector accepts it in one request.
_BATCH = 512
# Seconds between two looks at the queue; a full batch is sent at once.
_PAUSE = 1.0
# Seconds for one batch, retries included (the SDK's default): a longer time only fills the queue.
_TIMEOUT = 10.0
# It logs every attempt; `tracing_unavailable` is logged once.
_EXPORTERS_LOG = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


class Span(NamedTuple):
    """One finished span; times are Unix nanoseconds."""

    name: str
    kind: SpanKind
    trace_id: int
    span_id: int
    # 0: no parent.
    parent_id: int
    parent_is_remote: bool
    flags: int
    started: int
    ended: int
    attributes: Mapping[str, str | int]
    error: bool


class _LastWords(logging.Handler):
    """Keeps the exporter's last message, which says why the collector refused a batch."""

    said = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.said = record.getMessage()


class SpanSender:
    """Owns the sending thread, from `start` to `stop`."""

    def __init__(self, tracing: Tracing, *, metrics: WorkerMetrics, log: Logger) -> None:
        self._endpoint = tracing.otlp_endpoint
        self._metrics = metrics
        self._log = log
        session = requests.Session()
        session.trust_env = False  # proxy variables are for other programs: no HTTP_PROXY, no .netrc
        # The exporter itself reads OTEL_EXPORTER_OTLP_HEADERS, _CERTIFICATE and the like.
        self._exporter = OTLPSpanExporter(
            endpoint=tracing.otlp_endpoint + "/v1/traces", timeout=_TIMEOUT, session=session
        )
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override this name.
        self._resource = Resource.create({"service.name": "cognito-gateway", "service.version": VERSION})
        self._scope = InstrumentationScope("cognito-gateway", VERSION)
        self._waiting: deque[Span] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._away = False
        self._heard = _LastWords()
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        for result in ("exported", "failed", "dropped"):
            metrics.spans.setdefault(result, 0)

    def start(self) -> None:
        """Start the thread. Idempotent."""
        if self._thread.ident is not None:
            return
        exporters = logging.getLogger(_EXPORTERS_LOG)
        exporters.propagate = False
        exporters.addHandler(self._heard)
        self._thread.start()

    def put(self, span: Span) -> None:
        """Queue one span."""
        if len(self._waiting) >= _MAX_WAITING:
            self._metrics.spans["dropped"] += 1
            return
        self._waiting.append(span)
        if len(self._waiting) == _BATCH:
            self._wake.set()

    def stop(self, timeout: float) -> None:
        """Send queued spans, for at most `timeout` seconds. Blocks; idempotent."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the SDK's; ends the pause between two tries
            logging.getLogger(_EXPORTERS_LOG).removeHandler(self._heard)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(_PAUSE)
            self._wake.clear()
            while self._waiting:
                self._send([self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))])

    def _send(self, spans: list[Span]) -> None:
        try:
            result = self._exporter.export([self._readable(span) for span in spans])
        except Exception:  # noqa: BLE001 - the next batch must still be sent
            _log.exception("%d spans were not sent", len(spans))
            result = SpanExportResult.FAILURE
        taken = result is SpanExportResult.SUCCESS
        # Only this thread writes these two counters, which exist from the start.
        self._metrics.spans["exported" if taken else "failed"] += len(spans)
        if self._away == taken:
            self._away = not taken
            if taken:
                self._log.event("tracing_recovered", endpoint=self._endpoint)
            else:
                exact = self._heard.said
                self._log.event("tracing_unavailable", level="warning", endpoint=self._endpoint, exact=exact)

    def _readable(self, span: Span) -> ReadableSpan:
        flags = TraceFlags(span.flags)
        parent = None
        if span.parent_id:
            parent = SpanContext(span.trace_id, span.parent_id, span.parent_is_remote, flags)
        return ReadableSpan(
            span.name,
            context=SpanContext(span.trace_id, span.span_id, is_remote=False, trace_flags=flags),
            parent=parent,
            resource=self._resource,
            attributes=span.attributes,
            kind=span.kind,
            status=Status(StatusCode.ERROR) if span.error else Status(StatusCode.UNSET),
            start_time=span.started,
            end_time=span.ended,
            instrumentation_scope=self._scope,
        )
