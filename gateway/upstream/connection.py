"""One connection to the upstream: lent to one exchange at a time, given back or dropped.

A lean transport on asyncio.Protocol with httptools reading the answers (docs/performance.md has what a
general client costs instead). What one read brings is parsed whole before anybody hears of it, so that a
listener may start the next exchange from inside its callback.

Invariant: a connection goes back to the pool only when its answer ended exactly where it said it would;
bytes that nobody asked for close it.
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

# Seconds that a tunnel's last bytes may take to reach an upstream that hardly reads.
FAREWELL = 5.0
# Seconds for an upstream that announced it to close its connection: who closes first keeps the port for a
# minute.
_PARTING = 0.25
# Bytes read at once. A client that stops reading may leave two such pieces here: uvloop keeps one whole until
# its last byte is sent. asyncio's own 256 KiB, which take a quarter less CPU, are read where the kernel has
# room for twice as much towards the client, so that nothing stays.
READ_SIZE, _READ_LARGE = 32 * 1024, 256 * 1024
# One for all connections: what was read goes on before anything else is.
_large = memoryview(bytearray(_READ_LARGE))
_buffer = _large[:READ_SIZE]
# Pieces of a body in one read whose work is enough for a turn of the event loop: chunks of a few bytes. 64
# KiB of large ones take 40 µs, of one byte each 5 ms.
_MANY = 512
# And so few that there is no work but to pass them on.
_FEW = 64
# What llhttp says of a length that it does not take, for this reason or that.
_LENGTH_REFUSED = "Content-Length"
# Of a tunnel, which may be stalled in both directions at once.
TUNNEL_READ = 16 * 1024
_tunnel_buffer = _large[:TUNNEL_READ]


class AnswerListener(Protocol):
    """Who asked. Called from the event loop, never from inside the parser.

    One implementation, because the exchange (client/exchange.py) stands above the connections that it uses.
    `end` is None while the answer goes on, and the trailer lines (mostly none) once it is whole.
    """

    def answer_interim(self, head: AnswerHead) -> None: ...

    def answer_started(self, head: AnswerHead, body: list[bytes], end: list[bytes] | None) -> None: ...

    def answer_continued(self, body: list[bytes], end: list[bytes] | None) -> None: ...

    def answer_upgraded(self, head: AnswerHead, early: bytes) -> None:
        """101: what follows, beginning with `early`, is for a tunnel (UpstreamConnection.tunnel_to)."""

    def answer_failed(self, refusal: Refusal) -> None: ...

    def upload_resumed(self) -> None: ...

    def room(self) -> int:
        """Bytes of the answer that go on without staying here; 0: nobody knows."""


class TunnelListener(Protocol):
    """Who hears the raw bytes behind a 101.

    One implementation, because the tunnel (client/tunnel.py) stands above the connections that it joins.
    """

    def upstream_data(self, data: bytes) -> None: ...

    def upstream_eof(self) -> None: ...

    def upstream_lost(self) -> None: ...

    def upload_resumed(self) -> None: ...


class UpstreamConnection(AnswerReader, asyncio.BufferedProtocol):
    """One connection to the upstream. Its pool keeps it while idle, its listener hears the answer."""

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
        """Called with it: `give_back` when an exchange ended cleanly and it can be used again, `lost` when it
        is closed."""
        super().__init__()
        self._give_back = give_back
        self._lost = lost
        self._listener: AnswerListener | None = None
        self._tunnel: TunnelListener | None = None
        self.transport: asyncio.Transport | None = None
        self._tls: ssl.SSLObject | None = None
        # Whether the connection's end does not prove that the upstream meant it.
        self._cut = False
        # A request that waits for the end of the event loop's turn.
        self._held = b""
        # False while the transport's write buffer is full.
        self.writable = True
        self.reused = False
        self.request_complete = True
        # Of its owner: whose request has it, and, idle, from when and until when it is used again.
        self.holder: Request | None = None
        self.rests_until = 0.0
        self.rests_for: Holder | None = None
        self.good_until = 0.0
        self._upgrade = False
        self._paused = False
        self._patient = False
        # What the listener said of its room, less what was read since.
        self._room = 0
        self._parting: asyncio.TimerHandle | None = None
        # Of a connection that failed: whether nothing of the request had been written.
        self.unsent = False
        # Whether it was closed for bytes that nobody had asked for.
        self.spoke_unasked = False
        # Whether a single byte came back: until then a request may be sent again elsewhere.
        self.answered = False

    def __repr__(self) -> str:
        state = "lost" if self.transport is None else "lent" if self._listener is not None else "idle"
        return f"<UpstreamConnection {state}>"

    def lend(
        self, listener: AnswerListener, *, head_only: bool, request_complete: bool, upgrade: bool
    ) -> None:
        """Begin an exchange; `head_only` for a HEAD request, whose answer has no body.

        Without `request_complete` the connection is not kept before the attribute of that name is set.
        `upgrade`: the request asks for one, so a 101 is an answer.
        """
        self.expect_answer(head_only=head_only)
        self._upgrade = upgrade
        self.answered = False
        self.request_complete = request_complete
        self._listener = listener
        self._room = 0

    def tunnel_to(self, tunnel: TunnelListener) -> None:
        """From now on every byte goes to `tunnel`."""
        self._listener, self._tunnel = None, tunnel
        if self.transport is not None:
            self.transport.set_write_buffer_limits(high=TUNNEL_READ)

    @property
    def usable(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    @property
    def ended(self) -> bool:
        """Whether the upstream has closed it, also a moment ago."""
        return self.transport is None or ended(self.transport)

    def write(self, data: bytes) -> None:
        if self._held:
            self.flush()
        if self.transport is not None:
            self.transport.write(data)

    @property
    def room(self) -> int:
        """Bytes that the kernel takes at once; 0 where nobody knows: behind TLS."""
        transport = self.transport
        if transport is None or self._tls is not None or self._held or transport.get_write_buffer_size():
            return 0
        return send_room(transport)

    def post(self, data: bytes, outbox: Outbox) -> None:
        """Write by the end of the event loop's turn: a request, or its beginning."""
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
        """Drop the connection at once; the listener hears nothing more."""
        self._listener = self._tunnel = None
        self._held = b""
        if self.transport is not None:
            reset_at_close(self.transport)
            self.transport.abort()
        else:
            # Where it was never made, no `connection_lost` comes to take the parser away.
            self.end_reading()

    def part(self) -> None:
        """Drop the connection after a whole answer: the upstream announced to close it, so it may do so
        first."""
        self._listener = None
        if self.usable and self._parting is None:
            self._parting = asyncio.get_running_loop().call_later(_PARTING, self.abort)

    def be_patient(self, seconds: float) -> None:
        """The upstream may read nothing for so long: it is alive as long as it acknowledges."""
        if self.transport is not None:
            self._patient = True
            be_patient(self.transport, seconds)

    def close(self) -> None:
        """Drop the connection once what was written is sent, or cannot be within FAREWELL seconds."""
        self.flush()
        self._listener = self._tunnel = None
        transport = self.transport
        if transport is not None:
            transport.close()
            asyncio.get_running_loop().call_later(FAREWELL, transport.abort)

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
        # RFC 9112 section 9.8: over TLS only a closure alert ends a body that has no length of its own;
        # anybody on the way can end the connection.
        self._cut = self._tls is not None
        # Of a body, nothing more is taken while the kernel has not taken all: uvloop keeps each piece whole.
        # One byte and not none: asyncio's TLS would take none for full.
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
        """Read on in the next turn of the event loop: libuv would do it up to 32 times in this one."""
        if self.usable and not self._paused and self.transport is not None:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        if self.usable and not self._paused and self.transport is not None:
            self.transport.resume_reading()

    def data_received(self, data: bytes | memoryview) -> None:
        """So much was read; a view of it is good until this returns."""
        if self._tunnel is not None:
            self._tunnel.upstream_data(bytes(data))
            return
        listener = self._listener
        if listener is None:
            # An answer ahead of its question would become the next question's answer.
            self.spoke_unasked = True
            self.abort()
            return
        if self._held:
            # The same, only that the next question was about to be asked: it is asked elsewhere.
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
            # We did not ask to switch protocols, so a 101 answers nothing (RFC 9110 section 15.2.2).
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
        # Bytes behind a whole answer do not spoil it; they spoil the connection.
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
        """The answer is whole: give the connection back, or drop it where its end is in doubt."""
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
        # The client may have something left to say (RFC 9293 section 3.6: half-closed connections); TLS has
        # no such half.
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
        # TLS 1.3 refuses our certificate only now: that is worth its word in the log.
        why = f": {explain(exc)}" if isinstance(exc, ssl.SSLError) else ""
        listener.answer_failed(UpstreamBroken(f"connection closed before the answer ended{why}"))

    def _read_left_behind(self) -> None:
        """RFC 9112 section 9.5: a server may respond and close before it has read the request; writing to it
        then fails before its response is read. Not where the client does not keep up: that one is cut."""
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
        hears = self._tunnel or self._listener
        if hears is not None:
            hears.upload_resumed()
