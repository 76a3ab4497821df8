"""aiohttp sessions for calls to AWS, with proxy and CA file, and their errors in plain words.

boto3 gets the same `Egress` (gateway/aws/boto_egress.py). Invariant: proxy and CA file come from the `Egress`
alone, never from the environment; no error text contains a byte of a response or a credential.
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

# Identifies an unchanged file: device, inode, modification time in ns, size. None: no such file.
_Mark: TypeAlias = tuple[int, int, int, int] | None


class _Options(TypedDict, total=False):
    ssl: ssl.SSLContext
    proxy: str
    proxy_headers: dict[str, str]


class AwsHttp:
    """Creates sessions for one `Egress`. The caller closes them."""

    def __init__(self, egress: Egress) -> None:
        self.egress = egress
        self._kept: tuple[_Mark, ssl.SSLContext] | None = None

    def session(self) -> ClientSession:
        """Return a session without cookies, timeouts, decompression or settings from the environment."""
        return ClientSession(
            connector=TCPConnector(limit=0),
            cookie_jar=DummyCookieJar(),
            trust_env=False,  # no .netrc, and no proxy except that of `options`
            auto_decompress=False,
            headers={"User-Agent": f"cognito-gateway/{VERSION}"},
            timeout=ClientTimeout(total=None),
        )

    async def options(self, url: str) -> _Options:
        """Return the arguments for a request to this URL. Raises GatewayError for an unreadable CA file."""
        options: _Options = {}
        if url.startswith("https:"):
            options["ssl"] = await self._context()
        proxy = proxy_for(self.egress, url)
        if proxy is not None:
            options["proxy"] = without_credentials(proxy)
            options["proxy_headers"] = proxy_authorization(proxy)
        return options

    def explain(self, error: Exception) -> str:
        """Return what went wrong; only the class where aiohttp's text quotes the peer's bytes."""
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
        """Return the context for the current CA file; a replaced file is read again."""
        file = self.egress.roots
        mark = None if file is None else _mark(file)
        if self._kept is None or self._kept[0] != mark:
            # Parsing a system's CA certificates takes some 20 ms: in a thread.
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
    """Return the proxy as the subject of a sentence, with the setting that names it."""
    address = "" if egress.proxy is None else f" {without_credentials(egress.proxy)}"
    return f"the proxy{address} ({egress.proxy_from})"


def certificate_problem(error: ssl.SSLCertVerificationError, egress: Egress) -> str:
    """Return why a certificate of AWS, or of a proxy in between, was refused, and what to change."""
    file = "" if egress.roots is None else f" ({egress.roots})"
    return (
        f"certificate verify failed: {error.verify_message.rstrip('.')}; the trusted CAs are those of "
        f"{egress.ca_from}{file}: where a proxy inspects TLS, set cognito.ca_file to a file with its CA"
    )
