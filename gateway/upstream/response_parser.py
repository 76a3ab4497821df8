"""An upstream's bytes, read into answers by httptools: its callbacks take notes, connection.py acts on them.

Invariant: whatever stands behind a whole answer is noted as excess, and whatever makes an answer doubtful as
broken; nothing is handed on from inside the parser.
"""

from __future__ import annotations

import re

from httptools import HttpParserError, HttpResponseParser

# Heads beyond this are not served: twice what we accept from clients by default; nginx's proxy buffers hold
# 4–8 KiB, Envoy's limit is 60 KiB.
MAX_ANSWER_HEAD = 64 * 1024


class AnswerHead:
    """Status line and headers of an answer: lines as the upstream wrote them, hop-by-hop ones left out."""

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
        # As it goes to the client; empty where it is out of bounds.
        self.status_line = status_line
        self.lines = lines
        self.content_length: bytes | None = None
        # Neither a length nor chunked: the body ends where the connection does (RFC 9112 section 6.3 rule 8).
        self.chunked = False
        # text/event-stream: it has no end, and its readers reconnect (WHATWG HTML section 9.2).
        self.event_stream = False
        # There is a Set-Cookie among the lines.
        self.sets_cookies = False


# RFC 9110 section 7.6.1: these end at each hop. Content-Length and Transfer-Encoding are the framing, which
# is written anew towards the client.
_DROPPED = frozenset({b"proxy-authenticate", b"proxy-connection", b"te", b"trailer", b"upgrade"})
_KEEP, _DROP, _LENGTH, _ENCODING, _CONNECTION, _TYPE, _COOKIE, _KEEP_ALIVE = range(8)
# Bounded: an upstream that invents names must not fill the memory.
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
# What a Connection header says most often; these name no header, or one that is dropped in any case.
_OPTIONS = frozenset({b"keep-alive", b"close", b"upgrade", b""})


def _named_headers(value: bytes) -> frozenset[bytes]:
    """RFC 9110 section 7.6.1: a header that Connection names ends here too."""
    if value.lower() in _OPTIONS:
        return _NONE
    return frozenset(token.strip().lower() for token in value.split(b",")) - _OPTIONS


_REASON = re.compile(rb"[\t -~\x80-\xff]*")
# Those that upstreams sent so far; a dozen in practice, and bounded as above.
_status_lines: dict[tuple[int, bytes], bytes] = {}
_REMEMBERED_LINES = 64


def _status_line(status: int, reason: bytes) -> bytes:
    """RFC 9112 section 4: three digits from 100; "reason-phrase = 1*( HTAB / SP / VCHAR / obs-text )".

    UTF-8 and Latin-1 are obs-text, and "a client SHOULD ignore the reason-phrase content": they frame
    nothing. Empty for what is no status line.
    """
    if status < 100 or not _REASON.fullmatch(reason):
        return b""
    line = b"HTTP/1.1 %d %b\r\n" % (status, reason)
    if len(_status_lines) < _REMEMBERED_LINES and len(reason) <= _REMEMBERED_LENGTH:
        _status_lines[status, reason] = line
    return line


_LENGTHS = re.compile(rb"(?i)content-length:[ \t]*(\d+(?:[ \t]*,[ \t]*\d+)*)[ \t]*")


def one_length(raw: bytes) -> bytes | None:
    """These bytes of an answer with each length once where it stood twice; empty: its head is not whole yet;
    None: it stood there once, or not the same. Pure.

    RFC 9112 section 6.3 rule 5: an invalid Content-Length is an error "unless the field value can be
    successfully parsed as a comma-separated list, all values in the list are valid, and all values in the
    list are the same (in which case, the message is processed with that single value)". Two lines are such a
    list (RFC 9110 section 5.3). Towards the client it is written once.
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
        # RFC 9110 section 15.2: behind an interim answer comes another one.
        interim, at = raw[at + 9 : at + 10] == b"1", end + 4
        if not interim:
            break
    kept.append(raw[at:])
    repaired = b"".join(kept)
    return None if repaired == raw else repaired


def _with_one_length(lines: list[bytes]) -> bytes | None:
    """A head; None: its lengths are not the same."""
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
# One or two in practice, and bounded as above.
_announced: dict[bytes, float] = {}


def _seconds_announced(value: bytes) -> float | None:
    """Keep-Alive: timeout=5 (RFC 2068 section 19.7.1.1, as servers write it)."""
    found = _TIMEOUT.search(value)
    if found is None:
        return None
    seconds = float(found[1])
    if len(_announced) < _REMEMBERED_LINES and len(value) <= _REMEMBERED_LENGTH:
        _announced[value] = seconds
    return seconds


# In the place of the parser of a connection that is lost.
_ENDED = HttpResponseParser(object())


class AnswerReader:
    """The reading half of a connection to the upstream; the acting half (connection.py) is built on it."""

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
        """Begin anew; `head_only` for a HEAD request, whose answer has no body."""
        self._head_only = head_only
        self._head: AnswerHead | None = None
        self._interim: list[AnswerHead] = []
        # How many of these were handed on.
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
        # What was read of a head that is not whole yet.
        self._seen = b""
        # Whether the parser refused that, and for what may be harmless.
        self._suspect = False
        self._in_body = False
        # Whether a body is being read that came in large pieces so far.
        self._bulky = False
        self._until_close = False
        self._excess = False
        self._broken: str | None = None
        self._keep_alive = False
        self._connection = b""
        # Seconds that the upstream said it keeps the connection for; None: it said nothing.
        self.announced: float | None = None
        # Whether the answer has no body, and a careless upstream might send one all the same.
        self.spoke_of_body = False

    def end_reading(self) -> None:
        """Nothing more comes. The parser refers back to this, and such a ring lives long (serve/loops.py)."""
        self._parser = _ENDED

    # --- httptools: these only take notes ---

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
            # RFC 9110 section 8.3.1: types are case-insensitive, parameters may follow.
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
            # RFC 9112 section 6.1. Stricter: chunked alone; a coding below it would be lost on the way.
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
            # Never a whole answer: either the parser sees the switch, or it is broken.
            self._interim_open = True
            self._head = head
            return
        if status < 200:
            # RFC 9110 section 15.2: interim, another answer follows on the same question.
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
        """RFC 9112 section 6.3 rule 1: no body, whatever the head says of one.

        Where it does, a careless upstream may send it after all, and it would be read as the next answer.
        What came with the head is seen here; what comes later closes the connection, which rests a moment
        (connection_pool.py).
        """
        self._end = []
        spoken = head.chunked or head.content_length not in {None, b"0"}
        if self._head_only:
            # The parser does not know that it was a HEAD: without a length it expects the end of the
            # connection.
            said = {token.strip() for token in self._connection.lower().split(b",")}
            persists = self._parser.get_http_version() == "1.1" or b"keep-alive" in said
            self._keep_alive = persists and b"close" not in said
            self.spoke_of_body = head.content_length != b"0"
        elif head.status == 304:
            self.spoke_of_body = spoken
        else:
            # RFC 9110 section 8.6: a 204 must not have either; who says so knows no better what to send.
            self._keep_alive = self._keep_alive and not spoken

    def read_tolerantly(self, data: bytes | memoryview) -> bool:
        """Read a head again that the parser refused for something harmless, once it is whole; False: it was
        nothing of the kind. `data` is what came last.
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
        """The parser still waits for a body that does not come."""
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
            # What on_header noted since the head are trailers (RFC 9110 section 6.5).
            self._end, self._lines = self._lines, []
