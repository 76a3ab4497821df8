"""A client's bytes, read into one request at a time: its head when that is whole, its body as it is wanted.

Every byte goes through aiohttp's parser, in order; it alone says what a request is. What is cut here are the
pieces it gets: a head at its end, a body at its own, so that the bytes behind them stay bytes until their
turn comes. A head that is not whole costs what was sent of it and nothing more.

Invariant: after a head or a body whose framing is in doubt nothing more is read; what is held is bounded, by
the connection that stops reading, and by `max_head`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from aiohttp.http_exceptions import InvalidURLError, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from gateway.errors import BadRequest, BadTarget, HeadTooLarge, Refusal
from gateway.http.request_parser import BodyBroken, request_parser

if TYPE_CHECKING:
    from aiohttp.http import HttpRequestParser, RawRequestMessage

Head = tuple["RawRequestMessage", StreamReader]

# RFC 9112: an empty line ends a head (section 2.1), and a chunked body with its trailers (section 7.1).
_END = b"\r\n\r\n"
# A body holds twice this before it says that it is full; in pieces, `_READ_AHEAD // 16` chunks.
_READ_AHEAD = 4 * 1024
# Bytes of a chunked body parsed at once: the least where chunks are of some bytes each, 1 µs of work for
# every one of them, and the most where they are not.
_LEAST, _MOST = 1024, 64 * 1024
# Pieces of a chunked body parsed before others have their turn: 5 ms at worst.
_PIECES = 32
# A chunked body whose data is a smaller part of it consists of small chunks.
_DENSE = 0.9

# A longer head is not remembered, for it would be so while its connection is idle.
REPEATED = 4096

# What cannot stand in a head, be it whole or not: the parser says so at once, and it is not waited for.
_CONTROLS = bytes({*range(0x20), 0x7F} - {*b"\t\r\n"})
_STARTS = re.compile(rb"[A-Z]|\r\Z")
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")
_FIRST_LINE = re.compile(rb"[A-Z][A-Z-]* [^ ]+ HTTP/1\.[01]\r\n")
_LINES = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n]*\r\n)*")


class RequestReader:
    """The reading half of a client's connection. Feeds the parser, and is what its bodies pause."""

    __slots__ = (
        "_at",
        "_body",
        "_checked",
        "_fed",
        "_inside",
        "_last",
        "_last_found",
        "_left",
        "_loop",
        "_parser",
        "_piece_size",
        "_searched",
        "_tail",
        "_wake",
        "broken",
        "full",
        "head_size",
        "held",
        "max_head",
        "upgraded",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, max_head: int, wake: Callable[[], None]) -> None:
        """`max_head`: bytes of a whole head at most; `wake`: a body that was full has room again."""
        self._loop = loop
        self._wake: Callable[[], None] | None = wake
        self.max_head = max_head
        # None: nothing was parsed yet, or not for long (`rest`).
        self._parser: HttpRequestParser | None = None
        # What is not parsed yet begins at `_at` (b"": nothing is); up to `_searched` no head ends in it, up
        # to `_checked` its lines are such as may stand in a head.
        self.held = b""
        self._at = self._searched = self._checked = 0
        # Bytes that the parser has of what comes before the end of the next head, and whether that has begun
        # in there: else they are empty lines.
        self._fed = 0
        self._inside = False
        # A head that was read whole and alone, and what the parser said of it.
        self._last = b""
        self._last_found: Head | None = None
        # The body that is being read, how much of it is to come (-1: it is chunked), and its last bytes.
        self._body: StreamReader | None = None
        self._left = 0
        self._tail = b""
        self._piece_size = _MOST
        # Whether the body holds enough for now.
        self.full = False
        # Bytes of the head read last.
        self.head_size = 0
        # The parser has seen an upgrade that it knows, to its end: what follows is no request.
        self.upgraded = False
        # Nothing more is read: the framing is lost.
        self.broken = False

    # --- what aiohttp's parser and bodies tell (parser.BodyFlow) ---

    @property
    def connected(self) -> bool:
        return self._wake is not None

    def pause_reading(self) -> None:
        self.full = True

    def resume_reading(self, resume_parser: bool = True) -> None:
        if self.full:
            self.full = False
            if resume_parser and self._wake is not None:
                self._wake()

    # --- bytes ---

    @property
    def pending(self) -> int:
        """Bytes that are held and not parsed."""
        return len(self.held) - self._at

    @property
    def in_head(self) -> bool:
        """Whether a part of a head is here, given that `next` found no whole one."""
        return self._inside or len(self.held) > self._at

    @property
    def in_body(self) -> bool:
        return self._body is not None

    @property
    def takes_more(self) -> bool:
        """Whether a body of known length has room: what comes of it goes on at once, in one piece."""
        return self._body is not None and self._left > 0 and not self.full

    def add(self, data: bytes) -> None:
        if self.held:
            at = self._at
            self.held = self.held[at:] + data
            self._searched = max(0, self._searched - at)
            self._checked = max(0, self._checked - at)
            self._at = 0
        else:
            self.held = data

    def take_rest(self) -> bytes:
        """What is behind the last request: not HTTP any more."""
        rest = self.held[self._at :]
        self._forget()
        return rest

    def _forget(self) -> None:
        self.held = b""
        self._at = self._searched = self._checked = 0

    def _advance(self, to: int) -> bytes:
        """Take the held bytes up to there."""
        held, at = self.held, self._at
        if to == len(held):
            self._forget()
            return held if at == 0 else held[at:]
        self._at = self._searched = self._checked = to
        return held[at:to]

    def rest(self) -> None:
        """Nothing is to come for a while: keep nothing of what was read last."""
        self._last, self._last_found = b"", None
        if self._body is None and not self._inside:
            self._parser = None

    def close(self) -> None:
        """Parser and bodies refer back to this, which refers back to the connection: rings of which nobody
        would find out (serve/loops.py)."""
        self._parser = self._body = self._wake = self._last_found = None
        self._forget()

    # --- heads ---

    def next(self, data: bytes = b"") -> Head | Refusal | None:
        """The next request, with as much of its body as is here and wanted; None: its head is not whole.
        `data`: what has just come."""
        if data:
            if not self.held and not self._fed:
                if data == self._last:
                    return self._last_found
                size = len(data)
                if data.endswith(_END) and size <= REPEATED and size <= self.max_head:
                    found = self._alone(data)
                    if found is not None:
                        return found
            self.add(data)
        while True:
            end = self.held.find(_END, self._searched)
            if end < 0:
                return self._part()
            size = end + 4 - self._at + self._fed
            if size > self.max_head:
                return self._refused(HeadTooLarge(f"head over {self.max_head} bytes"))
            self.head_size = size
            item = self._parse(self._advance(end + 4))
            if item is not None:
                return item
            self._fed = size

    def _alone(self, data: bytes) -> Head | None:
        """The one request without a body that this is, nearly always; None: it is something else, and it is
        as if nothing had happened: whatever it is shows when the parser gets its pieces."""
        parser = self._parser
        if parser is None:
            parser = self._new_parser()
        messages: Sequence[Head] = ()
        try:
            messages = parser.feed_data(data)[0]
        except Exception:  # noqa: BLE001 - it comes up again, with what stands before it served
            self._parser = None
        if len(messages) == 1:
            found: Head = messages[0]
            message = found[0]
            # Behind an upgrade that it does not know the parser drops what was in the same piece.
            if found[1] is EMPTY_PAYLOAD and not message.upgrade:
                self._parser, self.head_size = parser, len(data)
                if not message.should_close:
                    # The parser is where it was before, so it would say the same again.
                    self._last, self._last_found = data, found
                return found
        self._parser, self.full = None, False
        return None

    def _new_parser(self) -> HttpRequestParser:
        return request_parser(self, self._loop, max_head=self.max_head, read_ahead=_READ_AHEAD)

    def _parse(self, data: bytes) -> Head | Refusal | None:
        parser = self._parser
        if parser is None:
            parser = self._parser = self._new_parser()
        try:
            messages, self.upgraded, early = parser.feed_data(data)
        except Exception as error:  # noqa: BLE001 - the parser lets other errors than its own through too
            return self._refused(_refusal(error))
        if not messages:
            # Empty lines in front of a request (RFC 9112 section 2.2) are no part of it.
            self._inside = self._inside or data.strip(b"\r\n") != b""
            return None
        if len(messages) > 1 or early:
            # Two ends where we saw one: whoever is right, nobody shall be served by it.
            return self._refused(BadRequest("a head ends where none can"))
        self._fed, self._inside = 0, False
        found: Head = messages[0]
        if not found[1].is_eof() and not self.upgraded:
            return self._begin_body(*found)
        return found

    def _part(self) -> Refusal | None:
        """See to a head that is not whole."""
        empty = _EMPTY_LINES.match(self.held, self._at)
        if empty is not None and not self._inside:
            self._fed += empty.end() - self._at
            self._parse(self._advance(empty.end()))
        held = self.held
        if len(held) - self._at + self._fed > self.max_head:
            return self._refused(HeadTooLarge(f"head over {self.max_head} bytes"))
        if len(held) == self._at:
            return None
        if self._inside or self._impossible():
            # The parser says what is wrong with it; where it does not, it has the rest as well.
            self._fed += len(held) - self._at
            found = self._parse(self._advance(len(held)))
            return found if found is None or isinstance(found, Refusal) else self._refused(BadRequest("head"))
        self._searched = max(self._at, len(held) - len(_END) + 1)
        return None

    def _impossible(self) -> bool:
        """Whether what is here cannot become a head. Looks at every byte once or twice."""
        held, start = self.held, max(self._at, self._searched - 1)
        if start > self._at and held[start] == 0x0A:
            start += 1  # the end of a line that was looked at before
        if _never(held[start:]) or not _STARTS.match(held, self._at):
            return True
        last = held.rfind(b"\r\n", self._checked)
        if last < 0:
            return False
        at = self._checked
        if at == self._at:
            first = _FIRST_LINE.match(held, at)
            if first is None:
                return True
            at = first.end()
        if _LINES.fullmatch(held, at, last + 2) is None:
            return True
        self._checked = last + 2
        return False

    def _refused(self, refusal: Refusal) -> Refusal:
        self.broken = True
        self._forget()
        return refusal

    # --- bodies ---

    def _begin_body(self, message: RawRequestMessage, body: StreamReader) -> Head | Refusal:
        self._body, self._tail, self._piece_size = body, b"", _MOST
        if message.chunked:
            self._left = -1
        else:
            try:
                self._left = int(message.headers["Content-Length"])
            except (KeyError, ValueError):
                return self._refused(BadRequest("a body of no length"))
        refusal = self.feed()
        if refusal is not None:
            # It ends the request, when that is looked at.
            body.set_exception(BodyBroken(refusal.reason), refusal)
        return message, body

    def feed(self) -> Refusal | None:
        """Give the body what is held of it, as far as it has room and others can wait; why it broke."""
        for _ in range(_PIECES):
            if self._body is None or self.full or len(self.held) == self._at:
                break
            refusal = self._give(self._chunked_piece() if self._left < 0 else self._counted_piece())
            if refusal is not None:
                return refusal
        return None

    def takes(self, size: int) -> bool:
        """Whether so many bytes that have just come are all of a body with room for them."""
        return 0 < size <= self._left and not self.held and not self.full and self._body is not None

    def feed_view(self, view: memoryview) -> Refusal | None:
        """Give the body these bytes, which it `takes`, from where the kernel has written them: they are
        copied once instead of twice."""
        self._left -= len(view)
        return self._give(view)

    def _give(self, piece: bytes | memoryview) -> Refusal | None:
        body, parser = self._body, self._parser
        if body is None or parser is None:
            return None
        before = body.total_bytes
        try:
            # In C it takes whatever has a buffer.
            messages, self.upgraded, early = parser.feed_data(cast(bytes, piece))
        except Exception as error:  # noqa: BLE001 - the parser lets other errors than its own through too
            self._body = None
            return self._refused(_refusal(error))
        if messages or early or (self._left >= 0 and (self._left == 0) != body.is_eof()):
            self._body = None
            return self._refused(BadRequest("a body ends where it cannot"))
        if body.is_eof():
            self._body = None
        elif self._left < 0:
            dense = body.total_bytes - before > _DENSE * len(piece)
            size = self._piece_size * 2 if dense else self._piece_size // 2
            self._piece_size = min(max(size, _LEAST), _MOST)
        return None

    def _counted_piece(self) -> bytes:
        size = min(self._left, len(self.held) - self._at)
        self._left -= size
        return self._advance(self._at + size)

    def _chunked_piece(self) -> bytes:
        """Up to the next empty line at most, for one of them ends the body, wherever reads cut it in two."""
        size, tail = self._piece_size, self._tail
        window = tail + self.held[self._at : self._at + size]
        end = window.find(_END)
        size = (len(window) if end < 0 else end + len(_END)) - len(tail)
        piece = self._advance(self._at + size)
        self._tail = (tail + piece)[-3:]
        return piece


def _never(part: bytes) -> bool:
    """Whether control characters stand in a part of a head, or CR and LF other than side by side; its last
    byte may be a CR. Calls over the whole of it: a pattern costs fifteen times as much for each byte."""
    ends = part.count(b"\r\n")
    alone = part.count(b"\r") - part.endswith(b"\r")
    if part.count(b"\n") != ends or alone > ends:
        return True
    return len(part.translate(None, _CONTROLS)) != len(part)


def _refusal(error: Exception) -> Refusal:
    """What the parser's error means for the client; its text would repeat the client's bytes."""
    if isinstance(error, LineTooLong):
        return HeadTooLarge("line too long")
    if isinstance(error, InvalidURLError):
        return BadTarget("a raw byte, or a fragment, in the request target")
    return BadRequest(type(error).__name__)
