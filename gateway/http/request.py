"""What came: one request head, checked for what no server should accept, and judged by nobody yet.

Invariant: a Request that exists has an origin-form target, one valid Host, one framing, and a method that is
passed on; everything doubtful was refused before.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from aiohttp.http import HttpVersion10, HttpVersion11
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from gateway.errors import BadRequest, MethodNotAllowed
from gateway.http.headers import HeaderTable, Scanned, scan
from gateway.policy.decide import Need
from gateway.policy.paths import split_target

if TYPE_CHECKING:
    from aiohttp.http import RawRequestMessage

    from gateway.http.answers import Answer
    from gateway.http.streams import Streams
    from gateway.tokens.principal import Principal

# RFC 3986 section 3.2.2 host and port: reg-name, IPv4 or bracketed IPv6; no userinfo. It goes into redirects
# and challenges, so nothing else may stand in it. Stricter: no sub-delims, `a,b` is two Hosts in one.
_HOST = re.compile(rb"(?:[A-Za-z0-9._~%-]*|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?")
# Those seen so far; one name or two in practice, and bounded against clients that invent them.
valid_hosts: set[bytes] = set()
_REMEMBERED_HOSTS = 256
# RFC 9110 section 5.6.2 allows more signs and small letters. Stricter: as routes name methods.
_METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,31}", re.ASCII)
_USUAL_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# RFC 9112 section 3.2.2: a server accepts the absolute-form too.
_ABSOLUTE = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)


class CrossOriginLines(Protocol):
    """What is said to browsers about pages of other origins.

    One implementation, because http/cors.py reads requests, and these name their peer, which has this.
    """

    def own_lines(self, request: Request, answer: Answer) -> bytes: ...

    def proxied_lines(self, request: Request, answer: Sequence[bytes]) -> bytes: ...


class TraceContext(Protocol):
    """Who says to the upstream which trace a request belongs to.

    One implementation, because gate/tracer.py imports OpenTelemetry, an extra, and reads requests.
    """

    def upstream_lines(self, request: Request) -> bytes: ...


class RequestSigner(Protocol):
    """Signs what goes to an upstream that wants it.

    One implementation, because serve/aws_signing.py asks AWS and sessions: it stands above requests.
    """

    # Whether a body is part of what is signed; then it is held, and so many bytes long at most.
    holds_bodies: bool
    max_body: int

    async def lines(self, request: Request, body: bytes) -> bytes:
        """The header lines of the signature. Raises Refusal."""


class Trace(NamedTuple):
    """A request's place in its trace: the span it was made in (0: none), ours, ours of asking upstream."""

    trace_id: int
    parent_id: int
    server_id: int
    client_id: int
    flags: int


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a client's connection, under one configuration."""

    address: str
    address_bytes: bytes
    # Whether its X-Forwarded-* are believed (listen.trusted_proxies).
    trusted: bool
    # http or https: how this peer reached us.
    proto: bytes
    table: HeaderTable
    # Replaces the client's Host towards the upstream (upstream.host_header: upstream); None keeps it.
    upstream_host: bytes | None
    # What pages of other origins may read; None: nothing is configured, and nothing is said about it.
    cors: CrossOriginLines | None = None
    # None: no spans of ours; what the client says of its trace travels on as it is.
    tracing: TraceContext | None = None
    # Where its WebSockets and event streams are found when their session ends; None: nowhere.
    streams: Streams | None = None


_NOTHING_SAID = Scanned()
_TWO_DIGITS = [b"%02x" % number for number in range(256)]


class RequestIds:
    """Request ids: a random prefix per worker and a counter; unique, short, and nothing secret in them."""

    def __init__(self) -> None:
        self._prefix = os.urandom(8).hex().encode("ascii")
        self._count = 0
        # All but the last two digits, which come 256 times before these change.
        self._block = b"%b-%06x" % (self._prefix, 0)

    def next(self) -> bytes:
        self._count = count = self._count + 1
        low = count & 0xFF
        if not low:
            self._block = b"%b-%06x" % (self._prefix, count >> 8)
        return self._block + _TWO_DIGITS[low]


