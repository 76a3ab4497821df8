"""TLS of one client: a protocol for the socket's transport, and a transport for the client's connection.

Those of asyncio and uvloop allocate a read buffer of 256 KiB per connection, do not limit what one turn of
the event loop decrypts, and do not expose a connection before its handshake is complete.

Invariant: the client's connection exists only after the handshake; a peer can make this hold no more than
OpenSSL's own memory and two reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable
from typing import Any, cast

# Bytes per read from the socket: about a whole TLS record (RFC 8446 section 5.1).
READ = 16 * 1024
# Plain text bytes per write: one record. OpenSSL never shrinks its buffer in between, so it must stay small.
_RECORD = 16 * 1024
# Bytes that a handshake may take: a ClientHello has 500 to 2,000, a client's certificates 3 to 10 KB.
_MAX_HANDSHAKE = 48 * 1024
# Bytes decrypted per turn of the event loop, before other connections have theirs.
_A_TURN = 64 * 1024


class TlsConnection(asyncio.BufferedProtocol, asyncio.Transport):
    """Performs the handshake, then carries the protocol that `connect` creates."""

    __slots__ = (
        "_app",
        "_buffer",
        "_closing",
        "_connect",
        "_handshakes",
        "_incoming",
        "_left",
        "_outgoing",
        "_paused",
        "_raw",
        "_scheduled",
        "_taken",
        "_tls",
        "deadline",
    )

    def __init__(
        self,
        context: ssl.SSLContext,
        connect: Callable[[], asyncio.BufferedProtocol],
        *,
        handshakes: set[TlsConnection],
        buffer: memoryview,
        seconds: float,
    ) -> None:
        """`handshakes`: the set it belongs to during the handshake. `buffer`: READ bytes that all connections
        of this event loop read into; each takes its data out at once. `seconds`: limit of the handshake."""
        super().__init__()
        self._handshakes = handshakes
        self._buffer = buffer
        self._connect = connect
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._raw: asyncio.Transport | None = None
        # None: before the handshake is complete, and after the end.
        self._app: asyncio.BufferedProtocol | None = None
        # Whether the client's connection has paused reading, and whether reading resumes in a later turn.
        self._paused = self._scheduled = False
        self._closing = False
        # Bytes of the handshake so far; bytes that may still be decrypted in this turn.
        self._taken = 0
        self._left = _A_TURN
        # When the handshake must be complete, time.monotonic().
        self.deadline = time.monotonic() + seconds

    def __repr__(self) -> str:
        return f"<TlsConnection {'shaking hands' if self._app is None else 'open'}>"

    # --- towards the socket (asyncio.BufferedProtocol) ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = cast(asyncio.Transport, transport)
        self._handshakes.add(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._raw is None:
            return
        self._incoming.write(self._buffer[:nbytes])
        if nbytes < READ:
            # Everything was read: the event loop turns to other connections by itself.
            self._left = _A_TURN
        if self._app is not None or self._shake_hands(nbytes):
            self._decrypt()

    def _shake_hands(self, nbytes: int) -> bool:
        """Continue the handshake; return whether it is complete."""
        self._taken += nbytes
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
            if self._taken > _MAX_HANDSHAKE:
                self.abort()
            return False
        except ssl.SSLError:
            # Only the alert with the reason is sent.
            self._send()
            self._end()
            return False
        self._send()
        self._handshakes.discard(self)
        app = self._app = self._connect()
        app.connection_made(self)
        return True

    def _decrypt(self) -> None:
        while (app := self._app) is not None and not self._paused:
            if self._left <= 0:
                self._read_raw(False)
                self._schedule()
                return
            try:
                size = self._deliver(app)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                size = 0
            except ssl.SSLError:
                self._send()
                self.abort()
                return
            if not size:
                self._said_all()
                return
            self._left -= size
        # Messages of OpenSSL itself: key updates, alerts.
        self._send()

    def _deliver(self, app: asyncio.BufferedProtocol) -> int:
        """Decrypt into the client's connection; return the bytes, 0 at the end of the stream. Raises
        ssl.SSLError."""
        buffer = memoryview(app.get_buffer(-1))
        size = cast(int, self._tls.read(len(buffer), buffer))
        if size:
            app.buffer_updated(size)
        return size

    def _schedule(self) -> None:
        """Continue in a later turn, so that other connections have theirs first."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._scheduled = False
        self._left = _A_TURN
        if not self._paused:
            self._read_raw(True)
            self._decrypt()

    def _read_raw(self, wanted: bool) -> None:
        raw = self._raw
        if raw is not None and not raw.is_closing():
            (raw.resume_reading if wanted else raw.pause_reading)()

    def eof_received(self) -> bool:
        self._said_all()
        return True

    def _said_all(self) -> None:
        """Handle the end of the client's stream. Half-close is not supported with TLS: the connection
        closes."""
        app = self._app
        if app is None:
            self._end()
        elif not self._closing:
            app.eof_received()
            self.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._handshakes.discard(self)
        app, self._app, self._raw = self._app, None, None
        if app is not None:
            app.connection_lost(exc if isinstance(exc, Exception) else None)

    def pause_writing(self) -> None:
        if self._app is not None:
            self._app.pause_writing()

    def resume_writing(self) -> None:
        if self._app is not None:
            self._app.resume_writing()

    def expired(self) -> None:
        """Abort: the handshake was not complete in time."""
        self.abort()

    # --- towards the client's connection (asyncio.Transport) ---

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "ssl_object":
            return self._tls
        return default if self._raw is None else self._raw.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or self._raw is None:
            return
        view = memoryview(data)
        try:
            while view:
                view = view[self._tls.write(view[:_RECORD]) :]
                self._send()
        except ssl.SSLError:
            self.abort()

    def _send(self) -> None:
        if self._outgoing.pending and self._raw is not None:
            self._raw.write(self._outgoing.read())

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self._closing or self._raw is None or self._raw.is_closing()

    def is_reading(self) -> bool:
        return not self._paused

    def pause_reading(self) -> None:
        self._paused = True
        self._read_raw(False)

    def resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            # Data already read comes first, and this may be called while it is processed.
            self._schedule()

    def get_write_buffer_size(self) -> int:
        return 0 if self._raw is None else self._raw.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if self._raw is not None:
            self._raw.set_write_buffer_limits(high, low)

    def close(self) -> None:
        """Send close_notify (RFC 8446 section 6.1), and close once everything is sent."""
        if self._closing or self._raw is None:
            return
        self._closing = True
        # The client's own alert is not awaited: nothing it could still send matters.
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        self._send()
        self._end()

    def _end(self) -> None:
        if self._raw is not None:
            self._closing = True
            self._raw.close()

    def abort(self) -> None:
        self._closing = True
        if self._raw is not None:
            self._raw.abort()
