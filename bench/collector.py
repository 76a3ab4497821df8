"""Where a traced gateway's spans go: a stand-in for an OpenTelemetry collector, on loopback; it counts them.

Each request is decoded as OTLP, so that what counts as arrived is what a collector could have kept. Imported
only where the tracing extra is installed (`missing`).
"""

from __future__ import annotations

import importlib.util
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

PATH = "/v1/traces"


def missing() -> str | None:
    """Why there can be no collector, and no gateway that traces; None when there can."""
    if importlib.util.find_spec("opentelemetry") is None:
        return "opentelemetry is not installed: pip install 'cognito-gateway[tracing]'"
    return None


class Collector:
    """Takes OTLP/HTTP at PATH until closed. `spans` counts what came; anything else is refused with 400."""

    def __init__(self) -> None:
        # Whoever has not the extra can still list the works.
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
            ExportTraceServiceResponse,
        )

        self._arrived = threading.Condition()
        self._spans = 0
        collector = self
        taken = ExportTraceServiceResponse().SerializeToString()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
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
                self.send_response(200 if good else 400)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(taken)))
                self.end_headers()
                self.wfile.write(taken)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
                """Nothing: its lines would stand between the report's."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def spans(self) -> int:
        with self._arrived:
            return self._spans

    def count(self, spans: int) -> None:
        with self._arrived:
            self._spans += spans
            self._arrived.notify_all()

    def settle(self, quiet: float, most: float) -> int:
        """How many have come, once nothing has for `quiet` seconds, or after `most` seconds."""
        end = time.monotonic() + most
        seen = self.spans
        while (left := end - time.monotonic()) > 0:
            with self._arrived:
                self._arrived.wait(min(quiet, left))
                if self._spans == seen:
                    break
                seen = self._spans
        return seen

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Collector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
