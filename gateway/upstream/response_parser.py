"""The response parser: httptools' callbacks record what they see, and connection.py acts on it.

Invariant: data behind a complete response is recorded as excess, and a doubtful response as broken; nothing
is passed on from inside the parser.
"""

from __future__ import annotations

import re

from httptools import HttpParserError, HttpResponseParser

# Larger heads are refused: twice our default limit for clients; nginx's proxy buffers hold 4–8 KiB, Envoy's
# limit is 60 KiB.
MAX_ANSWER_HEAD = 64 * 1024


class AnswerHead:
    """Status line and headers of a response: lines as the upstream wrote them, without hop-by-hop headers."""

    __slots__ = (
        "chunked",
        "content_length",
        "event_stream",
        "lines",
        "sets_cookies",
        "status",
        "status_line",
    )

    def __init__(self, status: int, status_line: bytes, lines: list[bytes]) -> None:
        self.status = status
        # As sent to the client; empty if invalid.
        self.status_line = status_line
        self.lines = lines
        self.content_length: bytes | None = None
        # With neither length nor chunks, the body ends with the connection (RFC 9112 section 6.3 rule 8).
        self.chunked = False
        # text/event-stream: endless, and its readers reconnect (HTML Standard section 9.2).
        self.event_stream = False
        # Whether any line is a Set-Cookie.
        self.sets_cookies = False


# RFC 9110 section 7.6.1: hop-by-hop headers. Content-Length and Transfer-Encoding are rewritten for the
# client.
_DROPPED = frozenset({b"proxy-authenticate", b"proxy-connection", b"te", b"trailer", b"upgrade"})
_KEEP, _DROP, _LENGTH, _ENCODING, _CONNECTION, _TYPE, _COOKIE, _KEEP_ALIVE = range(8)
# Bounded: an upstream that invents header names must not fill the memory.
_REMEMBERED_NAMES = 512
_REMEMBERED_LENGTH = 64
_kinds: dict[bytes, int] = {}


def _classify(name: bytes) -> int:
    lower = name.lower()
    if lower == b"content-length":
        kind = _LENGTH
    elif lower == b"transfer-encoding":
        kind = _ENCODING
    elif lower == b"connection":
        kind = _CONNECTION
    elif lower == b"content-type":
        kind = _TYPE
    elif lower == b"set-cookie":
        kind = _COOKIE
    elif lower == b"keep-alive":
        kind = _KEEP_ALIVE
    else:
        kind = _DROP if lower in _DROPPED else _KEEP
    if len(_kinds) < _REMEMBERED_NAMES and len(name) <= _REMEMBERED_LENGTH:
        _kinds[name] = kind
    return kind


_EVENT_STREAM = b"text/event-stream"
_SHORTEST_STREAM = len(_EVENT_STREAM)

_NONE: frozenset[bytes] = frozenset()
# The usual values of Connection; they name no header, or one that is removed anyway.
_OPTIONS = frozenset({b"keep-alive", b"close", b"upgrade", b""})


def _named_headers(value: bytes) -> frozenset[bytes]:
    """Return the headers that Connection names: they are hop-by-hop too (RFC 9110 section 7.6.1)."""
    if value.lower() in _OPTIONS:
        return _NONE
    return frozenset(token.strip().lower() for token in value.split(b",")) - _OPTIONS


_REASON = re.compile(rb"[\t -~\x80-\xff]*")
# Status lines seen so far; a dozen in practice, bounded as above.
_status_lines: dict[tuple[int, bytes], bytes] = {}
_REMEMBERED_LINES = 64


def _status_line(status: int, reason: bytes) -> bytes:
    """Return the status line for the client; empty if it is invalid.

    RFC 9112 section 4: three digits from 100; "reason-phrase = 1*( HTAB / SP / VCHAR / obs-text )". UTF-8 and
    Latin-1 are obs-text, and "a client SHOULD ignore the reason-phrase content": they do not affect framing.
    """
    if status < 100 or not _REASON.fullmatch(reason):
        return b""
    line = b"HTTP/1.1 %d %b\r\n" % (status, reason)
    if len(_status_lines) < _REMEMBERED_LINES and len(reason) <= _REMEMBERED_LENGTH:
        _status_lines[status, reason] = line
    return line


_LENGTHS = re.compile(rb"(?i)content-length:[ \t]*(\d+(?:[ \t]*,[ \t]*\d+)*)[ \t]*")


