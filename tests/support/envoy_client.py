"""Envoy's side of gRPC ext_authz: its requests, and the stub that sends them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc

from gateway.envoy.ext_authz_pb2 import (
    Address,
    AttributeContext,
    CheckRequest,
    CheckResponse,
    HeaderMap,
    HeaderValue,
    SocketAddress,
)
from tests.support.forward_auth import ROUTES
from tests.support.running import Running, running

# The service's full name, which Envoy sends as the request's path.
METHOD = "/envoy.service.auth.v3.Authorization/Check"
GRPC = "ext_authz: {grpc_address: '127.0.0.1:0'}\n"


class Stub:
    """A client's stub of this service."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.Check: grpc.aio.UnaryUnaryMultiCallable[CheckRequest, CheckResponse] = channel.unary_unary(
            METHOD,
            request_serializer=CheckRequest.SerializeToString,
            response_deserializer=CheckResponse.FromString,
        )


@contextlib.asynccontextmanager
async def envoy(folder: Path, yaml: str = GRPC + ROUTES, **more: Any) -> AsyncIterator[tuple[Running, Stub]]:
    """Run a gateway; yields it with a client's stub."""
    async with running(folder, yaml, **more) as gateway:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.worker.grpc_port}") as channel:
            yield gateway, Stub(channel)


def check(
    path: str = "/api",
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    host: str = "api.test",
    raw: Sequence[tuple[str, str | bytes]] | None = None,
    client: str = "192.0.2.7",
) -> CheckRequest:
    """Return a request as from Envoy: names in lower case, values of one name joined by commas (or separate:
    `raw`)."""
    http = AttributeContext.HttpRequest(
        id="1", method=method, path=path, host=host, scheme="https", protocol="HTTP/1.1"
    )
    if raw is not None:
        http.header_map.CopyFrom(
            HeaderMap(
                headers=[
                    HeaderValue(key=name, raw_value=value.encode() if isinstance(value, str) else value)
                    for name, value in raw
                ]
            )
        )
    else:
        sent = {":path": path, ":method": method, ":authority": host, **(headers or {})}
        for name, value in sent.items():
            http.headers.add(key=name.encode(), value=value.encode())
    source = AttributeContext.Peer(address=Address(socket_address=SocketAddress(address=client)))
    return CheckRequest(
        attributes=AttributeContext(source=source, request=AttributeContext.Request(http=http))
    )
