"""One client's TLS: a protocol towards the socket's transport, a transport towards the client's connection.

asyncio's and uvloop's own allocate 256 KiB to read into for every connection, know no limit to what one turn
of the event loop decrypts, and tell nobody of a connection before its handshake is over.

Invariant: the client's connection exists only after the handshake; what a peer can make this hold is what
OpenSSL needs for it and two reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable
from typing import Any, cast

# Bytes read from the socket at once: a whole TLS record (RFC 8446 section 5.1), about.
READ = 16 * 1024
# Plain text written at once: one record. OpenSSL's buffer between is never given back, so it stays small.
_RECORD = 16 * 1024
# Bytes that a handshake may take: a ClientHello has some 500 to 2,000, a client's certificates 3 to 10 KB.
_MAX_HANDSHAKE = 48 * 1024
# Bytes decrypted in one turn of the event loop before other connections have theirs.
_A_TURN = 64 * 1024


class TlsConnection(asyncio.BufferedProtocol, asyncio.Transport):
    """Shakes hands, then carries what `connect` makes."""

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
        """`handshakes`: where it is found until it is served. `buffer`: READ bytes that all connections of
        this event loop read into; each takes them out at once. `seconds`: what the handshake may take."""
        super().__init__()
        self._handshakes = handshakes
        self._buffer = buffer
        self._connect = connect
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._raw: asyncio.Transport | None = None
        # None: until the handshake is over, and after the end.
        self._app: asyncio.BufferedProtocol | None = None
        # The client's connection wants nothing for now; and whether reading goes on in a turn to come.
        self._paused = self._scheduled = False
        self._closing = False
        # Bytes that the handshake has taken; and those that may still be decrypted without a rest.
        self._taken = 0
        self._left = _A_TURN
        # When the handshake must be over, time.monotonic().
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
            # All that was there: the event loop turns to others by itself.
            self._left = _A_TURN
        if self._app is not None or self._shake_hands(nbytes):
            self._decrypt()

    def _shake_hands(self, nbytes: int) -> bool:
        """Whether the handshake is over."""
        self._taken += nbytes
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
            if self._taken > _MAX_HANDSHAKE:
                self.abort()
            return False
        except ssl.SSLError:
            # The alert that says why goes out; nothing else does.
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
        # What OpenSSL has to say by itself: a new key, an alert.
        self._send()

    def _deliver(self, app: asyncio.BufferedProtocol) -> int:
        """How many bytes the client's connection got; 0: the client has said all. Raises ssl.SSLError."""
        buffer = memoryview(app.get_buffer(-1))
        size = cast(int, self._tls.read(len(buffer), buffer))
        if size:
            app.buffer_updated(size)
        return size

    def _schedule(self) -> None:
        """Go on in a turn to come: others have theirs first."""
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
        """The client sends nothing more: TLS has no half-close here, so this is the end."""
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
        """The deadline passed before the handshake was over."""
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
            # What was read already comes first, and this may be called while it is looked at.
            self._schedule()

    def get_write_buffer_size(self) -> int:
        return 0 if self._raw is None else self._raw.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if self._raw is not None:
            self._raw.set_write_buffer_limits(high, low)

    def close(self) -> None:
        """Say that nothing more comes (RFC 8446 section 6.1), and close once all is sent."""
        if self._closing or self._raw is None:
            return
        self._closing = True
        # The client's own alert is not waited for: nothing that it could still say is of interest.
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
