"""The gateway's Redis client, and the log lines it writes."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from gateway.config.load import load
from gateway.observe.logs import Logger, configure
from gateway.redis.redis_client import Redis


class Lines(io.RawIOBase):
    """The stream of a log, kept in memory."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        return len(data)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.data.splitlines()]


@contextlib.contextmanager
def logging_to(folder: Path, lines: Lines) -> Any:
    path = folder / "log.yaml"
    path.write_text("log: {level: debug}\n")
    log = configure(load(path, {}).config.log, lines)  # type: ignore[arg-type]  # a raw stream is all it needs
    try:
        yield log
    finally:
        log.close()


@contextlib.asynccontextmanager
async def redis_at(url: str, log: Logger, **options: Any) -> AsyncIterator[Redis]:
    redis = Redis(url, log=log, probe_every=0.02, **options)
    try:
        yield redis
    finally:
        await redis.close()
