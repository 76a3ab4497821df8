"""What travels on from a request head, and what never does: strip, then inject. All pure.

Every header name is classified once (and remembered); a name is compared with its case folded, and every sign
that is neither letter nor digit folded to `-`, because servers behind us fold the same way (CGI and WSGI turn
`X_Auth_Request_User` and `X-Auth-Request-User` into one variable; lighttpd `X+Auth+Request+User` as well).
What servers believe is one list, config/trusted_names.py.

Invariant: no client's spelling of an identity header, and no untrusted header of that list, is ever part of
`Scanned.kept`. What the upstream trusts is added after the strip, by `upstream_head` alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import IntEnum

from gateway.config.model import RequestHeaders
from gateway.config.trusted_names import folded as folded_text
from gateway.config.trusted_names import group_of
from gateway.errors import BadRequest
from gateway.http.forwarded import TrustedProxies, scheme
from gateway.http.own_cookies import OwnCookies

RawHeaders = Sequence[tuple[bytes, bytes]]


class HeaderKind(IntEnum):
    """What a header is to us. KEEP is 0, so that the commonest test is a truth test."""

    KEEP = 0
    DROP = 1
    AUTHORIZATION = 2
    HOST = 3
    CONTENT_LENGTH = 4
    TRANSFER_ENCODING = 5
    CONNECTION = 6
    COOKIE = 7
    REQUEST_ID = 8
    FORWARDED_FOR = 9
    FORWARDED_PROTO = 10
    FORWARDED_HOST = 11
    EXPECT = 12
    UPGRADE = 13
    TRACEPARENT = 14
    TRACESTATE = 15
    # Dropped, and spelled so that servers differ about which name it is.
    ODD = 16


# The commonest, by name: to look a member up in its class costs more than to compare it.
_AUTHORIZATION, _HOST, _DROP = HeaderKind.AUTHORIZATION, HeaderKind.HOST, HeaderKind.DROP

# These end at each hop: RFC 9110 section 7.6.1, section 11.7 (Proxy-Auth*), RFC 9112 appendix C.2.2
# (Proxy-Connection). Transfer-Encoding, Connection and Upgrade have kinds of their own.
_HOP_BY_HOP = frozenset(
    {b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te", b"trailer"}
)
_SPECIAL: dict[bytes, HeaderKind] = {
    b"authorization": HeaderKind.AUTHORIZATION,
    b"host": HeaderKind.HOST,
    b"content-length": HeaderKind.CONTENT_LENGTH,
    b"transfer-encoding": HeaderKind.TRANSFER_ENCODING,
    b"connection": HeaderKind.CONNECTION,
    b"cookie": HeaderKind.COOKIE,
    b"x-request-id": HeaderKind.REQUEST_ID,
    b"expect": HeaderKind.EXPECT,
    b"upgrade": HeaderKind.UPGRADE,
}
_FORWARDED: dict[bytes, HeaderKind] = {
    b"x-forwarded-for": HeaderKind.FORWARDED_FOR,
    b"x-forwarded-proto": HeaderKind.FORWARDED_PROTO,
    b"x-forwarded-host": HeaderKind.FORWARDED_HOST,
}
# Ours to write where we have spans of our own; else headers as any other.
_TRACE: dict[bytes, HeaderKind] = {
    b"traceparent": HeaderKind.TRACEPARENT,
    b"tracestate": HeaderKind.TRACESTATE,
}
# What AWS reads a signature, and orders to a service, from: ours alone to write, since AWS takes every one of
# them for the word of whose signature stands beside it. API Gateway and Lambda read X-Amzn-* as well.
_AWS_PREFIXES = (b"x-amz-", b"x-amzn-")

# Whatever the configured names are, nobody gets to write what upstreams of oauth2-proxy and of us trust.
_IDENTITY_PREFIXES = (b"x-auth-request-", b"x-gateway-jwt-assertion")

# Clients name two or three; what is more is made to be parted.
_MOST_NAMED = 64
# No server sends that many names: the cap keeps a client from filling the memory with names it invents.
_REMEMBERED_NAMES = 1024
_REMEMBERED_LENGTH = 64

_FOLDED = bytes(ord(chr(byte).lower()) if chr(byte).isalnum() and byte < 128 else 0x2D for byte in range(256))
# It is sent on and logged, so no token: neither `{"` in base64url, nor three parts as long as a JWT's.
_SANE_REQUEST_ID = re.compile(
    rb"(?!eyJ)(?![A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\Z)[A-Za-z0-9._-]{1,64}"
)
_BEARER = re.compile(rb"(?i)(?:\A|[\s,;])bearer(?:[\s,;]|\Z)")


def fold(name: bytes) -> bytes:
    """The name as the laxest server behind us reads it."""
    return name.translate(_FOLDED)


DEFAULT_RULES = RequestHeaders(underscores="drop", passed=())


class HeaderTable:
    """Header name → Kind, for clients that are believed (`trusted`) or not; filled as names are seen.

    `rules`: what the configuration lets pass; `traced`: we say to the upstream which trace a request belongs
    to; `signed`: we sign for AWS; `cookies`: which ones are ours; `proxies`: who else is believed.
    """

    def __init__(
        self,
        identity_names: Iterable[str],
        *,
        trusted: bool,
        rules: RequestHeaders = DEFAULT_RULES,
        traced: bool = False,
        signed: bool = False,
        cookies: OwnCookies | None = None,
        proxies: TrustedProxies | None = None,
    ) -> None:
        self.cookies = cookies or OwnCookies()
        self.proxies = proxies or TrustedProxies()
        self._identity = frozenset(fold(name.encode("ascii")) for name in identity_names)
        self._trusted = trusted
        self._odd_pass = rules.underscores == "pass"
        # A name passes as it is written in the configuration, and in its plain spelling.
        passed = {name.lower() for name in rules.passed} | {folded_text(name) for name in rules.passed}
        self._passed = frozenset(name.encode("ascii") for name in passed)
        self._traced = traced
        self._signed = signed
        self._kinds: dict[bytes, HeaderKind] = {}

    def kind(self, name: bytes) -> HeaderKind:
        known = self._kinds.get(name)
        if known is None:
            known = self._classify(name)
            if len(self._kinds) < _REMEMBERED_NAMES and len(name) <= _REMEMBERED_LENGTH:
                self._kinds[name] = known
        return known

    @property
    def remembered(self) -> dict[bytes, HeaderKind]:
        """The names classified so far; the scan looks here first."""
        return self._kinds

    def removes(self, name: bytes) -> bool:
        """Whether another proxy that serves the request is to remove it; what ends at each hop is its own."""
        return self.kind(name) in {HeaderKind.DROP, HeaderKind.ODD} and name.lower() not in _HOP_BY_HOP

    def is_identity(self, name: bytes) -> bool:
        """Whether somebody behind us may take it for an identity header."""
        folded = fold(name)
        return folded in self._identity or folded.startswith(_IDENTITY_PREFIXES)

    def _classify(self, name: bytes) -> HeaderKind:
        lower, folded = name.lower(), fold(name)
        dropped = HeaderKind.DROP if folded == lower else HeaderKind.ODD
        if self.is_identity(name):
            return dropped
        if lower in _HOP_BY_HOP or (self._signed and folded.startswith(_AWS_PREFIXES)):
            return dropped
        if lower in _SPECIAL:
            return _SPECIAL[lower]
        if self._traced and lower in _TRACE:
            return _TRACE[lower]
        if folded in _SPECIAL:
            # `X_Request_Id`, `Content_Length`, …: a second spelling of a header we write or depend on.
            return dropped
        if lower in self._passed:
            return HeaderKind.KEEP
        group = group_of(folded.decode("ascii"))
        if group is not None:
            # Only a trusted proxy's own, plain spelling is believed; a folded one never is.
            believed = group.from_trusted and self._trusted and folded == lower
            return _FORWARDED.get(lower, HeaderKind.KEEP) if believed else dropped
        return HeaderKind.KEEP if folded == lower or self._odd_pass else HeaderKind.ODD


class Scanned:
    """A request head after one pass: the lines that may travel on, and what means something to us.

    A client that says the same again gets the same one (`Request.read_head`), so it stays as it was made.
    """

    __slots__ = (
        "authorization",
        "chunked",
        "client",
        "connection",
        "content_length",
        "cookies",
        "expects_continue",
        "forwarded_for",
        "forwarded_host",
        "forwarded_proto",
        "hashed",
        "host",
        "kept",
        "laid_out",
        "many_hosts",
        "odd_name",
        "own_cookies",
        "raw",
        "request_id",
        "traceparent",
        "tracestate",
        "upgrade",
    )

    def __init__(self, raw: RawHeaders = ()) -> None:
        # As the client wrote them.
        self.raw = raw
        self.kept: list[bytes] = []
        self.authorization: list[bytes] = []
        # Credentials that were hashed for this head, and their hash, which is worth as much as a request.
        self.hashed: tuple[bytes, bytes | None] = (b"", None)
        # What was asked of `upstream_head` last, and the lines that came of it.
        self.laid_out: tuple[object, bytes] = (None, b"")
        # How many cookies there are, of ours and of others.
        self.cookies = 0
        # `name=value` of each cookie that is ours.
        self.own_cookies: list[bytes] = []
        self.host: bytes | None = None
        self.request_id: bytes | None = None
        self.content_length: bytes | None = None
        # A name was dropped that servers read as another one.
        self.odd_name = False
        self.chunked = False
        self.expects_continue = False
        self.connection: bytes | None = None
        self.upgrade: bytes | None = None
        # The client behind trusted proxies, and the addresses that may be sent on.
        self.client: str | None = None
        self.forwarded_for: bytes | None = None
        self.forwarded_proto: bytes | None = None
        self.forwarded_host: bytes | None = None
        # Whether X-Forwarded-Host was a list, or there several times.
        self.many_hosts = False
        self.traceparent: bytes | None = None
        # Whole lines: a list may be spread over several (W3C Trace Context section 3.3.1).
        self.tracestate = b""


def scan(headers: RawHeaders, table: HeaderTable) -> Scanned:
    """One pass over a request's headers. Raises BadRequest where the head contradicts itself."""
    scanned = Scanned(headers)
    kept = scanned.kept
    kinds = table.remembered
    for name, value in headers:
        kind = kinds.get(name)
        if kind is None:
            kind = table.kind(name)
        if not kind:
            kept.append(b"%b: %b\r\n" % (name, value))
        elif kind is _AUTHORIZATION:
            scanned.authorization.append(value)
        elif kind is _HOST:
            scanned.host = value
            kept.append(b"Host: %b\r\n" % value)
        elif kind is not _DROP:
            _scan_special(scanned, kind, value, table)
    if scanned.connection is not None:
        _drop_named_in_connection(scanned)
    if scanned.forwarded_for is not None:
        scanned.client, scanned.forwarded_for = table.proxies.chain(scanned.forwarded_for)
    return scanned