def one_length(raw: bytes) -> bytes | None:
    """Return a response with repeated equal lengths reduced to one. Empty: its head is incomplete; None: no
    length is repeated, or they differ. Pure.

    RFC 9112 section 6.3 rule 5: an invalid Content-Length is an error "unless the field value can be
    successfully parsed as a comma-separated list, all values in the list are valid, and all values in the
    list are the same (in which case, the message is processed with that single value)". Two lines are such a
    list (RFC 9110 section 5.3).
    """
    kept: list[bytes] = []
    at = 0
    while True:
        end = raw.find(b"\r\n\r\n", at)
        if end < 0:
            return b""
        head = _with_one_length(raw[at:end].split(b"\r\n"))
        if head is None:
            return None
        kept += (head, b"\r\n\r\n")
        # RFC 9110 section 15.2: another response follows an interim one.
        interim, at = raw[at + 9 : at + 10] == b"1", end + 4
        if not interim:
            break
    kept.append(raw[at:])
    repaired = b"".join(kept)
    return None if repaired == raw else repaired


def _with_one_length(lines: list[bytes]) -> bytes | None:
    """Return the head with one length; None if the lengths differ."""
    kept: list[bytes] = []
    lengths: set[bytes] = set()
    for line in lines:
        found = _LENGTHS.fullmatch(line)
        if found is None:
            kept.append(line)
            continue
        if not lengths:
            kept.append(b"Content-Length: " + found[1].partition(b",")[0].strip())
        lengths.update(value.strip() for value in found[1].split(b","))
    return None if len(lengths) > 1 else b"\r\n".join(kept)


_TIMEOUT = re.compile(rb"(?i)(?:^|[,;\s])timeout *= *\"?(\d{1,6})(?!\d)")
# One or two in practice, bounded as above.
_announced: dict[bytes, float] = {}


def _seconds_announced(value: bytes) -> float | None:
    """Parse `Keep-Alive: timeout=5` (RFC 2068 section 19.7.1.1, as servers write it)."""
    found = _TIMEOUT.search(value)
    if found is None:
        return None
    seconds = float(found[1])
    if len(_announced) < _REMEMBERED_LINES and len(value) <= _REMEMBERED_LENGTH:
        _announced[value] = seconds
    return seconds


# Replaces the parser of a closed connection.
_ENDED = HttpResponseParser(object())


