"""Tunnels after a 101 response: bytes both ways, as for WebSockets.

The only thing parsed is where the upstream's WebSocket frames end, so that we can insert a close frame
between two of them when the token that opened the tunnel expires or is revoked.

Invariant: neither side is read faster than the other accepts data, nor so fast that other connections starve;
the end of one side is passed on.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from gateway.client.client_side import ClientSide
from gateway.config.model import Config
from gateway.upstream.connection import TUNNEL_READ, UpstreamConnection

if TYPE_CHECKING:
    from gateway.http.request import Request
    from gateway.http.streams import Stream, StreamEntry

# RFC 6455 section 7.4.1: 1008, "policy violation", is the code closest to "your token has expired"; on 1001,
# "going away", clients reconnect, to another server.
REVOKED = b"\x88\x0f" + (1008).to_bytes(2, "big") + b"token revoked"
SIGNED_OUT = b"\x88\x0c" + (1008).to_bytes(2, "big") + b"signed out"
EXPIRED = b"\x88\x0f" + (1008).to_bytes(2, "big") + b"token expired"
GOING_AWAY = b"\x88\x0c" + (1001).to_bytes(2, "big") + b"going away"

# A read of this many bytes was not the last one possible: other connections have their turn first.
_A_TURN = TUNNEL_READ
# Two bytes, and eight for the length (RFC 6455 section 5.2).
_LONGEST_HEADER = 10
# Short frames in a row, matched at once: parsed one by one, a megabyte of empty ones takes half a second,
# this way a few milliseconds.
_SMALL = re.compile(
    rb"(?s:.\x80....|" + b"|".join(b"." + re.escape(bytes([n])) + b"." * n for n in range(126)) + b")++"
)

# Seconds that an upstream has to end its current frame before the tunnel is cut.
_FRAME_GRACE = 1.0


class Watch(NamedTuple):
    """Checks every so many seconds whether the token that opened a tunnel is still valid."""

    every: float
    holds: Callable[[], bool]


class FrameCursor:
    """Finds the ends of WebSocket frames in a byte stream (RFC 6455 section 5.2). Pure."""

    __slots__ = ("_header", "_left")

    def __init__(self) -> None:
        self._header = b""
        self._left = 0

    @property
    def between(self) -> bool:
        """Whether the stream is between two frames."""
        return not self._header and not self._left

    def feed(self, data: bytes) -> int:
        """Consume data; return the offset after the last frame that ends in it, or -1."""
        at, last, end = 0, -1, len(data)
        while at < end:
            if self._left:
                step = min(self._left, end - at)
                self._left -= step
                at += step
            elif not self._header and (small := _SMALL.match(data, at)) is not None:
                at = small.end()
            else:
                kept = len(self._header)
                header = self._header + data[at : at + _LONGEST_HEADER - kept]
                size, used = _frame(header)
                if not used:
                    self._header = header
                    break
                at += used - kept
                self._header, self._left = b"", size
            if not self._left:
                last = at
        return last


def _frame(header: bytes) -> tuple[int, int]:
    """Return the sizes of payload (with mask) and header; (0, 0) while the header is incomplete."""
    if len(header) < 2:
        return 0, 0
    masked, short = header[1] & 0x80, header[1] & 0x7F
    extended = {126: 2, 127: 8}.get(short, 0)
    if len(header) < 2 + extended:
        return 0, 0
    size = int.from_bytes(header[2 : 2 + extended], "big") if extended else short
    return size + (4 if masked else 0), 2 + extended


def tunnel_for(
    client: ClientSide,
    upstream: UpstreamConnection,
    request: Request,
    config: Config,
    *,
    holds: Callable[[], bool],
) -> Tunnel:
    """Return a tunnel that ends with the principal's token, as configured. `holds`: is the token still
    valid?"""
    principal, every = request.principal, config.cognito.revocation.check_every
    watch = expires_at = None
    if principal is not None:
        if config.upstream.tunnels_end_with_token:
            expires_at = principal.claims.expires_at + config.cognito.clock_leeway
        if every is not None:
            # The user's other requests are refused within check_every: this is as fast, with a margin.
            watch = Watch(every / 10, holds)
    idle = config.upstream.idle_timeout
    streams = request.peer.streams
    enter = None if streams is None else partial(streams.enter, request)
    return Tunnel(client, upstream, idle=idle, expires_at=expires_at, watch=watch, enter=enter)


class Tunnel:
    """Two joined connections. Receives the upstream's data (TunnelListener); the client's side calls it
    too."""

    __slots__ = (
        "_client",
        "_cursor",
        "_ended",
        "_eofs",
        "_expires_at",
        "_farewell",
        "_idle",
        "_look_at",
        "_place",
        "_quiet_until",
        "_upstream",
        "_upstream_done",
        "_watch",
    )

    def __init__(
        self,
        client: ClientSide,
        upstream: UpstreamConnection,
        *,
        idle: float,
        expires_at: float | None,
        watch: Watch | None,
        enter: Callable[[Stream], StreamEntry | None] | None = None,
    ) -> None:
        """`idle`: seconds of silence on both sides that end it. `expires_at`: epoch time that ends it.
        `watch`: None if revocation is not checked. `enter` puts it among the streams that a sign-out ends."""
        self._client = client
        self._upstream = upstream
        self._idle = idle
        self._expires_at = expires_at
        self._watch = watch
        # When the token is checked next, and when silence ends the tunnel; time.monotonic().
        self._look_at = float("inf") if watch is None else time.monotonic() + watch.every
        self._quiet_until = 0.0
        self._cursor = FrameCursor()
        # The close frame to send as soon as the upstream's current frame has ended.
        self._farewell: bytes | None = None
        self._eofs = 0
        # The upstream has ended its side, and the client was informed.
        self._upstream_done = False
        self._ended = False
        # None: opened without signing in.
        self._place = None if enter is None else enter(self)
        self._wait()

    def _wait(self) -> None:
        """Restart the wait for silence: data was received."""
        self._quiet_until = time.monotonic() + self._idle
        self._wait_on()

    def _wait_on(self) -> None:
        deadline = min(self._quiet_until, self._look_at)
        if self._expires_at is not None:
            deadline = min(deadline, time.monotonic() + max(self._expires_at - time.time(), 0.0))
        self._client.deadline = deadline

    # --- from the upstream (upstream.TunnelListener) ---

    def upstream_data(self, data: bytes) -> None:
        end = self._cursor.feed(data)
        if self._farewell is not None:
            self._client.write(data if end < 0 else data[:end] + self._farewell)
            if end >= 0:
                self._end(broken=False)
            return
        self._client.write(data)
        self._wait()
        if not self._client.writable:
            self._upstream.pause_reading()
        elif len(data) >= _A_TURN:
            self._upstream.pause_reading()
            asyncio.get_running_loop().call_soon(self._read_upstream)

    def _read_upstream(self) -> None:
        """Resume reading in the next turn, unless the client does not keep up."""
        if not self._ended and self._client.writable:
            self._upstream.resume_reading()

    def upstream_eof(self) -> None:
        self._upstream_done = True
        self._client.write_eof()
        self._eof()

    def upstream_lost(self) -> None:
        self._end(broken=self._eofs == 0)

    def upload_resumed(self) -> None:
        self._client.resume_client()

    # --- from the client ---

    def client_data(self, data: bytes) -> None:
        if self._ended or self._farewell is not None:
            return
        self._upstream.write(data)
        self._wait()
        if not self._upstream.writable:
            self._client.pause_client()
        elif len(data) >= _A_TURN:
            self._client.pause_client()
            asyncio.get_running_loop().call_soon(self._read_client)

    def _read_client(self) -> None:
        if not self._ended and self._upstream.writable:
            self._client.resume_client()

    def client_drained(self) -> None:
        self._upstream.resume_reading()

    def client_eof(self) -> None:
        self._upstream.write_eof()
        self._eof()

    def client_gone(self) -> None:
        self._ended = True
        self._leave()
        self._upstream.abort()

    # --- the end ---

    def expired(self) -> None:
        """Handle the passed deadline: the token expired, both sides were silent, or a frame did not end in
        time."""
        if self._expires_at is not None and time.time() >= self._expires_at and self._farewell is None:
            self.close(EXPIRED)
        elif self._farewell is None and self._watch is not None and self._look_at <= time.monotonic():
            self._look(self._watch)
        else:
            if self._farewell is None:
                self._client.limited("upstream.idle_timeout")
            self._end(broken=True)

    def _look(self, watch: Watch) -> None:
        if watch.holds():
            self._look_at = time.monotonic() + watch.every
            self._wait_on()
        else:
            self.close(REVOKED)

    def close(self, farewell: bytes) -> None:
        """End the tunnel with a close frame, once the current frame has ended or a short limit passed."""
        if self._upstream_done:
            # Nothing can be sent to the client any more.
            self._end(broken=False)
        elif self._cursor.between:
            self._client.write(farewell)
            self._end(broken=False)
        elif self._farewell is None:
            self._farewell = farewell
            self._client.deadline = time.monotonic() + _FRAME_GRACE

    def signed_out(self) -> None:
        """End the tunnel: the session that opened it was signed out (streams.Stream)."""
        if not self._ended:
            self.close(SIGNED_OUT)

    def _leave(self) -> None:
        if self._place is not None:
            self._place.leave()

    def _eof(self) -> None:
        """Count the end of one side; the other may still send (RFC 9293 section 3.6)."""
        self._eofs += 1
        if self._eofs == 2:
            self._end(broken=False)

    def _end(self, *, broken: bool) -> None:
        if self._ended:
            return
        self._ended = True
        self._leave()
        if broken:
            self._upstream.abort()
        else:
            self._upstream.close()
        self._client.tunnel_ended(broken=broken)
