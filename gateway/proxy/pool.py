"""The upstream's connections: reused last-in-first-out, bounded, dialled with a time limit.

Invariant: connections in use, idle and being dialled together never exceed the limit, and every waiter is
answered: with a connection, or with UpstreamBusy within the connect timeout.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from socket import SOCK_STREAM
from typing import Any

from aiohappyeyeballs import start_connection

from gateway.config.model import Upstream
from gateway.errors import UpstreamBusy, UpstreamUnreachable
from gateway.proxy.rotation import WatchedContext
from gateway.proxy.tls import explain
from gateway.proxy.upstream import UpstreamConnection

# Idle connections are closed after this long: what nginx allows by default on its side (keepalive_timeout
# 60 s). Longer gains nothing at any real load; much shorter dials anew between two requests of a person.
IDLE_LIMIT = 60.0

# RFC 8305 section 5: 250 ms between attempts on several addresses.
_ATTEMPT_DELAY = 0.25

# Host and port → what getaddrinfo returns for them.
Resolve = Callable[[str, int], Awaitable[Any]]


class UpstreamPool:
    """Lends connections to exchanges. One per worker and configuration, closed with it."""

    def __init__(
        self, upstream: Upstream, *, tls: WatchedContext | None = None, resolve: Resolve | None = None
    ) -> None:
        """An https upstream needs `tls`; `resolve` stands in for the system's resolver."""
        if (upstream.scheme == "https") != (tls is not None):
            raise ValueError("TLS is for https upstreams, and they are for TLS")
        self._upstream = upstream
        self.tls = tls
        self._resolve = resolve or _resolve
        self._idle: list[UpstreamConnection] = []
        self._open: set[UpstreamConnection] = set()
        self._dialling = 0
        self._waiters: deque[asyncio.Future[UpstreamConnection | None]] = deque()
        self._closed = False
        self._literal = _is_address(upstream.host)

    def __repr__(self) -> str:
        return (
            f"<UpstreamPool open={len(self._open)} idle={len(self._idle)} "
            f"dialling={self._dialling} waiting={len(self._waiters)}>"
        )

    def start(self) -> None:
        """Begin to watch the files of an https upstream. Idempotent; `close` ends it."""
        if self.tls is not None:
            self.tls.start()

    @property
    def open(self) -> int:
        """Connections that exist or are being dialled."""
        return len(self._open) + self._dialling

    @property
    def idle(self) -> int:
        return len(self._idle)

    def take(self) -> UpstreamConnection | None:
        """An idle connection that still lives, or None: then `connect` is the way."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.usable:
                connection.reused = True
                return connection
        return None

    async def connect(self) -> UpstreamConnection:
        """A new connection, or one that comes free while the limit is reached.

        Raises UpstreamUnreachable when it cannot be dialled within the connect timeout, UpstreamBusy when
        none came free within it or as many requests as there are connections wait already.
        """
        until = asyncio.get_running_loop().time() + self._upstream.connect_timeout
        while self.open >= self._upstream.max_connections:
            if len(self._waiters) >= self._upstream.max_connections:
                raise UpstreamBusy("as many requests wait as there are connections")
            given = await self._wait(until)
            # It may have died between being given back and this task's turn.
            if given is not None and given.usable:
                given.reused = True
                return given
        connection = UpstreamConnection(self)
        self._dialling += 1
        try:
            async with asyncio.timeout(self._upstream.connect_timeout):
                await self._dial(connection)
            if self._closed or not connection.usable:
                raise UpstreamUnreachable("the connection was closed as soon as it was made")
        except BaseException as error:
            # Also when cancelled just as the dial succeeded: nobody else knows this connection.
            connection.abort()
            if isinstance(error, TimeoutError):
                raise UpstreamUnreachable(
                    "no connection within upstream.connect_timeout", limit="upstream.connect_timeout"
                ) from None
            if isinstance(error, OSError):
                raise UpstreamUnreachable(explain(error)) from error
            raise
        else:
            self._open.add(connection)
            return connection
        finally:
            self._dialling -= 1
            self._wake_for_room()

    async def _wait(self, until: float) -> UpstreamConnection | None:
        """A connection given back before `until` (loop time), or None: there is room to dial. In order."""
        waiter: asyncio.Future[UpstreamConnection | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout_at(until):
                return await waiter
        except (TimeoutError, asyncio.CancelledError) as end:
            self._give_up(waiter)
            if isinstance(end, TimeoutError):
                raise UpstreamBusy("no connection came free within upstream.connect_timeout") from None
            raise

    def _give_up(self, waiter: asyncio.Future[UpstreamConnection | None]) -> None:
        """Nobody waits here any more; what the waiter was given meanwhile goes to the next one."""
        if waiter.done() and not waiter.cancelled():
            connection = waiter.result()
            if connection is not None:
                self.give_back(connection)
            else:
                self._wake_for_room()
            return
        waiter.cancel()
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    async def _dial(self, connection: UpstreamConnection) -> None:
        upstream = self._upstream
        loop = asyncio.get_running_loop()
        if upstream.unix is not None:
            await loop.create_unix_connection(lambda: connection, str(upstream.unix))
        elif self._literal:
            await loop.create_connection(
                lambda: connection, upstream.host, upstream.port, **self._handshake()
            )
        else:
            # Looked up for every connection, so that an upstream may move; several addresses are tried.
            addresses = await self._resolve(upstream.host, upstream.port)
            sock = await start_connection(addresses, happy_eyeballs_delay=_ATTEMPT_DELAY, loop=loop)
            await loop.create_connection(lambda: connection, sock=sock, **self._handshake())

    def _handshake(self) -> dict[str, Any]:
        """What create_connection needs for TLS: the context of the moment, and the name to verify."""
        if self.tls is None:
            return {}
        wanted = self._upstream.tls.server_name if self._upstream.tls is not None else None
        return {
            "ssl": self.tls.current,
            "server_hostname": wanted or self._upstream.host,
            # The connect timeout covers it and is the first to end.
            "ssl_handshake_timeout": self._upstream.connect_timeout,
        }

    # --- ConnectionOwner ---

    def give_back(self, connection: UpstreamConnection) -> None:
        """An exchange ended cleanly on this connection."""
        if self._closed or not connection.usable:
            connection.abort()
            return
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        connection.idle_since = time.monotonic()
        self._idle.append(connection)

    def lost(self, connection: UpstreamConnection) -> None:
        """The connection is gone, whoever closed it."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._wake_for_room()

    def _wake_for_room(self) -> None:
        while self._waiters and self.open < self._upstream.max_connections:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    # --- upkeep ---

    def drop_stale(self, now: float) -> None:
        """Close connections that were idle for too long; `now` is time.monotonic()."""
        idle = self._idle
        # The oldest lie at the bottom: the list is a stack.
        while idle and now - idle[0].idle_since > IDLE_LIMIT:
            idle.pop(0).abort()

    def close(self) -> None:
        """Drop what is idle; what is lent is dropped when it is given back."""
        self._closed = True
        if self.tls is not None:
            self.tls.stop()
        for connection in self._idle:
            connection.abort()
        self._idle.clear()


async def _resolve(host: str, port: int) -> Any:
    return await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
