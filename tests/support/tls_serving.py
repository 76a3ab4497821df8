"""Gateways that serve TLS with certificates from a test."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from tests.support.certificates import Authority, Pair, calling
from tests.support.running import Running, running
from tests.support.wire import Client, Upstream


@contextlib.asynccontextmanager
async def serving(
    folder: Path,
    more: str = "",
    listen: str = "",
    upstream: Upstream | None = None,
    drain_timeout: str = "2s",
) -> AsyncIterator[tuple[Running, Authority]]:
    """Run a gateway with TLS from the files live.crt and live.key; `more` adds to listen.tls."""
    authority = Authority(folder)
    install(folder, authority.sign("first", "127.0.0.1"))
    files = f"certificate_file: {folder}/live.crt, key_file: {folder}/live.key"
    lines = ", ".join(filter(None, (f"tls: {{{files}{more}}}", listen)))
    async with running(folder, upstream=upstream, listen_lines=lines, drain_timeout=drain_timeout) as gateway:
        yield gateway, authority


def install(folder: Path, pair: Pair) -> None:
    shutil.copy(pair.certificate, folder / "live.crt")
    shutil.copy(pair.key, folder / "live.key")


def served(client: Client) -> str:
    """Return the common name of the server's certificate on this connection."""
    certificate = client.writer.get_extra_info("peercert")
    return str(dict(pair for (pair,) in certificate["subject"])["commonName"])


async def greeting(gateway: Running, authority: Authority) -> str:
    async with await Client.connect(gateway.port, calling(authority)) as client:
        return served(client)