class Request:
    """The facts of one request, then (from `principal` on) what became of it, for log and metrics."""

    __slots__ = (
        "answer_lines",
        "body",
        "by_cookie",
        "client",
        "credentials",
        "decision",
        "failure",
        "head",
        "http10",
        "keep_alive",
        "method",
        "original",
        "peer",
        "principal",
        "query",
        "raw_path",
        "reason",
        "request_bytes",
        "request_id",
        "response_bytes",
        "sent_at",
        "session",
        "started",
        "status",
        "trace",
        "upgrade",
        "upstream_seconds",
        "vary",
    )

    def __init__(self, peer: Peer, request_id: bytes, started: float) -> None:
        """`started` is time.monotonic()."""
        self.method = ""
        self.raw_path = ""
        self.query = ""
        self.http10 = False
        self.keep_alive = False
        # Asks to become a WebSocket.
        self.upgrade = False
        # Forward auth: what another proxy asks about, which is judged, logged and counted in place of this
        # request; neither of them is sent anywhere nor redirected. None: the request asks for itself.
        self.original: Asked | None = None
        self.body: StreamReader = EMPTY_PAYLOAD
        self.peer = peer
        self.client = peer.address
        self.started = started
        self.request_id = request_id
        # What it says; nothing before `read_head`.
        self.head: Scanned = _NOTHING_SAID
        # The values of its Authorization headers, or of the one that its session stands for.
        self.credentials: Sequence[bytes] = ()
        self.principal: Principal | None = None
        self.decision = ""
        self.reason = ""
        # What went wrong after the decision: a Refusal's reason, or client_gone.
        self.failure = ""
        # Whether `credentials` are a session's token, and not what the client wrote there.
        self.by_cookie = False
        # The ID of that session; empty: there is none.
        self.session = ""
        # Header lines for the answer, ours or the upstream's: the cookies of a session that changed.
        self.answer_lines = b""
        # The Vary line of an answer of the upstream's, where credentials were looked at.
        self.vary = b""
        self.status = 0
        self.request_bytes = 0
        self.response_bytes = 0
        # When it went to the upstream, time.monotonic(); 0: it did not.
        self.sent_at = 0.0
        self.upstream_seconds: float | None = None
        # None: nothing of it was said to the upstream.
        self.trace: Trace | None = None

    def asked(self) -> Asked:
        """Return what this request asks for itself."""
        method, path, query, upgrade = self.method, self.raw_path, self.query, self.upgrade
        # Every new token pays for this: `Asked(…)` would be a call more.
        return tuple.__new__(
            Asked, (self, method, path, query, self.head, self.credentials, upgrade, False, None)
        )

    def read_head(self, message: RawRequestMessage, body: StreamReader, before: Scanned | None) -> None:
        """Take the head apart. Raises Refusal for what no server should accept.

        `before`: what the same peer said last, under the same configuration; clients repeat themselves.
        """
        self.method = message.method
        self.body = body
        version = message.version
        self.http10 = version is not HttpVersion11 and version == HttpVersion10
        self.keep_alive = not message.should_close and not (message.upgrade and _to_websocket(message))
        if version is not HttpVersion11 and version != HttpVersion11 and not self.http10:
            raise BadRequest("HTTP version other than 1.0 and 1.1")
        raw = message.raw_headers
        scanned = before if before is not None and before.raw == raw else scan(raw, self.peer.table)
        self.head = scanned
        self.credentials = scanned.authorization
        if scanned.request_id is not None:
            self.request_id = scanned.request_id
        if scanned.client is not None:
            self.client = scanned.client
        if self.method not in _USUAL_METHODS:
            check_method(self.method)
        host = scanned.host
        if host is not None and host not in valid_hosts:
            check_host(host)
        if scanned.chunked and (self.http10 or scanned.content_length is not None):
            # RFC 9112 section 6.1: either is an attempt at request smuggling.
            raise BadRequest("Transfer-Encoding beside Content-Length or in HTTP/1.0")
        target = message.path
        if not target.startswith("/"):
            target = _origin_form(target, host)
        self.raw_path, self.query = split_target(target)
        # Other protocols are not offered to the upstream: an h2c tunnel would carry requests past all checks.
        self.upgrade = (
            message.upgrade and self.method == "GET" and (scanned.upgrade or b"").lower() == b"websocket"
        )


class Asked(NamedTuple):
    """What is judged: a client's own request, or the one that another proxy asks about (forward auth).

    `request` is the one that came: what the checks find out is noted there.
    """

    request: Request
    method: str
    raw_path: str
    query: str
    # Unverified: what the client says.
    head: Scanned
    # The values of its Authorization headers.
    credentials: Sequence[bytes]
    # Asks to become a WebSocket.
    upgrade: bool
    # Another proxy serves it.
    elsewhere: bool = False
    # What it needs where no target is named, so that no route can say so.
    need: Need | None = None

    @property
    def peer(self) -> Peer:
        return self.request.peer

    @property
    def client(self) -> str:
        """The client's address."""
        return self.request.client


def check_method(method: str) -> None:
    """Raises MethodNotAllowed for a method that is never served, by us or by another proxy.

    Methods have case (RFC 9110 section 9.1), and servers differ about it: `post` is POST to Django, and no
    method of any rule.
    """
    if method in {"CONNECT", "TRACE"}:
        # CONNECT asks for a tunnel to anywhere; TRACE would show the client what we vouch for.
        raise MethodNotAllowed(f"method {method}")
    if not _METHOD.fullmatch(method):
        raise MethodNotAllowed("the method is not a word in upper case")


def _to_websocket(message: RawRequestMessage) -> bool:
    """RFC 9110 section 7.8: a server may ignore an upgrade, and what follows is the next request. So it is
    for h2c and TLS, which Java's clients offer with every request. Stricter: behind a handshake for a
    WebSocket, the one upgrade that is passed on (and that aiohttp's parser knows), no request is read,
    whatever becomes of it.
    """
    return message.method == "CONNECT" or message.headers.get("Upgrade", "").lower() == "websocket"


def check_host(host: bytes) -> None:
    """Raises BadRequest for what is no host, with or without a port."""
    if host in valid_hosts:
        return
    found = _HOST.fullmatch(host)
    if found is None or int(found[1] or 0) > 0xFFFF:
        raise BadRequest("Host is not a host")
    # RFC 1035 section 2.3.4: no name is longer.
    if len(valid_hosts) < _REMEMBERED_HOSTS and len(host) <= 255:
        valid_hosts.add(host)


def _origin_form(target: str, host: bytes | None) -> str:
    """RFC 9112 section 3.2.2 for an absolute-form target; stricter: its authority must be the Host's."""
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise BadRequest("request target is neither in origin-form nor in absolute-form")
    authority, rest = absolute.groups()
    if host is None or authority.lower() != host.decode("latin-1").lower():
        raise BadRequest("request target and Host name different servers")
    return rest if rest.startswith("/") else "/" + rest
