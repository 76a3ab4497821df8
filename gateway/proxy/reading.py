"""A client's bytes, read into whole request heads in order; bodies fill their own streams meanwhile.

Invariant: after a head or a body whose framing is in doubt nothing more is read; what was read ahead is
bounded, in requests, in bytes of heads and in bytes of bodies.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import InvalidURLError, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from gateway.errors import BadRequest, BadTarget, HeadTooLarge, Refusal
from gateway.proxy.parser import BodyBroken, request_parser

if TYPE_CHECKING:
    from aiohttp.http import RawRequestMessage

# Requests parsed ahead of the one being served: aiohttp's own bound. What is beyond waits in the kernel.
_AHEAD = 32
# A request's body is read ahead of the upstream by at most twice this.
_READ_AHEAD = 64 * 1024


class RequestReader(BaseProtocol):
    """The reading half of a client's connection; the serving half (serving.py) is built on it."""

    __slots__ = ("_broken", "_came_with", "_early", "_head_bytes", "_head_slack", "_incoming", "_queue")

    def __init__(self, loop: asyncio.AbstractEventLoop, *, max_head: int) -> None:
        """`max_head`: bytes of one header line at most."""
        super().__init__(
            loop, request_parser(self, loop, max_head=max_head, ahead=_AHEAD, read_ahead=_READ_AHEAD)
        )
        self._queue: deque[tuple[RawRequestMessage, StreamReader] | Refusal] = deque()
        # What the client sent behind a request for an upgrade, before the answer.
        self._early = b""
        # Bytes of a head that is not complete yet; and how many more may have come with what was before it.
        self._head_bytes = 0
        self._head_slack = 0
        # Bytes of the heads completed last, and of what came with them.
        self._came_with = 0
        # The body that the parser fills, or filled last.
        self._incoming: StreamReader = EMPTY_PAYLOAD
        # Nothing more is read: the framing is lost, or this answer is the last.
        self._broken = False

    # --- what the serving half answers ---

    def max_head(self) -> int:
        """Bytes that a whole head may have, by the newest configuration."""
        raise NotImplementedError

    def arrived(self) -> None:
        """There is something new in the queue."""
        raise NotImplementedError

    def head_began(self) -> None:
        """The first bytes of a head are there."""
        raise NotImplementedError

    def body_broke(self, refusal: Refusal) -> bool:
        """The body being forwarded can go no further; False where none is being forwarded."""
        raise NotImplementedError

    def behind_upgrade(self, data: bytes) -> bool:
        """Bytes behind an accepted upgrade; False where it was not accepted yet."""
        raise NotImplementedError

    # --- reading ---

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._queue.clear()
        # Both refer back to this connection. A ring of them would live until the collector looks at old
        # objects, which it hardly ever does here (run/loops.py), and a whole configuration with it.
        self._parser, self._incoming = None, EMPTY_PAYLOAD

    def next_item(self) -> tuple[RawRequestMessage, StreamReader] | Refusal:
        """What is next in the queue, which is not empty: a request, or the refusal of what came behind."""
        item = self._queue.popleft()
        if not isinstance(item, Refusal):
            parser = self._parser
            assert parser is not None, "set in __init__"
            parser.message_consumed()
            if self._buffer_paused and len(self._queue) <= _AHEAD // 2:
                self._resume_reading_for_buffer()
                self.data_received(b"")
        return item

    def data_received(self, data: bytes) -> None:
        if self._upgraded:
            self._data_behind_upgrade(data)
            return
        if self._broken:
            return
        parser = self._parser
        assert parser is not None, "set in __init__"
        inside_body = not self._incoming.is_eof()
        try:
            messages, self._upgraded, self._early = parser.feed_data(data)
        except Exception as error:  # noqa: BLE001 - the parsers let other errors than their own through too
            self._framing_lost(error)
            return
        if inside_body and self._incoming.exception() is not None:
            # The pure Python parser tells the body alone, and would take what follows for the next request.
            self._broken = True
            return
        if messages:
            self._incoming = messages[-1][1]
            self._queue.extend(messages)
            self._check_head_size(messages, data)
            if len(self._queue) >= _AHEAD and not self._buffer_paused:
                self._pause_reading_for_buffer()
            self.arrived()
        elif inside_body:
            self._head_slack = len(data)
        elif data:
            self._partial_head(len(data))

    def _data_behind_upgrade(self, data: bytes) -> None:
        if not self.behind_upgrade(data) and not self._broken:
            # Too early: the answer is not there yet. Kept for the tunnel, within bounds.
            self._early += data
            if len(self._early) > _READ_AHEAD:
                self._pause_transport_reading()

    def _partial_head(self, size: int) -> None:
        if not self._head_bytes:
            self.head_began()
        self._head_bytes += size
        if self._head_bytes > self.max_head():
            self.refuse_next(HeadTooLarge(f"head over {self.max_head()} bytes"))

    def _check_head_size(
        self, messages: Sequence[tuple[RawRequestMessage, StreamReader]], data: bytes
    ) -> None:
        """The parser limits each line; the sum of them is limited here, for the heads just completed."""
        limit = self.max_head()
        size = self._came_with = self._head_slack + self._head_bytes + len(data)
        if size > limit:
            for message, _ in messages:
                lines = sum(len(name) + len(value) + 4 for name, value in message.raw_headers)
                if len(message.path) + lines > limit:
                    self._queue.clear()
                    self.refuse_next(HeadTooLarge(f"head over {limit} bytes"))
                    break
        self._head_bytes = 0
        # Whatever stands behind the last whole head may be a piece of the next one.
        self._head_slack = 0 if data.endswith(b"\r\n\r\n") else len(data)

    def _framing_lost(self, error: Exception) -> None:
        refusal = _refusal(error)
        body = self._incoming
        if body.is_eof():
            self.refuse_next(refusal)
            return
        # It ends the request that the body belongs to, now or when that one's turn comes.
        self._broken = True
        if not self.body_broke(refusal):
            body.set_exception(BodyBroken(refusal.reason), error)

    def refuse_next(self, refusal: Refusal) -> None:
        """Refuse what comes after the requests that are whole, and read nothing more."""
        self._broken = True
        self._queue.append(refusal)
        self.arrived()


def _refusal(error: Exception) -> Refusal:
    """What the parser's error means for the client; its text would repeat the client's bytes."""
    if isinstance(error, LineTooLong):
        return HeadTooLarge("line too long")
    if isinstance(error, InvalidURLError):
        return BadTarget("a raw byte, or a fragment, in the request target")
    return BadRequest(type(error).__name__)
