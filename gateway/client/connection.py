"""A client's connection: its state machine, from accept to close.

It has a reader (reader.py), a writer (writer.py) and, while it serves one, a request in service (serving.py)
or a tunnel. aiohttp's `RequestHandler` is not used: for each request it starts a task and builds a request
and a response object, which costs more than everything this gateway does with one (docs/performance.md).

Invariant: a connection is in one state (states.py), serves one request at a time and answers in order; per
turn of the event loop it does a bounded amount of work.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Protocol, cast

from gateway.client.batch import Batch
from gateway.client.flow import ReadBuffer, ReadFlow
from gateway.client.kept_heads import KeptHeads, size_in_memory
from gateway.client.reader import REPEATED, RequestReader
from gateway.client.serving import Served, refuse_unread
from gateway.client.states import TRANSITIONS, State
from gateway.client.tunnel import GOING_AWAY, Tunnel, tunnel_for
from gateway.client.turn_queue import Turns
from gateway.client.writer import ClientWriter
from gateway.errors import Refusal, SlowClient, TooManyConnections
from gateway.gate.application import Application
from gateway.http.headers import Scanned
from gateway.http.request import Peer, Request
from gateway.upstream.connection import TUNNEL_READ, UpstreamConnection
from gateway.upstream.outbox import Outbox

if TYPE_CHECKING:
    from aiohttp.http import RawRequestMessage
    from aiohttp.streams import StreamReader

_log = logging.getLogger(__name__)

# Requests of one connection begun before others have their turn: about 50 µs each. A client that waits for
# its answers has only one.
_AT_ONCE = 4
# The longest that a client may delay the exit when only TLS's close_notify is outstanding (seconds).
_GOODBYE = 1.0
# After a refusal, the rest of the request is read and discarded for this long (seconds): closing with unread
# data would send a reset, which destroys the answer (RFC 9112 section 9.6). nginx's lingering_timeout is 5 s.
_LINGER = 5.0
# A connection idle for this long releases its last head (kept_heads.py). Seconds; up to 1.5 with the sweep.
_REMEMBERED = 1.0
# A head with more fields, or more bytes than REPEATED, is not remembered but parsed each time; one within the
# limits takes at most 24 KiB.
_KEPT_FIELDS = 32

# Module globals, because looking up an enum's member costs ten times as much.
_NEW, _IDLE, _HEAD, _SERVING = State.NEW, State.IDLE, State.HEAD, State.SERVING
_LINGERING, _CLOSING, _TUNNEL, _CLOSED = State.LINGERING, State.CLOSING, State.TUNNEL, State.CLOSED
_ALLOWED = [TRANSITIONS[state] for state in State]


class ConnectionOwner(Protocol):
    """The server that accepted the connection.

    One implementation, because the server (serve/server.py) creates connections: it is above them.
    """

    @property
    def app(self) -> Application: ...

    @property
    def connections(self) -> set[ClientConnection]: ...

    @property
    def max_connections(self) -> int: ...

    @property
    def crowded(self) -> bool:
        """Whether there are more connections than `max_connections`, including this one."""

    @property
    def draining(self) -> bool:
        """Whether nothing is accepted any more, and idle connections are closed."""

    @property
    def leaving(self) -> bool:
        """Whether it is about to stop, so that every answer is its connection's last."""

    @property
    def outbox(self) -> Outbox: ...

    @property
    def batch(self) -> Batch: ...

    @property
    def turns(self) -> Turns: ...

    @property
    def reads(self) -> ReadBuffer: ...

    @property
    def heads(self) -> KeptHeads: ...


