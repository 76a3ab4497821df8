"""The upstream's connections: reused last-in-first-out, bounded, dialled with a time limit.

Invariant: connections in use, idle and being dialled together never exceed the limit, and every waiter is
answered: with a connection, or with UpstreamBusy within the connect timeout.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from ipaddress import ip_address
from socket import SOCK_STREAM

from aiohappyeyeballs import start_connection

from gateway.config.model import Upstream
from gateway.errors import UpstreamBusy, UpstreamUnreachable
from gateway.proxy.upstream import UpstreamConnection

# Idle connections are closed after this long: what nginx allows by default on its side (keepalive_timeout
# 60 s). Longer gains nothing at any real load; much shorter dials anew between two requests of a person.
IDLE_LIMIT = 60.0

# RFC 8305 section 5: 250 ms between attempts on several addresses.
_ATTEMPT_DELAY = 0.25


class UpstreamPool:
    """Lends connections to exchanges. One per worker and configuration, closed with it."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
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
        none came free within it.
        """
        while self.open >= self._upstream.max_connections:
            given = await self._wait()
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
                raise UpstreamUnreachable("no connection within upstream.connect_timeout") from None
            if isinstance(error, OSError):
                raise UpstreamUnreachable(f"{type(error).__name__}: {error.strerror or error}") from error
            raise
        else:
            self._open.add(connection)
            return connection
        finally:
            self._dialling -= 1
            self._wake_for_room()

    async def _wait(self) -> UpstreamConnection | None:
        """A connection given back, or None: there is room to dial. First come, first served."""
        waiter: asyncio.Future[UpstreamConnection | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self._upstream.connect_timeout):
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
            await loop.create_connection(lambda: connection, upstream.host, upstream.port)
        else:
            # Looked up for every connection, so that an upstream may move; several addresses are tried.
            addresses = await loop.getaddrinfo(upstream.host, upstream.port, type=SOCK_STREAM)
            sock = await start_connection(addresses, happy_eyeballs_delay=_ATTEMPT_DELAY, loop=loop)
            await loop.create_connection(lambda: connection, sock=sock)

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
        for connection in self._idle:
            connection.abort()
        self._idle.clear()


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
