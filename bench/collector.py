"""A minimal OpenTelemetry collector on loopback, which counts the spans of a traced gateway.

Each request is decoded as OTLP, so only spans that a collector could store are counted. Imported only if the
tracing extra is installed (`missing`).
"""

from __future__ import annotations

import importlib.util
import threading
import time

from bench.loopback import Handler, Loopback

PATH = "/v1/traces"


def missing() -> str | None:
    """Return why there can be no collector, and no traced gateway; None if there can."""
    if importlib.util.find_spec("opentelemetry") is None:
        return "opentelemetry is not installed: pip install 'cognito-gateway[tracing]'"
    return None


class Collector(Loopback):
    """Accepts OTLP/HTTP at PATH until closed. `spans` counts them; anything else is refused with 400."""

    def __init__(self) -> None:
        # Imported here, so that the works can be listed without the extra.
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
            ExportTraceServiceResponse,
        )

        self._arrived = threading.Condition()
        self._spans = 0
        collector = self
        taken = ExportTraceServiceResponse().SerializeToString()

        class Spans(Handler):
            def do_POST(self) -> None:  # noqa: N802  (http.server's name)
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                try:
                    request = ExportTraceServiceRequest.FromString(body)
                except DecodeError:
                    request = ExportTraceServiceRequest()
                spans = sum(
                    len(of_scope.spans)
                    for of_resource in request.resource_spans
                    for of_scope in of_resource.scope_spans
                )
                good = self.path == PATH and spans > 0
                if good:
                    collector.count(spans)
                self.answer(200 if good else 400, "application/x-protobuf", taken)

        super().__init__(Spans)

    @property
    def url(self) -> str:
        return self.origin

    @property
    def spans(self) -> int:
        with self._arrived:
            return self._spans

    def count(self, spans: int) -> None:
        with self._arrived:
            self._spans += spans
            self._arrived.notify_all()

    def settle(self, quiet: float, most: float) -> int:
        """Return the number of spans once none has arrived for `quiet` seconds, or after `most` seconds."""
        end = time.monotonic() + most
        seen = self.spans
        while (left := end - time.monotonic()) > 0:
            with self._arrived:
                self._arrived.wait(min(quiet, left))
                if self._spans == seen:
                    break
                seen = self._spans
        return seen
