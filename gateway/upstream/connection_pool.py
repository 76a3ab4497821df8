"""The upstream's connections: reused last-in-first-out while fresh, bounded, shared out fairly where they run
short.

Invariant: connections in use, idle and being dialled together never exceed the limit, no client has more of
them than shares.py allows, and every waiter is answered: with a connection, or with UpstreamBusy within the
connect timeout.
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

# An upstream that announces to keep connections for longer than this is not believed: nginx's own default
# towards clients is 60 s (keepalive_timeout), and longer gains nothing at any real load.
_IDLE_LIMIT = 60.0
# What an upstream announces is used up to a second before its end, or to half of it: a request needs time to
# arrive.
_MARGIN = 1.0
# A response without a body that spoke of one rests its connection so long (seconds): a careless upstream
# sends the body all the same, a moment later, and it would be read as the next client's response. nginx does
# without.
_REST = 0.02
# After so much of it the same principal's next HEAD may have the connection: whatever comes on it late is an
# answer to whoever asked for it, and 2,000 HEADs in a second take ten connections instead of a hundred.
_SHORT_REST = 0.002
# How many that rest are looked at for that.
_LOOKED_AT = 32
# Idle connections closed at one look in the polite way. Each leaves a port in TIME_WAIT for a minute; those
# beyond are reset, so that no pattern of requests uses up the 28,000 ports there are.
_POLITE = 8

_LIMIT = "upstream.max_connections"


class _Waiter:
    """Set with a connection, or with None: a place is kept for one that the waiter dials."""

    __slots__ = ("future", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.future: asyncio.Future[UpstreamConnection | None] = asyncio.get_running_loop().create_future()


def _owner_of(request: Request) -> Holder | None:
    """Who may have a connection again that rests since this request; None: nobody.

    Never somebody whom a browser's cookie names: pages of other sites can make it ask.
    """
    bearer = request.principal is not None and not request.by_cookie
    return holder_of(request) if bearer and request.method == "HEAD" else None


class UpstreamPool:
    """Lends connections to exchanges. One per worker and configuration, closed with it."""

    def __init__(
        self, upstream: Upstream, *, tls: WatchedContext | None = None, resolve: Resolve | None = None
    ) -> None:
        """An https upstream needs `tls`; `resolve` stands in for the system's resolver."""
        if (upstream.scheme == "https") != (tls is not None):
            raise ValueError("TLS is for https upstreams, and they are for TLS")
        self._upstream = upstream
        self._most = upstream.max_connections
        self.tls = tls
        self._dialler = Dialler(upstream, tls, resolve)
        # The oldest lie at the bottom: the list is a stack.
        self._idle: list[UpstreamConnection] = []
        # The first one rests longest.
        self._resting: deque[UpstreamConnection] = deque()
        # An upstream that sent a body where none may stand does it again: all rests are long from then on.
        self._careless = False
        self._open: set[UpstreamConnection] = set()
        self._dialling: set[Request] = set()
        self._waiting: FairQueue[_Waiter] = FairQueue(self._most)
        # None while so few are open that nobody can have more than their share.
        self._shares: Shares | None = None
        self.closed = False

    def __repr__(self) -> str:
        return (
            f"<UpstreamPool open={len(self._open)} idle={self.idle} "
            f"dialling={len(self._dialling)} waiting={len(self._waiting)}>"
        )

    def start(self) -> None:
        """Begin to watch the files of an https upstream. Idempotent; `close` ends it."""
        if self.tls is not None:
            self.tls.start()

    @property
    def open(self) -> int:
        """Connections that exist or are being dialled."""
        return len(self._open) + len(self._dialling)

    @property
    def idle(self) -> int:
        return len(self._idle) + len(self._resting)

    def take(self, request: Request, now: float) -> UpstreamConnection | None:
        """An idle connection that still lives, or None: then `connect` is the way. `now`:
        time.monotonic()."""
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
        """One that rests since a HEAD of the same principal, and has done so for the shorter time."""
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
        """A new connection, or one that comes free while this client, or everybody, has all there are.

        Raises UpstreamUnreachable when it cannot be dialled within the connect timeout, UpstreamBusy when
        none came free within it or too many wait already.
        """
        holder = holder_of(request)
        until = asyncio.get_running_loop().time() + self._upstream.connect_timeout
        while not self._keep_place(request, holder):
            given = await self._wait(request, holder, until)
            if given is None:
                break
            if given.usable:
                return given
            # It died between being given and this task's turn.
            self._let_go(given)
        connection = UpstreamConnection(give_back=self.give_back, lost=self.lost)
        try:
            async with asyncio.timeout(self._upstream.connect_timeout):
                await self._dialler.dial(connection)
            if self.closed or not connection.usable:
                raise UpstreamUnreachable(
                    f"{self._upstream.address}: the connection was closed as soon as it was made"
                )
        except BaseException as error:
            # Also when cancelled just as the dial succeeded: nobody else knows this connection.
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
        """Keep one for a connection that is about to be dialled, if there is one for this client."""
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
        """Half of the places are taken: from now on it is counted who has how many."""
        self._shares = shares = Shares(self._most)
        for each in self._open:
            if each.holder is not None:
                shares.take(holder_of(each.holder))
        for request in self._dialling:
            shares.take(holder_of(request))

    def _drop_idle(self) -> bool:
        """Make room for a new one: whoever dials although there are idle ones does not trust these."""
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
        """Nobody has this connection any more."""
        request, connection.holder = connection.holder, None
        if self._shares is not None and request is not None:
            self._shares.give(holder_of(request))

    async def _wait(self, request: Request, holder: Holder, until: float) -> UpstreamConnection | None:
        """A connection given back before `until` (loop time), or None: a place is kept for a new one."""
        waiter = _Waiter(request)
        if not self._waiting.add(holder, waiter):
            raise UpstreamBusy("too many requests wait for a connection", limit=_LIMIT)
        # The place may have come free without anybody to tell: an idle connection that this client may have.
        self._serve()
        try:
            async with asyncio.timeout_at(until):
                return await waiter.future
        except (TimeoutError, asyncio.CancelledError) as end:
            self._give_up(waiter, holder)
            if isinstance(end, TimeoutError):
                told = "no connection came free within upstream.connect_timeout"
                raise UpstreamBusy(told, limit=_LIMIT) from None
            raise

    def _give_up(self, waiter: _Waiter, holder: Holder) -> None:
        """Nobody waits here any more; what the waiter was given meanwhile goes to the next one."""
        if self._waiting.remove(holder, waiter) or waiter.future.cancelled():
            return
        given = waiter.future.result()
        if given is None:
            self._leave_place(waiter.request)
        elif given.usable:
            self.give_back(given)

    def _serve(self) -> None:
        """Give what is free to those that wait, in turn."""
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

    # --- what its connections tell ---

    def give_back(self, connection: UpstreamConnection) -> None:
        """An exchange ended cleanly on this connection, which is usable."""
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
        """The connection is gone, whoever closed it."""
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
        """Close connections that were idle for too long; `now` is time.monotonic()."""
        stale = [each for each in self._idle if each.good_until <= now]
        if not stale:
            return
        self._idle = [each for each in self._idle if each.good_until > now]
        for connection in stale[:_POLITE]:
            connection.part()
        for connection in stale[_POLITE:]:
            connection.abort()

    def close(self) -> None:
        """Drop what is idle; what is lent is dropped when it is given back."""
        self.closed = True
        if self.tls is not None:
            self.tls.stop()
        for connection in [*self._idle, *self._resting]:
            connection.abort()
        self._idle.clear()
        self._resting.clear()
