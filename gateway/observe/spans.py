"""Where spans go: a bounded queue, and one thread that sends them to an OTLP collector.

Imported only where `tracing` is configured; the only importer of opentelemetry. Batches are encoded and sent
by the thread, so a collector that is slow or away costs requests nothing but the queue.

Invariant: `put` never blocks and never raises. A span is counted once: exported, failed (the collector did
not take it) or dropped (the queue was full).
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

# Spans waiting for the thread: a second of 4,000 traced requests, two spans each, about 10 MiB.
_MAX_WAITING = 8192
# The SDK's own batch: a collector takes it in one request.
_BATCH = 512
# Seconds between two looks at the queue; a full batch is sent at once.
_PAUSE = 1.0
# Seconds for one batch, tries again included (the SDK's default): longer only fills the queue.
_TIMEOUT = 10.0
# It says every single try; `tracing_unavailable` says it once.
_EXPORTERS_LOG = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


class Span(NamedTuple):
    """One finished span; times are Unix nanoseconds."""

    name: str
    kind: SpanKind
    trace_id: int
    span_id: int
    # 0: it has none.
    parent_id: int
    parent_is_remote: bool
    flags: int
    started: int
    ended: int
    attributes: Mapping[str, str | int]
    error: bool


class _LastWords(logging.Handler):
    """What the exporter said last: why the collector took nothing."""

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
        session.trust_env = False  # proxy variables are meant for others: no HTTP_PROXY, no .netrc
        # OTEL_EXPORTER_OTLP_HEADERS, _CERTIFICATE and the like are the exporter's own to read.
        self._exporter = OTLPSpanExporter(
            endpoint=tracing.otlp_endpoint + "/v1/traces", timeout=_TIMEOUT, session=session
        )
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over the name given here.
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
        """Idempotent."""
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
        """Send what waits, for at most `timeout` seconds. Blocks; idempotent."""
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
        except Exception:  # noqa: BLE001 - whatever it is, the next batch must get its chance
            _log.exception("%d spans were not sent", len(spans))
            result = SpanExportResult.FAILURE
        taken = result is SpanExportResult.SUCCESS
        # No other thread writes these two, and both have been there from the start.
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
