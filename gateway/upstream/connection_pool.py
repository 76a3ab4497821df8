"""The upstream connection pool: bounded, reused last-in first-out while fresh, shared fairly when scarce.

Invariant: connections in use, idle and being established together never exceed the limit; no client has more
of them than shares.py allows; every waiter gets a connection, or UpstreamBusy within the connect timeout.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from itertools import islice

from gateway.config.model import Upstream
from gateway.errors import UpstreamBusy, UpstreamUnreachable
from gateway.http.request import Request
from gateway.tls.contexts import explain
from gateway.tls.rotation import WatchedContext
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.dialling import Dialler, Resolve
from gateway.upstream.shares import FairQueue, Holder, Shares, holder_of

# Seconds. Longer announcements are not trusted: nginx's default towards clients is 60 s (keepalive_timeout),
# and longer gains nothing at any real load.
_IDLE_LIMIT = 60.0
# A connection is reused until this many seconds before its announced end, or half of it: a request needs time
# to arrive.
_MARGIN = 1.0
# Seconds that a connection rests after a response without a body that announced one: a careless upstream may
# send the body a moment later, which would be parsed as the next client's response. nginx does not wait.
_REST = 0.02
# After this much of it, the connection may serve the same principal's next HEAD: late data would be a
# response to its own request, and 2,000 HEADs per second need ten connections instead of a hundred.
_SHORT_REST = 0.002
# Resting connections inspected for that.
_LOOKED_AT = 32
# Idle connections closed gracefully per sweep. Each leaves a port in TIME_WAIT for a minute; the others are
# reset, so that no pattern of requests exhausts the 28,000 ports.
_POLITE = 8

_LIMIT = "upstream.max_connections"


class _Waiter:
    """A waiting request. Its future gets a connection, or None: a place in which the waiter connects."""

    __slots__ = ("future", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.future: asyncio.Future[UpstreamConnection | None] = asyncio.get_running_loop().create_future()


def _owner_of(request: Request) -> Holder | None:
    """Return who may reuse a connection that rests after this request; None: nobody.

    Never a user identified by cookie: pages of other sites can send requests in their name.
    """
    bearer = request.principal is not None and not request.by_cookie
    return holder_of(request) if bearer and request.method == "HEAD" else None


class UpstreamPool:
    """Lends connections to exchanges. One per worker and configuration; closed with it."""

    def __init__(
        self, upstream: Upstream, *, tls: WatchedContext | None = None, resolve: Resolve | None = None
    ) -> None:
        """An https upstream needs `tls`; `resolve` replaces the system's resolver in tests."""
        if (upstream.scheme == "https") != (tls is not None):
            raise ValueError("tls is required for https upstreams, and only for them")
        self._upstream = upstream
        self._most = upstream.max_connections
        self.tls = tls
        self._dialler = Dialler(upstream, tls, resolve)
        # A stack: the oldest are at the bottom.
        self._idle: list[UpstreamConnection] = []
        # The first one has rested longest.
        self._resting: deque[UpstreamConnection] = deque()
        # The upstream has sent a body after a response that has none: from now on all rests are long.
        self._careless = False
        self._open: set[UpstreamConnection] = set()
        self._dialling: set[Request] = set()
        self._waiting: FairQueue[_Waiter] = FairQueue(self._most)
        # None while so few are open that nobody can exceed their share.
        self._shares: Shares | None = None
        self.closed = False

    def __repr__(self) -> str:
        return (
            f"<UpstreamPool open={len(self._open)} idle={self.idle} "
            f"dialling={len(self._dialling)} waiting={len(self._waiting)}>"
        )

    def start(self) -> None:
        """Start watching the certificate files of an https upstream. Idempotent; `close` stops it."""
        if self.tls is not None:
            self.tls.start()

    @property
    def open(self) -> int:
        """Connections that exist or are being established."""
        return len(self._open) + len(self._dialling)

    @property
    def idle(self) -> int:
        return len(self._idle) + len(self._resting)

    def take(self, request: Request, now: float) -> UpstreamConnection | None:
        """Return a usable idle connection, or None; then call `connect`. `now`: time.monotonic()."""
        shares = self._shares
        if shares is not None and (len(self._waiting) or not shares.admits(holder_of(request))):
            return None
        connection = self._fresh(now)
        if connection is None and self._resting and request.method == "HEAD":
            connection = self._rested_for(request, now)
        if connection is not None:
            connection.holder = request
            if shares is not None:
                shares.take(holder_of(request))
        return connection

    def _fresh(self, now: float) -> UpstreamConnection | None:
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.good_until > now and connection.usable:
                connection.reused = True
                return connection
            self._open.discard(connection)
            connection.abort()
        return None

    def _rested_for(self, request: Request, now: float) -> UpstreamConnection | None:
        """Return a connection that has rested for the shorter time since a HEAD of the same principal."""
        owner = None if self._careless else _owner_of(request)
        if owner is None:
            return None
        for connection in islice(self._resting, _LOOKED_AT):
            if connection.rests_until - _REST + _SHORT_REST > now:
                return None
            if connection.rests_for == owner and connection.usable and not connection.ended:
                self._resting.remove(connection)
                connection.reused = True
                return connection
        return None

    async def connect(self, request: Request) -> UpstreamConnection:
        """Return a new connection, or one that becomes free while this client, or everyone, has used up the
        places.

        Raises UpstreamUnreachable if it cannot be established within the connect timeout, UpstreamBusy if no
        connection became free within it, or if too many requests are waiting.
        """
        holder = holder_of(request)
        until = asyncio.get_running_loop().time() + self._upstream.connect_timeout
        while not self._keep_place(request, holder):
            given = await self._wait(request, holder, until)
            if given is None:
                break
            if given.usable:
                return given
            # It was closed between being handed over and this task's turn.
            self._let_go(given)
        connection = UpstreamConnection(give_back=self.give_back, lost=self.lost)
        try:
            async with asyncio.timeout(self._upstream.connect_timeout):
                await self._dialler.dial(connection)
            if self.closed or not connection.usable:
                raise UpstreamUnreachable(
                    f"{self._upstream.address}: the connection was closed as soon as it was established"
                )
        except BaseException as error:
            # Also if cancelled just after connecting: nothing else refers to this connection.
            connection.abort()
            self._leave_place(request)
            if isinstance(error, TimeoutError):
                raise UpstreamUnreachable(
                    f"{self._upstream.address}: no connection within upstream.connect_timeout",
                    limit="upstream.connect_timeout",
                ) from None
            if isinstance(error, OSError):
                raise UpstreamUnreachable(f"{self._upstream.address}: {explain(error)}") from error
            raise
        self._dialling.discard(request)
        self._open.add(connection)
        connection.holder = request
        return connection

    # --- places ---

    def _keep_place(self, request: Request, holder: Holder) -> bool:
        """Reserve a place for a connection about to be established, if this client may have one."""
        if self._shares is None and self.open >= self._most // 2:
            self._share_out()
        shares = self._shares
        if shares is not None:
            if len(self._waiting) or not shares.admits(holder):
                return False
            if self.open >= self._most and not self._drop_idle():
                return False
            shares.take(holder)
        self._dialling.add(request)
        return True

    def _share_out(self) -> None:
        """Start to count connections per client: half of the places are taken."""
        self._shares = shares = Shares(self._most)
        for each in self._open:
            if each.holder is not None:
                shares.take(holder_of(each.holder))
        for request in self._dialling:
            shares.take(holder_of(request))

    def _drop_idle(self) -> bool:
        """Make room for a new connection by closing an idle one, which the caller did not want to reuse."""
        while self._idle:
            connection = self._idle.pop(0)
            self._open.discard(connection)
            connection.abort()
            return True
        return False

    def _leave_place(self, request: Request) -> None:
        self._dialling.discard(request)
        if self._shares is not None:
            self._shares.give(holder_of(request))
        self._serve()

    def _let_go(self, connection: UpstreamConnection) -> None:
        """Release the share of a connection that is no longer lent."""
        request, connection.holder = connection.holder, None
        if self._shares is not None and request is not None:
            self._shares.give(holder_of(request))

    async def _wait(self, request: Request, holder: Holder, until: float) -> UpstreamConnection | None:
        """Return a connection given back before `until` (loop time), or None: a place is reserved for a new
        one."""
        waiter = _Waiter(request)
        if not self._waiting.add(holder, waiter):
            raise UpstreamBusy("too many requests wait for a connection", limit=_LIMIT)
        # An idle connection that this client may have: nothing else would hand it over.
        self._serve()
        try:
            async with asyncio.timeout_at(until):
                return await waiter.future
        except (TimeoutError, asyncio.CancelledError) as end:
            self._give_up(waiter, holder)
            if isinstance(end, TimeoutError):
                detail = "no connection became free within upstream.connect_timeout"
                raise UpstreamBusy(detail, limit=_LIMIT) from None
            raise

    def _give_up(self, waiter: _Waiter, holder: Holder) -> None:
        """Withdraw a waiter; what it was given meanwhile goes to the next one."""
        if self._waiting.remove(holder, waiter) or waiter.future.cancelled():
            return
        given = waiter.future.result()
        if given is None:
            self._leave_place(waiter.request)
        elif given.usable:
            self.give_back(given)

    def _serve(self) -> None:
        """Hand free connections and places to the waiters, in turn."""
        now = time.monotonic()
        while len(self._waiting):
            connection = self._fresh(now)
            if connection is None and self.open >= self._most:
                return
            waiter = self._waiting.next(self._shares)
            if waiter is None:
                if connection is not None:
                    self._idle.append(connection)
                return
            if connection is not None:
                connection.holder = waiter.request
            else:
                self._dialling.add(waiter.request)
            if self._shares is not None:
                self._shares.take(holder_of(waiter.request))
            waiter.future.set_result(connection)

    # --- called by its connections ---

    def give_back(self, connection: UpstreamConnection) -> None:
        """Take back a usable connection after an exchange that ended cleanly."""
        request, connection.holder = connection.holder, None
        if self._shares is not None and request is not None:
            self._shares.give(holder_of(request))
        if self.closed or not self._upstream.reuse_connections:
            connection.part()
            return
        announced = connection.announced
        keep = self._upstream.keep_alive_timeout
        if announced is not None:
            keep = min(max(announced - _MARGIN, announced / 2), _IDLE_LIMIT)
        connection.good_until = time.monotonic() + keep
        if connection.spoke_of_body:
            if not self._resting:
                asyncio.get_running_loop().call_later(_REST, self._rested)
            connection.rests_until = time.monotonic() + _REST
            connection.rests_for = None if request is None else _owner_of(request)
            self._resting.append(connection)
            return
        self._idle.append(connection)
        if len(self._waiting):
            self._serve()

    def _rested(self) -> None:
        now, resting = time.monotonic(), self._resting
        while resting and resting[0].rests_until <= now:
            self._idle.append(resting.popleft())
        if resting:
            wait = max(resting[0].rests_until - now, 0.001)
            asyncio.get_running_loop().call_later(wait, self._rested)
        self._serve()

    def lost(self, connection: UpstreamConnection) -> None:
        """Forget a connection that was closed, by either side."""
        self._let_go(connection)
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        elif connection in self._resting:
            self._resting.remove(connection)
            self._careless = self._careless or connection.spoke_unasked
        if self._shares is not None:
            if self.open < self._most // 4 and not len(self._waiting):
                self._shares = None
            else:
                self._serve()

    # --- upkeep ---

    def drop_stale(self, now: float) -> None:
        """Close connections that were idle for too long. `now`: time.monotonic()."""
        stale = [each for each in self._idle if each.good_until <= now]
        if not stale:
            return
        self._idle = [each for each in self._idle if each.good_until > now]
        for connection in stale[:_POLITE]:
            connection.part()
        for connection in stale[_POLITE:]:
            connection.abort()

    def close(self) -> None:
        """Close idle connections; lent ones are closed when they are given back."""
        self.closed = True
        if self.tls is not None:
            self.tls.stop()
        for connection in [*self._idle, *self._resting]:
            connection.abort()
        self._idle.clear()
        self._resting.clear()