class AnswerReader:
    """The reading half of an upstream connection; connection.py builds on it."""

    __slots__ = (
        "_body",
        "_broken",
        "_bulky",
        "_chunked",
        "_connection",
        "_end",
        "_event_stream",
        "_excess",
        "_head",
        "_head_only",
        "_in_body",
        "_interim",
        "_interim_open",
        "_keep_alive",
        "_length",
        "_lines",
        "_named",
        "_parser",
        "_reason",
        "_seen",
        "_sets_cookies",
        "_suspect",
        "_told",
        "_until_close",
        "announced",
        "spoke_of_body",
    )

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self.expect_answer(head_only=False)

    def expect_answer(self, *, head_only: bool) -> None:
        """Reset for the next response. `head_only`: it answers a HEAD request, so it has no body."""
        self._head_only = head_only
        self._head: AnswerHead | None = None
        self._interim: list[AnswerHead] = []
        # The number of interim responses passed on.
        self._told = 0
        self._interim_open = False
        self._lines: list[bytes] = []
        self._reason = b""
        self._length: bytes | None = None
        self._named: frozenset[bytes] = _NONE
        self._chunked = False
        self._event_stream = False
        self._sets_cookies = False
        self._body: list[bytes] = []
        self._end: list[bytes] | None = None
        # Input of an incomplete head.
        self._seen = b""
        # Whether the parser refused it for a reason that may be harmless.
        self._suspect = False
        self._in_body = False
        # Whether the body being read has come in large pieces so far.
        self._bulky = False
        self._until_close = False
        self._excess = False
        self._broken: str | None = None
        self._keep_alive = False
        self._connection = b""
        # Seconds that the upstream announced to keep the connection; None: not announced.
        self.announced: float | None = None
        # Whether the response has no body, but a careless upstream might send one.
        self.spoke_of_body = False

    def end_reading(self) -> None:
        """Release the parser: it refers back to this, and such a cycle is not collected soon
        (serve/loops.py)."""
        self._parser = _ENDED

    # --- httptools callbacks, which only record ---

    def on_message_begin(self) -> None:
        if self._end is not None:
            self._excess = True

    def on_status(self, status: bytes) -> None:
        self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        kind = _kinds.get(name)
        if kind is None:
            kind = _classify(name)
        if not kind:
            self._lines.append(b"%b: %b\r\n" % (name, value))
        elif kind == _TYPE:
            self._lines.append(b"%b: %b\r\n" % (name, value))
            # RFC 9110 section 8.3.1: media types are case-insensitive and may have parameters.
            if len(value) >= _SHORTEST_STREAM and value[:_SHORTEST_STREAM].lower() == _EVENT_STREAM:
                self._event_stream = True
        elif kind == _COOKIE:
            self._lines.append(b"%b: %b\r\n" % (name, value))
            self._sets_cookies = True
        elif kind == _LENGTH:
            self._length = value
        elif kind == _CONNECTION:
            if self._head_only:
                self._connection += value + b","
            if value not in _OPTIONS:
                self._named |= _named_headers(value)
        elif kind == _KEEP_ALIVE:
            self.announced = _announced.get(value) or _seconds_announced(value)
        elif kind == _ENCODING:
            # RFC 9112 section 6.1. Stricter: chunked only; any other coding would be lost.
            if value.lower() != b"chunked":
                self._broken = "Transfer-Encoding other than chunked"
            self._chunked = True

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        status_line = _status_lines.get((status, self._reason)) or _status_line(status, self._reason)
        head = AnswerHead(status, status_line, self._lines)
        head.content_length, head.chunked = self._length, self._chunked
        head.event_stream, head.sets_cookies = self._event_stream, self._sets_cookies
        self._lines, self._reason, self._length, self._chunked = [], b"", None, False
        self._sets_cookies = False
        if self._named:
            head.lines = [line for line in head.lines if line.partition(b":")[0].lower() not in self._named]
            self._named = _NONE
        if not status_line:
            self._broken = "status line out of bounds"
        if status == 101:
            # Never a complete response: the parser reports the upgrade, or it is broken.
            self._interim_open = True
            self._head = head
            return
        if status < 200:
            # RFC 9110 section 15.2: interim; another response to the same request follows.
            self._interim.append(head)
            self._interim_open = True
            return
        if self._head is not None or self._in_body:
            self._excess = True
            return
        self._head = head
        self._keep_alive = self._parser.should_keep_alive()
        if self._head_only or status in {204, 304}:
            self._no_body(head)
        elif not head.chunked and head.content_length is None:
            self._until_close = True
            self._keep_alive = False

    def _no_body(self, head: AnswerHead) -> None:
        """Complete a response without a body, whatever its head announces (RFC 9112 section 6.3 rule 1).

        If it announces one, a careless upstream may send it anyway, which would be parsed as the next
        response. Data that came with the head is detected here; later data closes the connection, which rests
        for a moment (connection_pool.py).
        """
        self._end = []
        spoken = head.chunked or head.content_length not in {None, b"0"}
        if self._head_only:
            # The parser does not know about HEAD: without a length it expects the body to last until the
            # connection closes.
            said = {token.strip() for token in self._connection.lower().split(b",")}
            persists = self._parser.get_http_version() == "1.1" or b"keep-alive" in said
            self._keep_alive = persists and b"close" not in said
            self.spoke_of_body = head.content_length != b"0"
        elif head.status == 304:
            self.spoke_of_body = spoken
        else:
            # RFC 9110 section 8.6: a 204 must have neither; an upstream that sends one cannot be trusted to
            # stop.
            self._keep_alive = self._keep_alive and not spoken

    def read_tolerantly(self, data: bytes | memoryview) -> bool:
        """Parse a head again that was refused for something harmless, once it is complete; return False if it
        was not harmless. `data`: the latest input.
        """
        raw = self._seen + data
        tolerable = one_length(raw)
        if tolerable is None:
            return False
        self._suspect = not tolerable
        if tolerable:
            told = self._told
            self.expect_answer(head_only=self._head_only)
            self._told, self._parser = told, HttpResponseParser(self)
            try:
                self._parser.feed_data(tolerable)
            except HttpParserError:
                return False
            del self._interim[:told]
        return True

    def forget_body(self) -> None:
        """Reset the parser, which still waits for a body that does not come."""
        self._parser = HttpResponseParser(self)

    def on_body(self, body: bytes) -> None:
        if self._end is not None:
            self._excess = True
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._interim_open:
            self._interim_open = False
        elif self._end is None:
            # Headers recorded since the head are trailers (RFC 9110 section 6.5).
            self._end, self._lines = self._lines, []
