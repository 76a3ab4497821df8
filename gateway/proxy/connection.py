"""A client's connection from its first byte to its last: accepted, idle, a tunnel, out of time, drained.

aiohttp's own `RequestHandler` is not used: it starts a task and builds a request and a response object for
each request, which costs more than all this gateway does with one (docs/performance.md).

Invariant: a connection is served, closing or a tunnel, never two of them; after a head or body whose framing
is in doubt nothing more is read from it.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Protocol

from gateway.errors import Refusal, SlowClient, TooManyConnections
from gateway.proxy.request import Request
from gateway.proxy.serving import Serves, ServingConnection
from gateway.proxy.tunnel import GOING_AWAY, Tunnel, tunnel_for
from gateway.proxy.upstream import UpstreamConnection

# A client that owes nothing but the closure alert of TLS delays the exit for so long.
_GOODBYE = 1.0


class Server(Serves, Protocol):
    """Who accepted the connection."""

    @property
    def connections(self) -> set[ClientConnection]: ...

    @property
    def max_connections(self) -> int: ...

    @property
    def crowded(self) -> bool:
        """Whether there are more connections than that, this one included."""


class ClientConnection(ServingConnection):
    """One client. Created for each accepted connection; lives in `server.connections` until it is lost."""

    __slots__ = ("_tunnel",)
    server: Server

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(server, loop)
        # Set after a 101; then this connection only carries bytes.
        self._tunnel: Tunnel | None = None

    def __repr__(self) -> str:
        state = "lost" if self.transport is None else "idle" if self._request is None else "serving"
        return f"<ClientConnection {state}>"

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peername = transport.get_extra_info("peername")
        # A unix socket has no peer address; whoever may open it is as near as loopback.
        self.address = peername[0] if isinstance(peername, tuple) else "127.0.0.1"
        self.secure = transport.get_extra_info("ssl_object") is not None
        self.server.connections.add(self)
        self.deadline = time.monotonic() + self.server.app.config.listen.header_timeout
        if self.server.crowded:
            self.refuse_next(TooManyConnections(f"more than {self.server.max_connections} connections"))

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self.server.connections.discard(self)
        tunnel, self._tunnel = self._tunnel, None
        if tunnel is not None:
            tunnel.client_gone()
        elif self._exchange is not None:
            self._exchange.client_gone()
        if self._request is not None:
            if tunnel is None:
                self._request.failure = "client_gone"
            self._end_request()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._tunnel is not None:
            self._tunnel.client_drained()
        elif self._exchange is not None:
            self._exchange.client_drained()
        else:
            self.arrived()

    def eof_received(self) -> bool:
        """The client sends nothing more: gone, unless half of a tunnel (nginx sees it the same way)."""
        if self._tunnel is None or self.transport is None or not self.transport.can_write_eof():
            return False
        self._tunnel.client_eof()
        return True

    # --- what reading tells (reading.RequestReader) ---

    def max_head(self) -> int:
        return self.server.app.config.listen.max_header_size

    def head_began(self) -> None:
        if self._request is None:
            self.deadline = time.monotonic() + self.server.app.config.listen.header_timeout

    def body_broke(self, refusal: Refusal) -> bool:
        if self._exchange is None or not self._exchange.uploading:
            return False
        self._exchange.body_failed(refusal)
        return True

    def behind_upgrade(self, data: bytes) -> bool:
        if self._tunnel is None:
            return False
        self._tunnel.client_data(data)
        return True

    # --- between requests ---

    def _idle(self) -> None:
        if self.server.draining and not self._queue:
            self._close()
            return
        listen = self.server.app.config.listen
        # A head that began while the request before it was served has its time from now on.
        wait = listen.header_timeout if self._head_bytes else listen.idle_timeout
        self.deadline = time.monotonic() + wait

    def _close(self, *, lingering: bool = False) -> None:
        """Close once what was written is sent. Lingering: what still comes in is read and dropped a while."""
        self._broken = True
        self._queue.clear()
        if lingering:
            self.linger()
        else:
            # TLS waits for the client's closure alert meanwhile, TCP for a client that reads slowly.
            owed = self.unsent or not self.server.draining
            self.close_within(self.server.app.config.listen.idle_timeout if owed else _GOODBYE)

    # --- a tunnel (tunnel.TunnelClient) ---

    def tunnel_started(self, upstream: UpstreamConnection, early: bytes) -> None:
        request, app = self._request, self._app
        if request is None or app is None:
            upstream.abort()
            return
        self._exchange = None
        # Not the parser's any more, whether or not it saw the upgrade coming.
        self._upgraded = True
        # Looked at by the newest configuration: one that was replaced asks Cognito no more in the end.
        holds = partial(self._holds, request)
        tunnel = self._tunnel = tunnel_for(self, upstream, request, app.config, holds=holds)
        upstream.tunnel_to(tunnel)
        if early:
            tunnel.upstream_data(early)
        early, self._early = self._early, b""
        if early:
            tunnel.client_data(early)
        self.resume_client()

    def _holds(self, request: Request) -> bool:
        return self.server.app.checks.holds(request)

    def tunnel_ended(self, *, broken: bool) -> None:
        # From now on a connection that closes as any other: the tunnel has no say over its deadline.
        self._tunnel = None
        self._end_request()
        if broken:
            self.abort()
        else:
            self._close()

    # --- time and shutdown ---

    def expired(self) -> None:
        """`deadline` has passed (the worker's sweep calls this)."""
        if self._tunnel is not None:
            self._tunnel.expired()
        elif self.still_sending():
            self.deadline = time.monotonic() + self.server.app.config.listen.idle_timeout
        elif self._exchange is not None:
            self._exchange.expired()
        elif self._broken:
            # Closing: nobody is owed an answer.
            self.abort()
        elif self._head_bytes:
            self.refuse_next(SlowClient("head not complete in time", limit="listen.header_timeout"))
        else:
            # Idle, or never said a word.
            self.limited("listen.header_timeout" if self._app is None else "listen.idle_timeout")
            self.abort()

    def drain(self) -> None:
        """The server stops: close if idle; a request being served is finished first."""
        if self._tunnel is not None:
            self._tunnel.close(GOING_AWAY)
        elif self._request is None and not self._queue and not self.lingering:
            self._close()
