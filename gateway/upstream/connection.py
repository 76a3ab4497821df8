"""A connection to the upstream, which serves one exchange at a time and then returns to its pool or closes.

An asyncio protocol with httptools as its response parser (docs/performance.md compares the cost with a
general client's). Each read is parsed completely before listeners are called, so that a listener may start
the next exchange from its callback.

Invariant: a connection returns to the pool only if its response ended exactly where its framing said; bytes
without a request close it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade

from gateway.errors import Refusal, UpstreamBroken
from gateway.tls.contexts import closed_properly, explain
from gateway.upstream.kernel import be_patient, ended, left_behind, reset_at_close, send_room, watch
from gateway.upstream.outbox import Outbox
from gateway.upstream.response_parser import MAX_ANSWER_HEAD, AnswerHead, AnswerReader

if TYPE_CHECKING:
    from gateway.http.request import Request
    from gateway.upstream.shares import Holder

# The longest that a tunnel's last bytes may take to reach a slow upstream (seconds).
FAREWELL = 5.0
# Seconds given to an upstream that announced a close to close first: the side that closes first keeps the
# port in TIME_WAIT for a minute.
_PARTING = 0.25
# Bytes per read. If a client stops reading, two such pieces may stay here: uvloop keeps a piece whole until
# its last byte is sent. asyncio's 256 KiB, which cost a quarter less CPU, are used if the kernel has room for
# twice as much towards the client, so that nothing stays.
READ_SIZE, _READ_LARGE = 32 * 1024, 256 * 1024
# One buffer for all connections: what was read is passed on before the next read.
_large = memoryview(bytearray(_READ_LARGE))
_buffer = _large[:READ_SIZE]
# Pieces of a body per read that are enough work for a turn of the event loop: tiny chunks. 64 KiB cost 40 µs
# in large chunks, 5 ms in chunks of one byte.
_MANY = 512
# Up to this number of pieces, passing them on is the only work.
_FEW = 64
# Occurs in every llhttp error about an unacceptable length.
_LENGTH_REFUSED = "Content-Length"
# For a tunnel, which may be stalled in both directions at once.
TUNNEL_READ = 16 * 1024
_tunnel_buffer = _large[:TUNNEL_READ]


class AnswerListener(Protocol):
    """The exchange that uses the connection. Called from the event loop, never from inside the parser.

    One implementation, because the exchange (client/exchange.py) is above the connections that it uses.
    `end` is None while the response continues, and its trailer lines (usually none) once it is complete.
    """

    def answer_interim(self, head: AnswerHead) -> None: ...

    def answer_started(self, head: AnswerHead, body: list[bytes], end: list[bytes] | None) -> None: ...

    def answer_continued(self, body: list[bytes], end: list[bytes] | None) -> None: ...

    def answer_upgraded(self, head: AnswerHead, early: bytes) -> None:
        """Handle a 101: what follows, beginning with `early`, belongs to a tunnel
        (UpstreamConnection.tunnel_to)."""

    def answer_failed(self, refusal: Refusal) -> None: ...

    def upload_resumed(self) -> None: ...

    def room(self) -> int:
        """Return the bytes of the response that can be passed on without being kept here; 0: unknown."""


class TunnelListener(Protocol):
    """Receives the raw bytes after a 101.

    One implementation, because the tunnel (client/tunnel.py) is above the connections that it joins.
    """

    def upstream_data(self, data: bytes) -> None: ...

    def upstream_eof(self) -> None: ...

    def upstream_lost(self) -> None: ...

    def upload_resumed(self) -> None: ...


class UpstreamConnection(AnswerReader, asyncio.BufferedProtocol):
    """One connection to the upstream. Its pool keeps it while idle; its listener receives the response."""

    __slots__ = (
        "_cut",
        "_give_back",
        "_held",
        "_listener",
        "_lost",
        "_parting",
        "_patient",
        "_paused",
        "_room",
        "_tls",
        "_tunnel",
        "_upgrade",
        "answered",
        "good_until",
        "holder",
        "request_complete",
        "rests_for",
        "rests_until",
        "reused",
        "spoke_unasked",
        "transport",
        "unsent",
        "writable",
    )

    def __init__(
        self,
        *,
        give_back: Callable[[UpstreamConnection], None],
        lost: Callable[[UpstreamConnection], None],
    ) -> None:
        """`give_back` is called with it when an exchange ended cleanly and it can be reused, `lost` when it
        is closed."""
        super().__init__()
        self._give_back = give_back
        self._lost = lost
        self._listener: AnswerListener | None = None
        self._tunnel: TunnelListener | None = None
        self.transport: asyncio.Transport | None = None
        self._tls: ssl.SSLObject | None = None
        # Whether the connection's end does not prove that the response is complete.
        self._cut = False
        # A request written at the end of the event loop's turn.
        self._held = b""
        # False while the transport's write buffer is full.
        self.writable = True
        self.reused = False
        self.request_complete = True
        # Set by its owner: the request that uses it, and, while idle, from when until when it may be reused.
        self.holder: Request | None = None
        self.rests_until = 0.0
        self.rests_for: Holder | None = None
        self.good_until = 0.0
        self._upgrade = False
        self._paused = False
        self._patient = False
        # The listener's last room(), less the bytes read since.
        self._room = 0
        self._parting: asyncio.TimerHandle | None = None
        # After a failure: whether nothing of the request had been written.
        self.unsent = False
        # Whether it was closed because of bytes without a request.
        self.spoke_unasked = False
        # Whether any byte was received; until then the request may be repeated on another connection.
        self.answered = False

    def __repr__(self) -> str:
        state = "lost" if self.transport is None else "lent" if self._listener is not None else "idle"
        return f"<UpstreamConnection {state}>"

    def lend(
        self, listener: AnswerListener, *, head_only: bool, request_complete: bool, upgrade: bool
    ) -> None:
        """Begin an exchange; `head_only` for a HEAD request, whose response has no body.

        Unless `request_complete`, the connection is not reused before the attribute of that name is set.
        `upgrade`: the request asks for an upgrade, so that a 101 is a final response.
        """
        self.expect_answer(head_only=head_only)
        self._upgrade = upgrade
        self.answered = False
        self.request_complete = request_complete
        self._listener = listener
        self._room = 0

    def tunnel_to(self, tunnel: TunnelListener) -> None:
        """Pass all further bytes to `tunnel`."""
        self._listener, self._tunnel = None, tunnel
        if self.transport is not None:
            self.transport.set_write_buffer_limits(high=TUNNEL_READ)

    @property
    def usable(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    @property
    def ended(self) -> bool:
        """Whether the upstream has closed it, including a close not yet seen by the event loop."""
        return self.transport is None or ended(self.transport)

    def write(self, data: bytes) -> None:
        if self._held:
            self.flush()
        if self.transport is not None:
            self.transport.write(data)

    @property
    def room(self) -> int:
        """Bytes that the kernel accepts at once; 0 if that is unknown, as with TLS."""
        transport = self.transport
        if transport is None or self._tls is not None or self._held or transport.get_write_buffer_size():
            return 0
        return send_room(transport)

    def post(self, data: bytes, outbox: Outbox) -> None:
        """Write a request, or its beginning, at the end of the event loop's turn."""
        self._held = data
        outbox.add(self)

    def flush(self) -> None:
        held, self._held = self._held, b""
        if held and self.usable and self.transport is not None:
            self.transport.write(held)

    def write_eof(self) -> None:
        self.flush()
        if self.usable and self.transport is not None and self.transport.can_write_eof():
            self.transport.write_eof()

    def abort(self) -> None:
        """Drop the connection at once; the listener is not called again."""
        self._listener = self._tunnel = None
        self._held = b""
        if self.transport is not None:
            reset_at_close(self.transport)
            self.transport.abort()
        else:
            # Without a transport, no `connection_lost` will release the parser.
            self.end_reading()

    def part(self) -> None:
        """Drop the connection after a complete response, giving the upstream, which announced a close, the
        time to close first."""
        self._listener = None
        if self.usable and self._parting is None:
            self._abort_in(_PARTING)

    def _abort_in(self, seconds: float) -> None:
        if self._parting is not None:
            self._parting.cancel()
        self._parting = asyncio.get_running_loop().call_later(seconds, self.abort)

    def be_patient(self, seconds: float) -> None:
        """Allow a live upstream to read nothing for this long (seconds)."""
        if self.transport is not None:
            self._patient = True
            be_patient(self.transport, seconds)

    def close(self) -> None:
        """Close the connection once its output is sent, or after FAREWELL seconds."""
        self.flush()
        self._listener = self._tunnel = None
        if self.transport is not None:
            self.transport.close()
            # Cancelled once it is lost: asyncio's TLS transports fail then (CPython before 3.11.5).
            self._abort_in(FAREWELL)

    def pause_reading(self) -> None:
        self._paused = True
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        self._paused = False
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    # --- asyncio.BufferedProtocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._tls = transport.get_extra_info("ssl_object")
        # RFC 9112 section 9.8: over TLS only a close_notify ends a body without a length; anyone on the path
        # can end the TCP connection.
        self._cut = self._tls is not None
        # A body's next piece is accepted only when the kernel has taken all of the last: uvloop keeps pieces
        # whole. One byte, not zero: asyncio's TLS would treat zero as always full.
        self.transport.set_write_buffer_limits(1, 0)
        watch(transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._tunnel is not None:
            return _tunnel_buffer
        listener = self._listener
        if self._bulky and listener is not None and not self._paused:
            if self._room < 2 * _READ_LARGE:
                self._room = listener.room()
            if self._room >= 2 * _READ_LARGE:
                return _large
        return _buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._room -= nbytes
        self.data_received(_large[:nbytes])

    def _let_others_go_first(self) -> None:
        """Continue reading in the next turn of the event loop: libuv would read up to 32 times in this
        one."""
        if self.usable and not self._paused and self.transport is not None:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        if self.usable and not self._paused and self.transport is not None:
            self.transport.resume_reading()

    def data_received(self, data: bytes | memoryview) -> None:
        """Parse the bytes read; a view is valid only until this returns."""
        if self._tunnel is not None:
            self._tunnel.upstream_data(bytes(data))
            return
        listener = self._listener
        if listener is None:
            # A response before its request would become the next request's response.
            self.spoke_unasked = True
            self.abort()
            return
        if self._held:
            # The same, but the next request was about to be written; it is sent on another connection.
            self._fail("an answer to nothing")
            return
        self.answered = True
        try:
            if self._suspect:
                self._parsing_failed(data, _LENGTH_REFUSED)
            else:
                self._parser.feed_data(data)
        except HttpParserUpgrade as switched:
            if self._upgrade and self._head is not None and self._broken is None:
                listener.answer_upgraded(self._head, bytes(data[switched.args[0] :]))
                return
            # Without an upgrade request, a 101 is invalid (RFC 9110 section 15.2.2).
            self._broken = "101 without an upgrade request"
        except HttpParserError as error:
            self._parsing_failed(data, str(error))
        if not self._in_body and self._head is None and self._broken is None:
            self._seen += data
            if len(self._seen) > MAX_ANSWER_HEAD:
                self._broken = f"answer head over {MAX_ANSWER_HEAD} bytes"
        if self._broken is not None:
            self._fail(self._broken)
        else:
            self._deliver(listener)

    def _parsing_failed(self, data: bytes | memoryview, why: str) -> None:
        in_head = self._head is None and not self._in_body and self._end is None
        if in_head and _LENGTH_REFUSED in why and self.read_tolerantly(data):
            return
        # Bytes after a complete response do not invalidate it, only the connection.
        self._excess = True
        if self._end is None:
            self._broken = f"not HTTP: {why}"

    def _deliver(self, listener: AnswerListener) -> None:
        if self._interim:
            interim, self._interim = self._interim, []
            self._told += len(interim)
            for each in interim:
                listener.answer_interim(each)
        head, body, end = self._head, self._body, self._end
        if end is not None:
            self._finish()
        if head is not None:
            self._head, self._body, self._in_body = None, [], True
            listener.answer_started(head, body, end)
        elif body or end is not None:
            self._body = []
            listener.answer_continued(body, end)
        if end is None:
            self._bulky = len(body) <= _FEW
            if len(body) > _MANY:
                self._let_others_go_first()

    def _finish(self) -> None:
        """Return the connection after a complete response, or drop it if its state is in doubt."""
        self._listener = None
        if not self.request_complete or self._excess or not self.usable:
            self.abort()
        elif self._keep_alive:
            if self.spoke_of_body:
                self.forget_body()
            if self._patient and self.transport is not None:
                self._patient = False
                be_patient(self.transport, 0.0)
            self._give_back(self)
        else:
            self.part()

    def _fail(self, why: str) -> None:
        listener = self._listener
        self.unsent = bool(self._held)
        self.abort()
        if listener is not None:
            listener.answer_failed(UpstreamBroken(why))

    def eof_received(self) -> bool:
        if self._tls is not None:
            self._cut = not closed_properly(self._tls)
        if self._tunnel is None or self._cut:
            return False
        self._tunnel.upstream_eof()
        # The client may still send (RFC 9293 section 3.6: half-closed connections); TLS has no half-close.
        return self._tls is None and self._tunnel is not None

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and self._listener is not None and self._tls is None:
            self._read_left_behind()
        self.transport = None
        if self._parting is not None:
            self._parting.cancel()
            self._parting = None
        self.end_reading()
        self._lost(self)
        tunnel, self._tunnel = self._tunnel, None
        if tunnel is not None:
            tunnel.upstream_lost()
        listener, self._listener = self._listener, None
        if listener is None:
            return
        self.unsent, self._held = bool(self._held), b""
        if self._in_body and self._until_close and exc is None and not self._cut:
            listener.answer_continued([], [])
            return
        # With TLS 1.3, a rejection of our certificate arrives only now: the log should name it.
        why = f": {explain(exc)}" if isinstance(exc, ssl.SSLError) else ""
        listener.answer_failed(UpstreamBroken(f"connection closed before the answer ended{why}"))

    def _read_left_behind(self) -> None:
        """RFC 9112 section 9.5: a server may respond and close before it has read the request; writing then
        fails before the response is read. Not while the client is slow: its response is cut."""
        transport = self.transport
        if transport is not None and not self._held:
            for data in left_behind(transport):
                self.data_received(data)
                if self._listener is None or self._paused:
                    return

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        listener = self._tunnel or self._listener
        if listener is not None:
            listener.upload_resumed()
