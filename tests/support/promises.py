"""A gateway with an upstream that can fail, and the format of every refusal."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.support.programs import Served, pinned, serving
from tests.support.tokens import KeyPair, access_claims, sign
from tests.support.wire import OK, Received, Reply, Upstream


class Bench:
    """A gateway, its pool's key, and an upstream that is controlled by the path."""

    def __init__(self, served: Served, upstream: Upstream, key: KeyPair) -> None:
        self.served, self.upstream, self.key = served, upstream, key

    def token(self, **changes: Any) -> str:
        return sign(self.key, access_claims(**changes)).decode()

    async def bearer(self, target: str = "/", *lines: str, **changes: Any) -> Reply:
        return await self.served.ask(target, f"Authorization: Bearer {self.token(**changes)}", *lines)

    async def log(self, reply: Reply, event: str) -> dict[str, Any]:
        """Wait for the log line of the request with this reply, and return it."""
        # The upstream's answers are relayed unchanged, without a request ID: then take it from its request.
        request_id = reply.get("X-Request-Id") or (self.upstream.last.get("X-Request-Id") or b"").decode()
        for _ in range(1200):
            for line in self.served.log:
                if line["event"] == event and line.get("request_id") == request_id:
                    return line
            await asyncio.sleep(0.05)
        raise AssertionError(f"no {event} of {request_id} in the log")


async def by_path(received: Received, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    match received.target:
        case b"/silent":
            await asyncio.sleep(30)
        case b"/broken":
            writer.write(b"HTTP/1.1 banana\r\n\r\n")
        case b"/gone":
            writer.close()
        case _:
            writer.write(OK)


@contextlib.asynccontextmanager
async def benched(folder: Path) -> AsyncIterator[Bench]:
    key = KeyPair.generate("key-1")
    routes = "routes: [{path: /open, auth: none}, {path: /either, auth: optional}]"
    async with (
        Upstream(script=by_path).running() as upstream,
        serving(
            folder,
            upstream=f"{upstream.url}', response_timeout: '3s",
            pools=pinned(folder, key),
            more=f"{routes}\nlog: {{level: debug}}",
        ) as served,
    ):
        yield Bench(served, upstream, key)


def problem(reply: Reply) -> dict[str, Any]:
    """Return the body of a refusal after checking its format."""
    assert reply.get("Content-Type") == "application/problem+json"
    body: dict[str, Any] = json.loads(reply.body)
    assert set(body) == {"type", "title", "status", "detail", "request_id"}
    assert body["status"] == reply.status
    assert body["request_id"] == reply.get("X-Request-Id")
    assert all(isinstance(body[name], str) and body[name] for name in ("type", "title", "detail"))
    return body
