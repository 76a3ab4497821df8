"""Connecting to the upstream: name resolution, Happy Eyeballs, TLS.

Invariant: a connection that is returned is verified (TLS), and if its host vanishes silently, it ends within
`SILENT_DEATH` seconds while data is in flight.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any

from aiohappyeyeballs import start_connection

from gateway.config.model import Upstream
from gateway.tls.rotation import WatchedContext
from gateway.upstream.connection import UpstreamConnection

# RFC 8305 section 5: 250 ms between attempts on several addresses. The address that worked is tried first, so
# that an unresponsive one delays only the first connection.
_ATTEMPT_DELAY = 0.25

# (host, port) → what getaddrinfo returns for them.
Resolve = Callable[[str, int], Awaitable[Any]]


class Dialler:
    """Connects protocols to one upstream."""

    def __init__(self, upstream: Upstream, tls: WatchedContext | None, resolve: Resolve | None) -> None:
        self._upstream = upstream
        self._tls = tls
        self._resolve = resolve or _resolve
        self._literal = _is_address(upstream.host)
        # The last of several addresses that was connected to.
        self._worked: object = None

    async def dial(self, connection: UpstreamConnection) -> None:
        """Connect. Raises OSError."""
        upstream = self._upstream
        loop = asyncio.get_running_loop()
        if upstream.unix is not None:
            await loop.create_unix_connection(lambda: connection, str(upstream.unix))
        elif self._literal:
            await loop.create_connection(
                lambda: connection, upstream.host, upstream.port, **self._handshake()
            )
        else:
            # Resolved for every connection, so that an upstream may move; several addresses are tried.
            addresses = await self._resolve(upstream.host, upstream.port)
            addresses = sorted(addresses, key=lambda each: each[4] != self._worked)
            sock = await start_connection(addresses, happy_eyeballs_delay=_ATTEMPT_DELAY, loop=loop)
            self._worked = sock.getpeername()
            await loop.create_connection(lambda: connection, sock=sock, **self._handshake())

    def _handshake(self) -> dict[str, Any]:
        """Return create_connection's arguments for TLS: the current context, and the name to verify."""
        if self._tls is None:
            return {}
        wanted = self._upstream.tls.server_name if self._upstream.tls is not None else None
        return {
            "ssl": self._tls.current,
            "server_hostname": wanted or self._upstream.host,
            # The connect timeout includes it and expires first.
            "ssl_handshake_timeout": self._upstream.connect_timeout,
        }


async def _resolve(host: str, port: int) -> Any:
    return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
