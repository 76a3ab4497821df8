"""A gateway in the test's event loop, in front of a scripted upstream."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.config.load import load
from gateway.observe.logs import configure
from gateway.serve.capacity import Capacity
from gateway.serve.worker import Worker
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, access_claims, key_set_document, sign
from tests.support.waiting import PATIENCE
from tests.support.wire import Upstream


class Stream(io.RawIOBase):
    """Collects what the logger's thread writes."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        return len(data)


@dataclass
class Running:
    worker: Worker
    upstream: Upstream
    key: KeyPair
    stream: Stream

    @property
    def port(self) -> int:
        return self.worker.port

    def token(self, **changes: Any) -> str:
        """Return an access token that is accepted, apart from the changes."""
        return sign(self.key, access_claims(**changes)).decode("ascii")

    def bearer(self, **changes: Any) -> str:
        return f"Authorization: Bearer {self.token(**changes)}"

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.data.splitlines()]


async def logged(gateway: Running, event: str, count: int) -> list[dict[str, Any]]:
    """Wait for `count` log records of this event (a thread writes them), and return them."""
    async with asyncio.timeout(PATIENCE):
        while len(lines := [line for line in gateway.log() if line["event"] == event]) < count:
            await asyncio.sleep(0.005)
    return lines


@contextlib.asynccontextmanager
async def running(
    folder: Path,
    yaml: str = "",
    *,
    upstream: Upstream | None = None,
    upstream_url: str | None = None,
    upstream_lines: str = "",
    listen_lines: str = "",
    pool_lines: str = "",
    cognito_lines: str = "",
    cognito: str = "",
    drain_timeout: str = "2s",
    capacity: Capacity | None = None,
) -> AsyncIterator[Running]:
    """Run a gateway with one pool whose keys are in a file, in front of `upstream` unless there is an
    `upstream_url`. `yaml` adds top-level sections, `cognito` replaces that section;
    `upstream_lines`, `listen_lines`, `pool_lines` and `cognito_lines` add to those sections,
    e.g. "response_timeout: 200ms".
    """
    key = KeyPair.generate("key-1")
    (folder / "jwks.json").write_bytes(key_set_document(key))
    upstream = upstream or Upstream()
    async with upstream.running():
        path = folder / "gateway.yaml"
        path.write_text(
            f"listen: {{address: '127.0.0.1:0', drain_timeout: {drain_timeout}{_more(listen_lines)}}}\n"
            f"metrics: {{address: '127.0.0.1:0'}}\n"
            f"upstream: {{url: '{upstream_url or upstream.url}'{_more(upstream_lines)}}}\n"
            + (cognito or _pinned(folder, pool_lines, cognito_lines))
            + yaml
        )
        stream = Stream()
        config = load(path, {}).config
        log = configure(config.log, stream)  # type: ignore[arg-type]  # a raw stream is all it needs
        worker = Worker(config, log=log, capacity=capacity)
        await worker.start()
        while worker.app.unready():
            await asyncio.sleep(0.005)
        try:
            yield Running(worker, upstream, key, stream)
        finally:
            await worker.stop()
            log.close()


def _pinned(folder: Path, lines: str, more: str) -> str:
    """Return one pool with its keys in a file."""
    pool = f"id: {POOL_ID}, client_ids: [{CLIENT_ID}], jwks_file: {folder}/jwks.json{_more(lines)}"
    return f"cognito: {{user_pools: [{{{pool}}}]{_more(more)}}}\n"


def _more(lines: str) -> str:
    return f", {lines}" if lines else ""
