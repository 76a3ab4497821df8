"""Fetching of a key set document, from Cognito or from a file; any failure is a `FetchFailed`.

The bytes are not interpreted here: `parse_key_set` alone judges them. Invariant: a read ends within
`TOTAL_TIMEOUT`, holds at most `MAX_DOCUMENT_SIZE` bytes and one chunk, and follows no redirect; the text of
a `FetchFailed` never contains a byte of the response.
"""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from typing import Protocol

from aiohttp import ClientError

from gateway.config.model import DIRECT, Egress, UserPool
from gateway.errors import GatewayError, system_said
from gateway.outgoing.aws_http import AwsHttp
from gateway.tokens.jwk import MAX_DOCUMENT_SIZE

# Seconds for name resolution, connection, TLS and the whole document; a slow drip ends here too. Requests
# with an unknown kid wait at most this long. A healthy response takes 20–300 ms; oauth2-proxy allows 30 s.
TOTAL_TIMEOUT = 5.0

_HEADERS = {
    # RFC 7517 section 8.5.2 registers jwk-set+json; Cognito sends application/json.
    "Accept": "application/jwk-set+json, application/json",
    # Without compression there is no decompression bomb.
    "Accept-Encoding": "identity",
}


class FetchFailed(Exception):
    """The fetch failed. `reason` is from a fixed set (log and metric); the text is safe to log."""

    def __init__(self, reason: str, exact: str) -> None:
        super().__init__(exact)
        self.reason = reason


class KeySetSource(Protocol):
    """The source of one pool's key set. Implementations: HttpSource, FileSource."""

    async def read(self) -> bytes:
        """Return the document; raises FetchFailed."""


class HttpSource:
    """A key set's URL. Each read has a new session, because minutes pass between two."""

    def __init__(self, url: str, egress: Egress = DIRECT, *, timeout: float = TOTAL_TIMEOUT) -> None:
        self._url = url
        self._http = AwsHttp(egress)
        self._timeout = timeout

    async def read(self) -> bytes:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._get()
        except TimeoutError:
            raise FetchFailed(
                "timeout", f"{self._url}: no complete response within {self._timeout:g} s"
            ) from None
        except (GatewayError, ClientError, OSError, ValueError) as error:
            raise FetchFailed("unreachable", f"{self._url}: {self._http.explain(error)}") from error

    async def _get(self) -> bytes:
        # The timeout covers all of this; aiohttp's would not cover closing the session.
        options = await self._http.options(self._url)
        session = self._http.session()
        # A redirect could lead to another party's keys (CVE-2026-102267): only 200 is accepted.
        async with (
            session,
            session.get(self._url, headers=_HEADERS, allow_redirects=False, **options) as answer,
        ):
            if answer.status != 200:
                raise FetchFailed("status", f"{self._url}: status {answer.status}")
            document = bytearray()
            async for chunk in answer.content.iter_any():
                document += chunk
                if len(document) > MAX_DOCUMENT_SIZE:
                    raise FetchFailed("too_large", f"{self._url}: more than {MAX_DOCUMENT_SIZE} bytes")
            return bytes(document)

    def __repr__(self) -> str:
        return f"<HttpSource {self._url}>"


class FileSource:
    """Pinned keys (`jwks_file`). Read in full each time: a time stamp may be too coarse to show a change."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> bytes:
        try:
            # In a thread: the file may be on a network volume.
            return await asyncio.to_thread(_read_regular, self._path)
        except OSError as error:
            raise FetchFailed("unreadable", f"{self._path}: {system_said(error)}") from error

    def __repr__(self) -> str:
        return f"<FileSource {self._path}>"


def _read_regular(path: Path) -> bytes:
    # O_NONBLOCK: opening a pipe would otherwise wait for a writer indefinitely, and block the exit.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise FetchFailed("unreadable", f"{path}: not a regular file")
        document = file.read(MAX_DOCUMENT_SIZE + 1)
    if len(document) > MAX_DOCUMENT_SIZE:
        raise FetchFailed("too_large", f"{path}: more than {MAX_DOCUMENT_SIZE} bytes")
    return document


def source_of(pool: UserPool, egress: Egress) -> HttpSource | FileSource:
    """Return where the configuration says that this pool's key set is."""
    return HttpSource(pool.jwks_url, egress) if pool.jwks_file is None else FileSource(pool.jwks_file)