class ClientConnection(asyncio.BufferedProtocol):
    """One client. Created for each accepted connection; in `server.connections` until it is lost."""

    __slots__ = (
        "_app",
        "_flow",
        "_grace",
        "_in_line",
        "_kept",
        "_loop",
        "_peer",
        "_reader",
        "_said",
        "_served",
        "_soon",
        "_tunnel",
        "_turning",
        "_writer",
        "address",
        "deadline",
        "outbox",
        "post",
        "secure",
        "server",
        "state",
        "write",
    )

    def __init__(self, server: ConnectionOwner, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self._loop = loop
        self.state = _NEW
        self.outbox = server.outbox
        self._reader = RequestReader(loop, server.app.config.listen.max_header_size, self._read_on)
        self._writer = ClientWriter(server.outbox)
        self.write = self._writer.write
        self.post = self._writer.post
        self._served: Served | None = None
        self._tunnel: Tunnel | None = None
        self.address = ""
        # Whether the client speaks TLS with us.
        self.secure = False
        # The end of the current wait, as time.monotonic().
        self.deadline = 0.0
        self._app: Application | None = None
        self._peer: Peer | None = None
        # The last head, if it is kept for comparison with the next.
        self._said: Scanned | None = None
        # Bytes of KeptHeads' budget in use (0: none), and the idle seconds after which they are released.
        self._kept = 0
        self._soon = _REMEMBERED
        self._flow = ReadFlow(server.reads)
        # Whether requests are being begun right now, and whether that continues in another turn.
        self._turning = False
        self._in_line = False
        # Ends the wait for answers of a client that closed its sending side. None: it did not.
        self._grace: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<ClientConnection {self.state.name.lower()}>"

    def enter(self, state: State) -> None:
        """Change to this state; an undeclared transition is a bug, and ends the connection."""
        if state not in _ALLOWED[self.state]:
            if state is not self.state:
                _log.error("a client's connection cannot be %s after %s", state.name, self.state.name)
                self._reader.broken = True
                self._writer.drop(reset=True)
            return
        self.state = state

    # --- asyncio.BufferedProtocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._writer.connected(cast(asyncio.Transport, transport))
        self._flow.connected(cast(asyncio.Transport, transport))
        peername = transport.get_extra_info("peername")
        # A unix socket has no peer address; a process that may open it is as trusted as a loopback client.
        self.address = peername[0] if isinstance(peername, tuple) else "127.0.0.1"
        self.secure = transport.get_extra_info("ssl_object") is not None
        self.server.connections.add(self)
        self.deadline = time.monotonic() + self.server.app.config.listen.header_timeout
        if self.server.crowded:
            self._refuse_unread(TooManyConnections(f"more than {self.server.max_connections} connections"))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._flow.view

    def buffer_updated(self, nbytes: int) -> None:
        state, reader = self.state, self._reader
        if state is _SERVING and reader.takes(nbytes) and not reader.broken:
            self._flow.room -= nbytes
            self._fed(reader.feed_view(self._flow.view[:nbytes]))
            return
        data = self._flow.view[:nbytes].tobytes()
        if state < _SERVING and not self._in_line and not reader.broken:
            self._turn(data)
        elif state is _TUNNEL:
            if self._tunnel is not None:
                self._tunnel.client_data(data)
        elif state <= _SERVING and not reader.broken:
            reader.add(data)
            if reader.in_body:
                self._flow.room -= nbytes
                self._feed()
            else:
                self._flow.ahead(reader)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._writer.transport = None
        self._flow.end()
        self.server.connections.discard(self)
        tunnel, self._tunnel = self._tunnel, None
        if tunnel is not None:
            tunnel.client_gone()
            self.request_ended()
        else:
            self._client_left()
        if self._grace is not None:
            self._grace.cancel()
        self._reader.close()
        self._forget()
        self.enter(_CLOSED)

    def _client_left(self) -> None:
        """End the request in service, since its client is gone."""
        served = self._served
        if served is not None:
            served.request.failure = "client_gone"
            if served.exchange is not None:
                served.exchange.client_gone()
            self.request_ended()

    def pause_writing(self) -> None:
        self._writer.paused = True

    def resume_writing(self) -> None:
        self._writer.paused = False
        if self._tunnel is not None:
            self._tunnel.client_drained()
        elif self._served is not None:
            if self._served.exchange is not None:
                self._served.exchange.client_drained()
        elif self._reader.pending:
            self._join_line()

    def eof_received(self) -> bool:
        """Handle the client's EOF: it is gone, unless it has a tunnel or waits for answers."""
        transport = self._writer.transport
        if transport is None:
            return False
        self._writer.flush()
        if not transport.can_write_eof():
            # asyncio's TLS has no half-close.
            return False
        if self._tunnel is not None:
            self._tunnel.client_eof()
            return True
        return self._grace is not None or self._awaits_answers()

    def _awaits_answers(self) -> bool:
        """Return whether a client that closed its sending side still gets the answers to its requests.

        RFC 9112 section 9.6 allows clients to do so. Whether it is still there cannot be known, so the wait
        is short, and there is none if part of the answer has been sent.
        """
        grace = self.server.app.config.listen.half_close_grace
        if self.state is _SERVING:
            served, reader = self._served, self._reader
            if served is None or served.answering or reader.in_body or reader.upgraded or not grace:
                self._client_left()
                return False
        elif not (self._in_line and grace):
            return False
        self._flow.end()
        self._grace = self._loop.call_later(grace, self._grace_over)
        return True

    def _grace_over(self) -> None:
        if self.state is _SERVING or self._in_line:
            cut = self._served is not None and self._served.answering
            self._client_left()
            self.enter(_CLOSING)
            self._writer.drop(reset=cut)

    # --- used by exchanges and tunnels (client_side.ClientSide) ---

    @property
    def writable(self) -> bool:
        return not self._writer.paused

    @property
    def room(self) -> int:
        return self._writer.room

    @property
    def unsent(self) -> int:
        """Bytes that the kernel has not accepted yet."""
        return self._writer.unsent

    @property
    def held(self) -> int:
        """Bytes of received requests that wait for their turn."""
        return self._reader.pending

    @property
    def remembers(self) -> bool:
        """Whether the client's last head is kept for comparison with the next."""
        return self._said is not None

    @property
    def closing(self) -> bool:
        """Whether the answer that begins now is the connection's last."""
        reader = self._reader
        if self._grace is not None and not reader.pending:
            return True
        return self.server.leaving or reader.broken

    def write_eof(self) -> None:
        self._writer.write_eof()

    def failed(self, error: Exception) -> None:
        if self._served is not None:
            self._served.failed(error)

    def refuse(self, refusal: Refusal) -> None:
        """Answer the request in service with this refusal."""
        if self._served is not None:
            self._served.refuse(refusal)

    def redo(self) -> None:
        if self._served is not None:
            self._served.redo()

    def cut(self, refusal: Refusal) -> None:
        if self._served is not None:
            self._served.request.failure = refusal.reason
        if refusal.limit is not None:
            self.limited(refusal.limit)
        self.abort()

    def limited(self, key: str) -> None:
        self.server.app.record.limited(key)

    def pause_client(self) -> None:
        self._flow.pause()

    def resume_client(self) -> None:
        self._flow.resume()

    # --- requests, one after another ---

    def go_on(self) -> None:
        """Continue, now that it is this connection's turn (turn_queue.Queued)."""
        self._in_line = False
        if self._reader.in_body:
            self._feed()
        elif self.state is _IDLE or self.state is _NEW:
            self._turn()

    def _join_line(self) -> None:
        if not self._in_line and self._writer.transport is not None:
            self._in_line = True
            self.server.turns.join(self)

    def _turn(self, data: bytes = b"") -> None:
        """Begin requests until it must wait: for an answer, the rest of a head, or its next turn. `data`: the
        bytes just received."""
        reader = self._reader
        self._turning = True
        try:
            # A client that does not read its answers gets no further ones.
            left = _AT_ONCE
            while self.state < _SERVING and not self._writer.paused:
                if not left:
                    self._join_line()
                    break
                left -= 1
                # Nothing is left after most answers of our own.
                item = reader.next(data) if data or reader.held else None
                data = b""
                if item is None:
                    self._await_head()
                    return
                if isinstance(item, Refusal):
                    self._refuse_unread(item)
                    return
                self._serve(*item)
        finally:
            self._turning = False
        if self.state is _IDLE:
            self.deadline = time.monotonic() + self.server.app.config.listen.idle_timeout

    def _await_head(self) -> None:
        """Wait for the rest of a head, or for the next request."""
        if self._grace is not None:
            self.close()
            return
        self._flow.resume()
        if self._reader.in_head:
            if self.state is not _HEAD:
                self.enter(_HEAD)
                # A head that began during the previous request has the full time from now.
                self.deadline = time.monotonic() + self.server.app.config.listen.header_timeout
        elif self.state is _IDLE:
            self._idle()

    def _serve(self, message: RawRequestMessage, body: StreamReader) -> None:
        self.enter(_SERVING)
        app = self.server.app
        first = app is not self._app or self._peer is None
        if first or self._peer is None:
            self._app, self._peer, self._said = app, app.peer(self.address, secure=self.secure), None
            listen = app.config.listen
            self._reader.max_head = listen.max_header_size
            self._soon = min(_REMEMBERED, listen.idle_timeout)
        request = Request(self._peer, app.request_ids.next(), time.monotonic())
        served = self._served = Served(self, app, request)
        app.record.began(request)
        if not body.is_eof():
            self._read_on()
        try:
            request.read_head(message, body, self._said)
        except Exception as error:  # noqa: BLE001 - whatever it is, fail closed
            served.stop(error)
            return
        if request.head is not self._said:
            self._remember(request.head, first=first)
        served.judge(self.server.batch)

    def _remember(self, head: Scanned, *, first: bool) -> None:
        """Keep the head for comparison with the next request's, if the budget allows. Not the first one's:
        many clients send one request and stay connected."""
        size = self._reader.head_size
        small = not first and size <= REPEATED and len(head.raw) <= _KEPT_FIELDS
        self._kept = self.server.heads.exchange(self._kept, size_in_memory(size) if small else 0)
        # A trusted proxy's connection carries requests of many clients.
        self._said = head if self._kept and self._peer is not None and not self._peer.trusted else None

    def _forget(self) -> None:
        self._said = None
        self._kept = self.server.heads.exchange(self._kept, 0)

    def request_ended(self) -> None:
        served, self._served = self._served, None
        if served is not None:
            served.end()

    def exchange_ended(self, *, keep_alive: bool) -> None:
        """Continue with the next request, or close, after the answer is written."""
        served, reader = self._served, self._reader
        if served is None:
            return
        whole = served.request.body.is_eof()
        self._served = None
        served.end()
        if not keep_alive or not whole or reader.upgraded:
            self.close(lingering=not whole)
            return
        self.enter(_IDLE)
        if not self._turning:
            if reader.held:
                self._turn()
            else:
                self._idle()

    def _idle(self) -> None:
        if self.server.draining:
            self.close()
            return
        if self._flow.paused:
            self._flow.resume()
        self.deadline = time.monotonic() + self._soon
        if not self._kept:
            self._reader.rest()

    def _rested(self) -> bool:
        """Release what an idle client's last head takes; return False if that was done before."""
        wait = self.server.app.config.listen.idle_timeout - _REMEMBERED
        if self._app is None or wait <= 0:
            return False
        self._app = self._peer = None
        self._forget()
        self._reader.rest()
        self.deadline = time.monotonic() + wait
        return True

    def _refuse_unread(self, refusal: Refusal) -> None:
        app = self.server.app
        refuse_unread(self, app, app.peer(self.address, secure=self.secure), refusal)

    # --- a request's body ---

    def _feed(self) -> None:
        """Parse the received bytes of the body."""
        self._fed(self._reader.feed())

    def _fed(self, refusal: Refusal | None) -> None:
        if refusal is not None:
            self._body_broke(refusal)
        else:
            self._read_on()

    def _read_on(self) -> None:
        """Read as much of the body as there is room for; also called when there is room again."""
        served, flow = self._served, self._flow
        if not flow.in_bulk:
            exchange = None if served is None else served.exchange
            flow.room = exchange.upload_room if exchange is not None and self._reader.takes_more else 0
        if flow.of_body(self._reader):
            self._join_line()

    def _body_broke(self, refusal: Refusal) -> None:
        """Fail the request whose body has a framing error, now or when the body is read."""
        served = self._served
        if served is None:
            return
        if served.exchange is not None and served.exchange.uploading:
            served.exchange.body_failed(refusal)
        else:
            served.body_broke(refusal)

    # --- a tunnel ---

    def tunnel_started(self, upstream: UpstreamConnection, early: bytes) -> None:
        served = self._served
        if served is None:
            upstream.abort()
            return
        self.enter(_TUNNEL)
        served.exchange = None
        # Judged by the newest configuration: one that was replaced no longer asks Cognito.
        holds = partial(self._holds, served.request)
        config = served.app.config
        tunnel = self._tunnel = tunnel_for(self, upstream, served.request, config, holds=holds)
        upstream.tunnel_to(tunnel)
        if early:
            tunnel.upstream_data(early)
        self._writer.limit(TUNNEL_READ)
        self._flow.tunnel()
        early = self._reader.take_rest()
        if early:
            tunnel.client_data(early)

    def _holds(self, request: Request) -> bool:
        return self.server.app.gate.holds(request)

    def tunnel_ended(self, *, broken: bool) -> None:
        # From now on it closes like any other connection: the tunnel no longer controls its deadline.
        self._tunnel = None
        self.request_ended()
        if broken:
            self.abort()
        else:
            self.close()

    # --- closing ---

    def close(self, *, lingering: bool = False) -> None:
        """Close once all output is sent. Lingering: input is read and discarded for a while."""
        if self._writer.transport is None or self.state is _CLOSING:
            return
        self._reader.take_rest()
        if lingering and self._grace is None:
            self.enter(_LINGERING)
            self.deadline = time.monotonic() + _LINGER
            self._flow.stream()
            # TLS has no half-close; the answer's `Connection: close` has to suffice.
            self._writer.write_eof()
            return
        self.enter(_CLOSING)
        # Meanwhile TLS waits for the client's close_notify, TCP for a client that reads slowly.
        owed = self._writer.unsent or not self.server.draining
        self.deadline = time.monotonic() + (self.server.app.config.listen.idle_timeout if owed else _GOODBYE)
        self._writer.close()

    def abort(self) -> None:
        """End the connection so that a truncated answer cannot look complete."""
        cut = self._served is not None and self._served.answering
        self.request_ended()
        if self.state is not _CLOSED:
            self.enter(_CLOSING)
        # A reset, because an orderly close would complete an answer that is delimited by the connection's
        # end.
        self._writer.drop(reset=cut)

    # --- time and shutdown ---

    def expired(self) -> None:
        """Act on a passed `deadline`; called by the worker's sweep."""
        state = self.state
        if self._tunnel is not None:
            self._tunnel.expired()
        elif self._writer.still_sending():
            self.deadline = time.monotonic() + self.server.app.config.listen.idle_timeout
        elif self._served is not None and self._served.exchange is not None:
            self._served.exchange.expired()
        elif state is _LINGERING or state is _CLOSING:
            # No answer is outstanding.
            self.abort()
        elif state is _HEAD:
            self._refuse_unread(SlowClient("head not complete in time", limit="listen.header_timeout"))
        elif state is not _IDLE or not self._rested():
            # Idle, or nothing was ever received.
            self.limited("listen.header_timeout" if state is _NEW else "listen.idle_timeout")
            self.abort()

    def drain(self) -> None:
        """Close if idle, because the server stops; a request in service is finished first."""
        if self._tunnel is not None:
            self._tunnel.close(GOING_AWAY)
        elif self._served is None and not self._in_line and self.state is not _LINGERING:
            self.close()
