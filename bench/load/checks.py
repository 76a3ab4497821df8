"""Envoy's checks over gRPC: one message, repeated in closed loops on HTTP/2 connections.

Only what a client needs for that (RFC 9113), so that the server is busier than the load: the head of a call
is the same bytes each time, without a dynamic table, and an answer is right if its message is the first's.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
from pathlib import Path
from time import perf_counter
from typing import cast

from bench.load.plan import LoadPlan, LoadResult
from bench.stats import percentile
from bench.upstream import PATH
from gateway.envoy.ext_authz_pb2 import CheckRequest, CheckResponse

METHOD = "/envoy.service.auth.v3.Authorization/Check"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7, 0x8
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
# So much of the largest window is opened again at a time.
WINDOW = 1 << 20


def question(token: str) -> bytes:
    """Return Envoy's message about the request that the other works send."""
    check = CheckRequest()
    check.attributes.source.address.socket_address.address = "127.0.0.1"
    http = check.attributes.request.http
    http.id, http.method, http.path, http.host, http.scheme = "1", "GET", PATH, "127.0.0.1", "http"
    http.protocol = "HTTP/1.1"
    for name, value in (
        *((":authority", "127.0.0.1"), (":method", "GET"), (":path", PATH), (":scheme", "http")),
        *(("x-forwarded-proto", "http"), ("x-request-id", "5f1c5b0e-2f3c-4c5e-9d50-0c8f0a5a2f60")),
    ):
        http.headers.add(key=name.encode(), value=value.encode())
    if token:
        http.headers.add(key=b"authorization", value=f"Bearer {token}".encode())
    return check.SerializeToString()


def status(answer: bytes) -> int:
    """Return the status that Envoy's client gets by this message; 200 if its request passes."""
    response = CheckResponse.FromString(answer)
    return response.denied_response.status.code if response.HasField("denied_response") else 200


def decided(port: int, token: str) -> int:
    """Return the status of one decision, asked for by the gRPC library. Raises OSError if there is none."""
    import grpc

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        check: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
        try:
            return status(check(question(token), timeout=60))
        except grpc.RpcError as error:
            raise OSError(f"no decision over gRPC: {error}") from error


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


def field(name: str, value: str) -> bytes:
    """Return a field line, literal and never indexed (RFC 7541 section 6.2.3); both are short."""
    return b"\x10%c%b%c%b" % (len(name), name.encode(), len(value), value.encode())


HEAD = b"".join(
    field(name, value)
    for name, value in (
        *((":method", "POST"), (":scheme", "http"), (":path", METHOD), (":authority", "gateway")),
        *(("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "60S")),
    )
)


class Connection(asyncio.Protocol):
    """An HTTP/2 connection with some calls at a time."""

    def __init__(self, owner: Checks) -> None:
        self._owner = owner
        self._left = b""
        self._next = 1
        self._read = 0
        # By stream: when it began, and the message so far.
        self._calls: dict[int, tuple[float, bytes]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(
            PREFACE
            + frame(SETTINGS, 0, 0, struct.pack(">HI", 0x1, 0))
            + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW))
        )

    def call(self) -> None:
        stream, self._next = self._next, self._next + 2
        self._calls[stream] = perf_counter(), b""
        self._transport.write(
            frame(HEADERS, END_HEADERS, stream, HEAD) + frame(DATA, END_STREAM, stream, self._owner.message)
        )

    def data_received(self, data: bytes) -> None:
        data, at = self._left + data, 0
        while len(data) - at >= 9:
            length, flags, stream = struct.unpack_from(">IBI", data, at)
            kind, end = length & 0xFF, at + 9 + (length >> 8)
            if len(data) < end:
                break
            self._frame(kind, flags, stream, data[at + 9 : end])
            at = end
        self._left = data[at:]
        if self._read > WINDOW // 2:
            self._transport.write(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", self._read)))
            self._read = 0

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == DATA:
            self._read += len(payload)
            if stream in self._calls:
                began, message = self._calls[stream]
                self._calls[stream] = began, message + payload
        elif kind in (SETTINGS, PING) and not flags & ACK:
            self._transport.write(frame(kind, ACK, 0, payload if kind == PING else b""))
        elif kind == GOAWAY:
            self._transport.close()
        ends = kind == RST_STREAM or (kind in (DATA, HEADERS) and flags & END_STREAM)
        # After its last frame, a server may reset a stream as well.
        if ends and stream in self._calls:
            began, message = self._calls.pop(stream)
            self._owner.answered(self, began, message)

    def connection_lost(self, exc: Exception | None) -> None:
        calls, self._calls = self._calls, {}
        for _ in calls:
            self._owner.answered(None, 0.0, b"")

    def close(self) -> None:
        self._transport.abort()


class Checks:
    """Runs one plan: `window` calls at a time on its `connections`."""

    def __init__(self, plan: LoadPlan) -> None:
        (token, *_) = Path(plan.tokens).read_text().split() or [""]
        message = question(token)
        self.message = struct.pack(">BI", 0, len(message)) + message
        self._plan = plan
        self._latencies: list[float] = []
        self._failed = 0
        self._open = 0
        self._over = False
        self._ended = asyncio.Event()
        # Of the first call; every other one must be the same.
        self._answer: bytes | None = None

    async def run(self) -> LoadResult:
        loop = asyncio.get_running_loop()
        connections = []
        for _ in range(self._plan.connections):
            _, connection = await loop.create_connection(
                lambda: Connection(self), "127.0.0.1", self._plan.port
            )
            connections.append(connection)
        start = perf_counter()
        loop.call_later(self._plan.seconds, self._end)
        for number in range(self._plan.window):
            self._open += 1
            connections[number % len(connections)].call()
        await self._ended.wait()
        seconds = perf_counter() - start
        for connection in connections:
            connection.close()
        if self._answer is None:
            raise RuntimeError("not one answer came in")
        ordered = sorted(self._latencies)
        p50, p99 = (percentile(ordered, share) * 1e3 for share in (0.50, 0.99))
        return LoadResult(len(ordered), self._failed, seconds, p50, p99)

    def answered(self, connection: Connection | None, began: float, message: bytes) -> None:
        self._open -= 1
        if self._answer is None and message:
            self._answer = message
            self._failed += status(message[5:]) != 200
        self._latencies.append(perf_counter() - began)
        if connection is None or message != self._answer:
            self._failed += 1
        if connection is not None and not self._over:
            self._open += 1
            connection.call()
        if not self._open:
            self._ended.set()

    def _end(self) -> None:
        self._over = True


async def main(plan: LoadPlan) -> None:
    print((await Checks(plan).run()).to_json())


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(LoadPlan(**json.loads(sys.argv[1]))))