def _scan_special(  # noqa: PLR0912 - one branch a kind
    scanned: Scanned, kind: HeaderKind, value: bytes, table: HeaderTable
) -> None:
    if kind is HeaderKind.COOKIE:
        remaining, own = table.cookies.part(value, scanned.cookies)
        scanned.cookies += value.count(b";") + 1
        scanned.own_cookies += own
        if remaining:
            scanned.kept.append(b"Cookie: %b\r\n" % remaining)
    elif kind is HeaderKind.CONNECTION:
        scanned.connection = value if scanned.connection is None else scanned.connection + b"," + value
    elif kind is HeaderKind.CONTENT_LENGTH:
        # RFC 9110 section 8.6: digits only; the parser refused the rest, this is the second lock.
        # Stricter: below 10**19, so that it fits 64 bits everywhere.
        if not value.isdigit() or len(value) > 19 or scanned.content_length is not None:
            raise BadRequest("Content-Length is not one run of digits")
        scanned.content_length = value
    elif kind is HeaderKind.TRANSFER_ENCODING:
        # RFC 9112 section 6.1: chunked last. Stricter: chunked alone, since we undo and redo the framing.
        if value.lower() != b"chunked" or scanned.chunked:
            raise BadRequest("Transfer-Encoding is not `chunked`")
        scanned.chunked = True
    elif kind is HeaderKind.REQUEST_ID:
        if _SANE_REQUEST_ID.fullmatch(value):
            scanned.request_id = value
    elif kind is HeaderKind.EXPECT:
        # RFC 9110 section 10.1.1: 100-continue is the only expectation there is.
        scanned.expects_continue = value.lower() == b"100-continue"
    elif kind is HeaderKind.ODD:
        scanned.odd_name = True
    elif kind is HeaderKind.UPGRADE:
        scanned.upgrade = value
    elif kind is HeaderKind.FORWARDED_FOR:
        before = scanned.forwarded_for
        scanned.forwarded_for = value if before is None else before + b", " + value
    elif kind is HeaderKind.FORWARDED_PROTO:
        scanned.forwarded_proto = scanned.forwarded_proto or scheme(value)
    elif kind is HeaderKind.TRACEPARENT:
        # W3C Trace Context section 3.2: one of them, or none that can be used.
        scanned.traceparent = value if scanned.traceparent is None else b""
    elif kind is HeaderKind.TRACESTATE:
        scanned.tracestate += b"tracestate: %b\r\n" % value
    elif scanned.forwarded_host is None and b"," not in value:
        scanned.forwarded_host = value
    else:
        # The first is what the proxy nearest to the client saw.
        scanned.many_hosts = True
        scanned.forwarded_host = scanned.forwarded_host or value.partition(b",")[0].strip()


