"""The way out to AWS for aiohttp: sessions, their proxy and their roots, and what went wrong in words.

boto3 gets the same `Egress` (gateway/aws/boto_egress.py). Invariant: proxy and roots come from the `Egress`
alone, never from the environment; no byte of an answer and no credential is in the text of what went wrong.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import TypeAlias, TypedDict

from aiohttp import (
    ClientConnectorError,
    ClientHttpProxyError,
    ClientProxyConnectionError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)

from gateway.config.egress import proxy_authorization, proxy_for, without_credentials
from gateway.config.model import Egress
from gateway.errors import GatewayError
from gateway.tls.causes import plain
from gateway.tls.outgoing_context import client_context
from gateway.version import VERSION

# What an unchanged file is recognised by: device, inode, time of change in ns, size. None: no such file.
_Mark: TypeAlias = tuple[int, int, int, int] | None


class _Options(TypedDict, total=False):
    ssl: ssl.SSLContext
    proxy: str
    proxy_headers: dict[str, str]


class AwsHttp:
    """Makes sessions for one `Egress`. Whoever asks for a session closes it."""

    def __init__(self, egress: Egress) -> None:
        self.egress = egress
        self._kept: tuple[_Mark, ssl.SSLContext] | None = None

    def session(self) -> ClientSession:
        """Return a session without cookies, time limits, decompression or anything of the environment."""
        return ClientSession(
            connector=TCPConnector(limit=0),
            cookie_jar=DummyCookieJar(),
            trust_env=False,  # no .netrc, and no proxy but the one of `options`
            auto_decompress=False,
            headers={"User-Agent": f"cognito-gateway/{VERSION}"},
            timeout=ClientTimeout(total=None),
        )

    async def options(self, url: str) -> _Options:
        """Return what a request for this URL is made with. Raises GatewayError for unreadable roots."""
        options: _Options = {}
        if url.startswith("https:"):
            options["ssl"] = await self._context()
        proxy = proxy_for(self.egress, url)
        if proxy is not None:
            options["proxy"] = without_credentials(proxy)
            options["proxy_headers"] = proxy_authorization(proxy)
        return options

    def explain(self, error: Exception) -> str:
        """Return what went wrong; the class alone where aiohttp quotes the peer's bytes in the text."""
        if isinstance(error, GatewayError):
            return str(error)
        if isinstance(error, ClientHttpProxyError):
            return f"{proxy_named(self.egress)} answered {error.status} to CONNECT"
        if isinstance(error, ClientProxyConnectionError):
            return (
                f"{proxy_named(self.egress)} cannot be reached: {(error.strerror or 'no connection').lower()}"
            )
        cause = error.os_error if isinstance(error, ClientConnectorError) else error.__cause__
        if isinstance(cause, ssl.SSLCertVerificationError):
            return certificate_problem(cause, self.egress)
        if isinstance(cause, ssl.SSLError):
            return plain(cause)
        return plain(cause if isinstance(cause, OSError) else error)

    async def _context(self) -> ssl.SSLContext:
        """The context of the roots as they are now: a file that was replaced is read again."""
        file = self.egress.roots
        mark = None if file is None else _mark(file)
        if self._kept is None or self._kept[0] != mark:
            # All roots of a system take some 20 ms to parse: in a thread.
            made = await asyncio.to_thread(client_context, file, self.egress.ca_from)
            self._kept = mark, made
        return self._kept[1]

    def __repr__(self) -> str:
        return f"<AwsHttp {self.egress!r}>"


def _mark(file: Path) -> _Mark:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def proxy_named(egress: Egress) -> str:
    """Return the proxy as a sentence's subject, with the setting to look at."""
    address = "" if egress.proxy is None else f" {without_credentials(egress.proxy)}"
    return f"the proxy{address} ({egress.proxy_from})"


def certificate_problem(error: ssl.SSLCertVerificationError, egress: Egress) -> str:
    """Return why a certificate of AWS's, or of a proxy in its place, was refused, and what to change."""
    file = "" if egress.roots is None else f" ({egress.roots})"
    return (
        f"certificate verify failed: {error.verify_message.rstrip('.')}; trusted are the roots of "
        f"{egress.ca_from}{file}: where a proxy inspects TLS, set cognito.ca_file to a file with its root"
    )
