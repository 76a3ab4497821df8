"""Support for tests of forward auth: a gateway with routes, and the documented configurations."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from gateway.config.load import load
from gateway.serve.worker import Worker
from tests.support.key_server import KeyServer
from tests.support.programs import started, until
from tests.support.running import Running, running
from tests.support.tokens import CLIENT_ID, POOL_ID

DOCUMENT = Path(__file__).parents[2] / "docs" / "forward-auth.md"

ROUTES = """
routes:
  - {path: /public/**, auth: none}
  - {path: /form, methods: [GET], auth: none}
  - {path: /maybe, auth: optional}
  - {path: /admin/**, groups: [admins]}
"""
TRUSTED = "trusted_proxies: [127.0.0.1]"


@contextlib.asynccontextmanager
async def asked_gateway(folder: Path, yaml: str = ROUTES, **more: Any) -> AsyncIterator[Running]:
    """Run a gateway that trusts proxies on loopback."""
    async with running(folder, yaml, listen_lines=TRUSTED, **more) as gateway:
        yield gateway


@contextlib.asynccontextmanager
async def keyless(folder: Path, endpoint: KeyServer, more: str = ROUTES) -> AsyncIterator[Worker]:
    """Run a gateway that fetches its keys, without waiting for them."""
    path = folder / "gateway.yaml"
    path.write_text(
        f"listen: {{address: '127.0.0.1:0', {TRUSTED}}}\n"
        "metrics: {address: '127.0.0.1:0'}\n"
        f"cognito: {{user_pools: [{{id: {POOL_ID}, client_ids: [{CLIENT_ID}],"
        f" jwks_url: '{endpoint.url}'}}]}}\nlog: {{level: error}}\n" + more
    )
    worker = Worker(load(path, {}).config)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


def documented(language: str, number: int = 0) -> str:
    """Return a configuration from docs/forward-auth.md: block `number` of that language."""
    blocks = re.findall(rf"(?ms)^```{language}\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"))
    return str(blocks[number])


def moved(text: str, **places: str) -> str:
    """Return the configuration with addresses replaced; each must occur in it."""
    for old, new in places.items():
        assert old in text, f"the documented configuration has no {old}"
        text = text.replace(old, new)
    return text


@contextlib.asynccontextmanager
async def proxy(
    folder: Path, command: list[str | Path], port: int, environ: dict[str, str] | None = None
) -> AsyncIterator[None]:
    """Run another proxy in the foreground; yields once it listens."""
    async with started(folder, command, name="proxy", environ=environ) as program:

        async def listens() -> bool:
            if program.process.poll() is not None:
                raise AssertionError(f"it ended: {program.stdout}{program.stderr}")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return False
            writer.close()
            return True

        await until(listens)
        yield


STYLES = ("nginx", "traefik", "envoy")
