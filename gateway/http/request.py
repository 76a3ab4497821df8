"""A request head, parsed and validated as HTTP; no decision has been made about it yet.

Invariant: a Request whose head was read has an origin-form target, one valid Host, one framing and a
forwardable method; anything doubtful was refused.
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
from gateway.observe.metrics import USUAL_METHODS
from gateway.policy.decide import Need
from gateway.policy.paths import split_target

if TYPE_CHECKING:
    from aiohttp.http import RawRequestMessage

    from gateway.http.answers import Answer
    from gateway.http.streams import Streams
    from gateway.tokens.principal import Principal

# RFC 3986 section 3.2.2 host and port: reg-name, IPv4 or bracketed IPv6; no userinfo. It is used in redirects
# and challenges, so nothing else is allowed. Stricter: no sub-delims, `a,b` would be two Hosts in one.
_HOST = re.compile(rb"(?:[A-Za-z0-9._~%-]*|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?")
# Hosts seen so far; one or two in practice, and bounded against clients that invent them.
valid_hosts: set[bytes] = set()
_REMEMBERED_HOSTS = 256
# RFC 9110 section 5.6.2 allows more characters and lower case. Stricter: as routes name methods.
_METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,31}", re.ASCII)
# RFC 9112 section 3.2.2: a server accepts the absolute-form too.
_ABSOLUTE = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)


class CrossOriginLines(Protocol):
    """CORS header lines for responses.

    One implementation, because http/cors.py reads requests, and these name their peer, which holds this.
    """

    def own_lines(self, request: Request, answer: Answer) -> bytes: ...

    def proxied_lines(self, request: Request, answer: Sequence[bytes]) -> bytes: ...


class TraceContext(Protocol):
    """Trace context header lines for the upstream.

    One implementation, because gate/tracer.py imports OpenTelemetry, an extra, and reads requests.
    """

    def upstream_lines(self, request: Request) -> bytes: ...


class RequestSigner(Protocol):
    """Signs requests for an upstream that requires it.

    One implementation, because serve/aws_signing.py needs AWS and sessions, which are above requests.
    """

    # Whether the body is signed, and therefore held in memory, up to `max_body` bytes.
    holds_bodies: bool
    max_body: int

    async def lines(self, request: Request, body: bytes) -> bytes:
        """Return the signature's header lines. Raises Refusal."""


class Trace(NamedTuple):
    """A request's IDs in its trace: the parent span (0: none), the server span, the client span."""

    trace_id: int
    parent_id: int
    server_id: int
    client_id: int
    flags: int


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a client connection, under one configuration."""

    address: str
    address_bytes: bytes
    # Whether its X-Forwarded-* are believed (listen.trusted_proxies).
    trusted: bool
    # http or https, as this peer reached us.
    proto: bytes
    table: HeaderTable
    # Replaces the client's Host towards the upstream (upstream.host_header); None keeps it.
    upstream_host: bytes | None
    # What pages of other origins may read; None if `cors` is not configured.
    cors: CrossOriginLines | None = None
    # None: no spans; the client's trace context is forwarded unchanged.
    tracing: TraceContext | None = None
    # The registry through which a sign-out ends its WebSockets and event streams.
    streams: Streams | None = None


_NOTHING_SAID = Scanned()
_TWO_DIGITS = [b"%02x" % number for number in range(256)]


class RequestIds:
    """Request IDs: a random prefix per worker and a counter; unique, short, and without secrets."""

    def __init__(self) -> None:
        self._prefix = os.urandom(8).hex().encode("ascii")
        self._count = 0
        # All but the last two digits: changes once in 256 IDs.
        self._block = b"%b-%06x" % (self._prefix, 0)

    def next(self) -> bytes:
        self._count = count = self._count + 1
        low = count & 0xFF
        if not low:
            self._block = b"%b-%06x" % (self._prefix, count >> 8)
        return self._block + _TWO_DIGITS[low]


class Request:
    """One request, and from `principal` on what became of it, for logs and metrics."""

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
        # The client asks for a WebSocket.
        self.upgrade = False
        # Forward auth: the request another proxy asks about, which is judged, logged and counted in place of
        # this one; neither is forwarded. None: the request stands for itself.
        self.original: Asked | None = None
        self.body: StreamReader = EMPTY_PAYLOAD
        self.peer = peer
        self.client = peer.address
        self.started = started
        self.request_id = request_id
        # Empty before `read_head`.
        self.head: Scanned = _NOTHING_SAID
        # The values of its Authorization headers, or the one its session stands for.
        self.credentials: Sequence[bytes] = ()
        self.principal: Principal | None = None
        self.decision = ""
        self.reason = ""
        # What failed after the decision: a Refusal's reason, or client_gone.
        self.failure = ""
        # Whether `credentials` come from a session and not from the client's headers.
        self.by_cookie = False
        # The ID of that session; empty if there is none.
        self.session = ""
        # Header lines for the response, ours or the upstream's: the cookies of a session that changed.
        self.answer_lines = b""
        # The Vary line for an upstream response, where credentials were looked at.
        self.vary = b""
        self.status = 0
        self.request_bytes = 0
        self.response_bytes = 0
        # When it was sent upstream, time.monotonic(); 0: not at all.
        self.sent_at = 0.0
        self.upstream_seconds: float | None = None
        # None: no trace context was sent upstream.
        self.trace: Trace | None = None

    def asked(self) -> Asked:
        """Return the value that `judge` decides about, for the request itself."""
        method, path, query, upgrade = self.method, self.raw_path, self.query, self.upgrade
        # On the path of every new token: `Asked(…)` would be one more call.
        return tuple.__new__(
            Asked, (self, method, path, query, self.head, self.credentials, upgrade, False, None, True, None)
        )

    def read_head(self, message: RawRequestMessage, body: StreamReader, before: Scanned | None) -> None:
        """Read and validate the head. Raises Refusal for what no server should accept.

        `before` is the peer's previous head under the same configuration; clients repeat themselves.
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
        if self.method not in USUAL_METHODS:
            check_method(self.method)
        host = scanned.host
        if host is not None and host not in valid_hosts:
            check_host(host)
        if scanned.chunked and (self.http10 or scanned.content_length is not None):
            # RFC 9112 section 6.1: both are attempts at request smuggling.
            raise BadRequest("Transfer-Encoding beside Content-Length or in HTTP/1.0")
        target = message.path
        if not target.startswith("/"):
            target = _origin_form(target, host)
        self.raw_path, self.query = split_target(target)
        # Only WebSockets are offered to the upstream: an h2c tunnel would carry requests past all checks.
        self.upgrade = (
            message.upgrade and self.method == "GET" and (scanned.upgrade or b"").lower() == b"websocket"
        )


