"""A stand-in for an OpenTelemetry collector: accepts OTLP/HTTP, decodes the protobuf, keeps the spans."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.waiting import PATIENCE
from tests.support.wire import Received, Upstream, read_body

_BODY = ExportTraceServiceResponse().SerializeToString()
TAKEN = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: %d\r\n\r\n%b" % (
    len(_BODY),
    _BODY,
)
REFUSED = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Collected:
    """One span as received."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    flags: int
    started: int
    ended: int
    failed: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]


@dataclass
class Collector:
    spans: list[Collected] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    # The response to every request.
    answer: bytes = TAKEN
    server: Upstream = field(default_factory=Upstream)

    @property
    def url(self) -> str:
        return self.server.url

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Collector]:
        self.server.script = self._take
        async with self.server.running():
            yield self

    async def _take(
        self, received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        body = await read_body(received.head, reader)
        assert received.request_line == b"POST /v1/traces HTTP/1.1"
        assert received.get("Content-Type") == b"application/x-protobuf"
        if self.answer == TAKEN:
            self.raw.append(body)
            self.spans += _decoded(body)
        writer.write(self.answer)

    async def has(self, count: int, seconds: float = PATIENCE) -> list[Collected]:
        """Wait for `count` spans; return all."""
        async with asyncio.timeout(seconds):
            while len(self.spans) < count:
                await asyncio.sleep(0.02)
        return self.spans


def _decoded(body: bytes) -> list[Collected]:
    request = ExportTraceServiceRequest()
    request.ParseFromString(body)
    return [
        Collected(
            span.name,
            span.kind,
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.flags,
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            span.status.code == span.status.STATUS_CODE_ERROR,
            _values(span.attributes),
            _values(of_resource.resource.attributes),
        )
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