def _drop_named_in_connection(scanned: Scanned) -> None:
    """RFC 9110 section 7.6.1: a header named in Connection ends here too.

    Done before anything is injected, so that `Connection: X-Auth-Request-User` cannot delete ours
    (Traefik CVE-2024-45410). Host and the framing are ours to write and cannot be named away.
    """
    if (scanned.connection or b"").count(b",") > _MOST_NAMED:
        raise BadRequest(f"Connection names more than {_MOST_NAMED} headers")
    named = {token.strip().lower() for token in (scanned.connection or b"").split(b",")}
    named -= {b"close", b"keep-alive", b"upgrade", b"host", b""}
    if named:
        scanned.kept = [line for line in scanned.kept if line.partition(b":")[0].lower() not in named]


def value_of(scanned: Scanned, name: bytes) -> bytes | None:
    """A header that travels on, by its name in lower case; None where it is not there, or there twice."""
    found = [line for line in scanned.kept if line.partition(b":")[0].lower() == name]
    return found[0].partition(b":")[2].strip() if len(found) == 1 else None


def bearer_free(authorization: Iterable[bytes]) -> list[bytes]:
    """The Authorization values that hold no bearer token, alone or behind another scheme's credentials."""
    return [value for value in authorization if not _BEARER.search(value)]


