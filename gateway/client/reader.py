"""The request reader: splits a client's bytes into requests, one complete head and its body at a time.

Every byte passes through aiohttp's parser in order, and the parser alone decides what a request is. This
module only splits the input at the end of a head or body, so that the bytes behind it are not parsed before
their turn. An incomplete head costs no more than its bytes.

Invariant: after a head or body with doubtful framing, nothing more is read; what is held is bounded by the
connection, which stops reading, and by `max_head`.
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
# A body reports that it is full at twice this; in pieces, at `_READ_AHEAD // 16` chunks.
_READ_AHEAD = 4 * 1024
# Bytes of a chunked body parsed at once: the least if chunks are a few bytes each, at 1 µs of work per chunk;
# the most if they are large.
_LEAST, _MOST = 1024, 64 * 1024
# Pieces of a chunked body parsed before other connections have their turn: 5 ms at worst.
_PIECES = 32
# A body with a smaller ratio of data consists of small chunks.
_DENSE = 0.9

# Longer heads are not kept: they would stay in memory while their connection is idle.
REPEATED = 4096

# Bytes that cannot occur in a head, complete or not: it is parsed, and so refused, at once.
_CONTROLS = bytes({*range(0x20), 0x7F} - {*b"\t\r\n"})
_STARTS = re.compile(rb"[A-Z]|\r\Z")
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")
_FIRST_LINE = re.compile(rb"[A-Z][A-Z-]* [^ ]+ HTTP/1\.[01]\r\n")
_LINES = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n]*\r\n)*")


class RequestReader:
    """The reading half of a client's connection. Feeds the parser, and is the flow control of its bodies."""

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
        """`max_head`: maximum size of a head in bytes; `wake`: called when a full body has room again."""
        self._loop = loop
        self._wake: Callable[[], None] | None = wake
        self.max_head = max_head
        # None: nothing parsed yet, or discarded while idle (`rest`).
        self._parser: HttpRequestParser | None = None
        # Unparsed input, which starts at `_at` (b"": none). Up to `_searched` it contains no end of a head,
        # up to `_checked` its lines are valid in a head.
        self.held = b""
        self._at = self._searched = self._checked = 0
        # Bytes given to the parser since the last request, and whether the next head has begun in them;
        # otherwise they are empty lines.
        self._fed = 0
        self._inside = False
        # The last head that arrived complete and alone, and the parser's result for it.
        self._last = b""
        self._last_found: Head | None = None
        # The body being read, the bytes still to come (-1: chunked), and its last bytes.
        self._body: StreamReader | None = None
        self._left = 0
        self._tail = b""
        self._piece_size = _MOST
        # Whether the body has enough data for now.
        self.full = False
        # Size of the last head in bytes.
        self.head_size = 0
        # The parser has completed a request with a known upgrade: what follows is not HTTP.
        self.upgraded = False
        # The framing is lost: nothing more is read.
        self.broken = False

    # --- called by aiohttp's parser and bodies (parser.BodyFlow) ---

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
        """Bytes held and not parsed."""
        return len(self.held) - self._at

    @property
    def in_head(self) -> bool:
        """Whether an incomplete head is here, after `next` returned None."""
        return self._inside or len(self.held) > self._at

    @property
    def in_body(self) -> bool:
        return self._body is not None

    @property
    def takes_more(self) -> bool:
        """Whether a body of known length has room: its data is passed on at once, in one piece."""
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
        """Return everything behind the last request, which is not HTTP any more."""
        rest = self.held[self._at :]
        self._forget()
        return rest

    def _forget(self) -> None:
        self.held = b""
        self._at = self._searched = self._checked = 0

    def _advance(self, to: int) -> bytes:
        """Take the held bytes up to this offset."""
        held, at = self.held, self._at
        if to == len(held):
            self._forget()
            return held if at == 0 else held[at:]
        self._at = self._searched = self._checked = to
        return held[at:to]

    def rest(self) -> None:
        """Release the memory of the last request: the connection is idle."""
        self._last, self._last_found = b"", None
        if self._body is None and not self._inside:
            self._parser = None

    def close(self) -> None:
        """Break the reference cycles of parser and bodies with this reader and its connection; the garbage
        collector does not run for them (serve/loops.py)."""
        self._parser = self._body = self._wake = self._last_found = None
        self._forget()

    # --- heads ---

    def next(self, data: bytes = b"") -> Head | Refusal | None:
        """Return the next request, with as much of its body as has arrived and is wanted; None: its head is
        incomplete. `data`: what has just been received."""
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
        """Parse data that is nearly always one request without a body. None if it is anything else; it is
        then parsed again in pieces, as if this had not happened."""
        parser = self._parser
        if parser is None:
            parser = self._new_parser()
        messages: Sequence[Head] = ()
        try:
            messages = parser.feed_data(data)[0]
        except Exception:  # noqa: BLE001 - raised again in pieces, after the requests before it are served
            self._parser = None
        if len(messages) == 1:
            found: Head = messages[0]
            message = found[0]
            # After an unknown upgrade, the parser discards the rest of its input.
            if found[1] is EMPTY_PAYLOAD and not message.upgrade:
                self._parser, self.head_size = parser, len(data)
                if not message.should_close:
                    # The parser's state is unchanged, so its result for the same bytes would be the same.
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
        except Exception as error:  # noqa: BLE001 - the parser also raises errors that are not its own
            return self._refused(_refusal(error))
        if not messages:
            # Empty lines before a request (RFC 9112 section 2.2) are not part of it.
            self._inside = self._inside or data.strip(b"\r\n") != b""
            return None
        if len(messages) > 1 or early:
            # The parser sees two ends where we saw one: with doubtful framing, no request is served.
            return self._refused(BadRequest("a head ends where it cannot"))
        self._fed, self._inside = 0, False
        found: Head = messages[0]
        if not found[1].is_eof() and not self.upgraded:
            return self._begin_body(*found)
        return found

    def _part(self) -> Refusal | None:
        """Check an incomplete head: refuse it as soon as it is too large or invalid."""
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
            # The parser knows what is wrong with it.
            self._fed += len(held) - self._at
            found = self._parse(self._advance(len(held)))
            return found if found is None or isinstance(found, Refusal) else self._refused(BadRequest("head"))
        self._searched = max(self._at, len(held) - len(_END) + 1)
        return None

    def _impossible(self) -> bool:
        """Return whether the held data cannot become a head. Inspects every byte once or twice."""
        held, start = self.held, max(self._at, self._searched - 1)
        if start > self._at and held[start] == 0x0A:
            start += 1  # the end of a line that was already checked
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
                return self._refused(BadRequest("a body without a length"))
        refusal = self.feed()
        if refusal is not None:
            # The request ends with it, once the body is read.
            body.set_exception(BodyBroken(refusal.reason), refusal)
        return message, body

    def feed(self) -> Refusal | None:
        """Feed held data to the body while it has room, within one turn; return why it broke, if it did."""
        for _ in range(_PIECES):
            if self._body is None or self.full or len(self.held) == self._at:
                break
            refusal = self._give(self._chunked_piece() if self._left < 0 else self._counted_piece())
            if refusal is not None:
                return refusal
        return None

    def takes(self, size: int) -> bool:
        """Return whether this many new bytes all belong to the body, which has room for them."""
        return 0 < size <= self._left and not self.held and not self.full and self._body is not None

    def feed_view(self, view: memoryview) -> Refusal | None:
        """Feed bytes that the body `takes` directly from the read buffer: they are copied once instead of
        twice."""
        self._left -= len(view)
        return self._give(view)

    def _give(self, piece: bytes | memoryview) -> Refusal | None:
        body, parser = self._body, self._parser
        if body is None or parser is None:
            return None
        before = body.total_bytes
        try:
            # The C implementation accepts any buffer.
            messages, self.upgraded, early = parser.feed_data(cast(bytes, piece))
        except Exception as error:  # noqa: BLE001 - the parser also raises errors that are not its own
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
        """Return the next piece, up to an empty line at most, since one ends the body, also if reads split
        it."""
        size, tail = self._piece_size, self._tail
        window = tail + self.held[self._at : self._at + size]
        end = window.find(_END)
        size = (len(window) if end < 0 else end + len(_END)) - len(tail)
        piece = self._advance(self._at + size)
        self._tail = (tail + piece)[-3:]
        return piece


def _never(part: bytes) -> bool:
    """Return whether part of a head has control characters, or CR and LF other than in pairs; its last byte
    may be a CR. bytes methods on the whole part: a regular expression costs fifteen times as much per
    byte."""
    ends = part.count(b"\r\n")
    alone = part.count(b"\r") - part.endswith(b"\r")
    if part.count(b"\n") != ends or alone > ends:
        return True
    return len(part.translate(None, _CONTROLS)) != len(part)


def _refusal(error: Exception) -> Refusal:
    """Return the refusal for a parser error, without its text, which would repeat the client's bytes."""
    if isinstance(error, LineTooLong):
        return HeadTooLarge("line too long")
    if isinstance(error, InvalidURLError):
        return BadTarget("a raw byte, or a fragment, in the request target")
    return BadRequest(type(error).__name__)