class Asked(NamedTuple):
    """The request to decide about: a client's own, or the one another proxy asks about (forward auth).

    `request` is the one that arrived: the checks record their findings there.
    """

    request: Request
    method: str
    raw_path: str
    query: str
    # Unverified: as sent by the client.
    head: Scanned
    # The values of its Authorization headers.
    credentials: Sequence[bytes]
    # The client asks for a WebSocket.
    upgrade: bool
    # Another proxy serves the request.
    elsewhere: bool = False
    # The requirement where no target is named, so that no route applies.
    need: Need | None = None
    # A person who is not signed in is redirected to sign in, and then to this request.
    redirects: bool = False
    # Where another proxy serves it: the host that its client asked for; None if the proxy did not say.
    host: bytes | None = None

    @property
    def peer(self) -> Peer:
        return self.request.peer

    @property
    def client(self) -> str:
        """The client's address."""
        return self.request.client


def check_method(method: str) -> None:
    """Raise MethodNotAllowed for a method that is never served, by us or by another proxy.

    Methods are case-sensitive (RFC 9110 section 9.1), but not to every server: `post` is POST to Django, and
    matches no route.
    """
    if method in USUAL_METHODS:
        return
    if method in {"CONNECT", "TRACE"}:
        # CONNECT asks for a tunnel to anywhere; TRACE would echo what the gateway injected.
        raise MethodNotAllowed(f"method {method}")
    if not _METHOD.fullmatch(method):
        raise MethodNotAllowed("the method is not a word in upper case")


def _to_websocket(message: RawRequestMessage) -> bool:
    """Return whether what follows this request is no HTTP.

    RFC 9110 section 7.8: a server may ignore an upgrade, and another request follows, as after the h2c and
    TLS upgrades that Java's clients offer with every request. Stricter: after a WebSocket handshake, the one
    upgrade that is forwarded (and that aiohttp's parser knows), no request is read, whether it succeeds or
    not.
    """
    return message.method == "CONNECT" or message.headers.get("Upgrade", "").lower() == "websocket"


def check_host(host: bytes) -> None:
    """Raise BadRequest unless this is a host, with or without a port."""
    if host in valid_hosts:
        return
    found = _HOST.fullmatch(host)
    if found is None or int(found[1] or 0) > 0xFFFF:
        raise BadRequest("Host is not a valid host")
    # RFC 1035 section 2.3.4: no name is longer than 255.
    if len(valid_hosts) < _REMEMBERED_HOSTS and len(host) <= 255:
        valid_hosts.add(host)


def _origin_form(target: str, host: bytes | None) -> str:
    """Return the origin-form of an absolute-form target (RFC 9112 section 3.2.2).

    Stricter: its authority must equal the Host.
    """
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise BadRequest("request target is neither in origin-form nor in absolute-form")
    authority, rest = absolute.groups()
    if host is None or authority.lower() != host.decode("latin-1").lower():
        raise BadRequest("request target and Host name different servers")
    return rest if rest.startswith("/") else "/" + rest