def upstream_head(
    scanned: Scanned,
    *,
    request_line: bytes,
    identity: bytes,
    authorization: Sequence[bytes],
    request_id: bytes,
    client: bytes,
    proto: bytes,
    host: bytes | None,
    expects_continue: bool,
    upgrade: bool,
) -> bytes:
    """The request head for the upstream: what may travel on, then what we vouch for.

    `host` replaces the client's Host where given; `client` is the peer's address, `proto` http or https, all
    three the same for every request of the peer; `expects_continue`: whether to ask for a 100, for a client
    that still waits for it; `upgrade`: whether it may turn WebSocket.
    """
    asked = identity, authorization, expects_continue, upgrade
    before, lines = scanned.laid_out
    if before != asked:
        lines = _lay_out(scanned, identity, authorization, host)
        lines += b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\n" % (
            client if scanned.forwarded_for is None else scanned.forwarded_for + b", " + client,
            scanned.forwarded_proto or proto,
            scanned.forwarded_host or scanned.host or b"",
        )
        if upgrade:
            # RFC 9110 section 7.8: hop-by-hop, so said anew to the next hop.
            lines += b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        if expects_continue:
            lines += b"Expect: 100-continue\r\n"
        scanned.laid_out = asked, lines
    return b"%b%bX-Request-Id: %b\r\n\r\n" % (request_line, lines, request_id)


def _lay_out(scanned: Scanned, identity: bytes, authorization: Iterable[bytes], host: bytes | None) -> bytes:
    kept = scanned.kept
    if host is not None and scanned.host is not None:
        kept = [b"Host: %b\r\n" % host if line.startswith(b"Host:") else line for line in kept]
    elif scanned.host is None:
        # RFC 9112 section 3.2: an HTTP/1.1 request has a Host; an HTTP/1.0 client may have sent none.
        kept = [b"Host: %b\r\n" % (host or b""), *kept]
    lines = [*kept, identity]
    lines += [b"Authorization: %b\r\n" % value for value in authorization]
    if scanned.chunked:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    elif scanned.content_length is not None:
        lines.append(b"Content-Length: %b\r\n" % scanned.content_length)
    return b"".join(lines)
