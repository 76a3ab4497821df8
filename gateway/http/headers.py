"""Request headers: which are passed on and which are stripped, then what is injected. All pure.

Each header name is classified once and remembered. Names are compared case-folded, with every character
other than a letter or digit folded to `-`, because servers behind us fold the same way (CGI and WSGI turn
`X_Auth_Request_User` and `X-Auth-Request-User` into one variable; lighttpd `X+Auth+Request+User` as well).
The names servers trust are listed once, in config/trusted_names.py.

Invariant: no client spelling of an identity header, and no untrusted header of that list, is ever part of
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
    """What a header means to the gateway. KEEP is 0, so that the most common check is a truth test."""

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
    # Dropped, and spelled so that servers disagree about which name it is.
    ODD = 16
    # Names the request that another proxy asks about (gate/forward_auth.py); passed on as well.
    NAMING = 17


# The most common ones as globals: a lookup in the enum costs more than the comparison.
_AUTHORIZATION, _HOST, _DROP = HeaderKind.AUTHORIZATION, HeaderKind.HOST, HeaderKind.DROP
_NAMING = HeaderKind.NAMING

# Hop-by-hop: RFC 9110 section 7.6.1, section 11.7 (Proxy-Auth*), RFC 9112 appendix C.2.2 (Proxy-Connection).
# Transfer-Encoding, Connection and Upgrade have separate kinds.
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
# Written by us where tracing is on; otherwise headers like any other.
_TRACE: dict[bytes, HeaderKind] = {
    b"traceparent": HeaderKind.TRACEPARENT,
    b"tracestate": HeaderKind.TRACESTATE,
}
# Forward auth: (target, method). X-Original-URI is the spelling in nginx's own documentation; ignoring it
# would judge an unnamed request in place of one to a route for admins.
NAMING_PAIRS = (
    (b"x-original-url", b"x-original-method"),
    (b"x-original-uri", b"x-original-method"),
    (b"x-forwarded-uri", b"x-forwarded-method"),
)
NAMING_NAMES = frozenset(name for pair in NAMING_PAIRS for name in pair)
# AWS reads signatures and commands to its services from these, as the word of the request's signer, so only
# the gateway writes them. API Gateway and Lambda read X-Amzn-* as well.
_AWS_PREFIXES = (b"x-amz-", b"x-amzn-")

# Default identity headers of this gateway and of oauth2-proxy: no client may write them, whatever is
# configured.
_IDENTITY_PREFIXES = (b"x-auth-request-", b"x-gateway-jwt-assertion")

# Clients name two or three; a longer list is meant to cost time.
_MOST_NAMED = 64
# No client program sends that many names: the limit keeps invented ones from filling the memory.
_REMEMBERED_NAMES = 1024
_REMEMBERED_LENGTH = 64

_FOLDED = bytes(ord(chr(byte).lower()) if chr(byte).isalnum() and byte < 128 else 0x2D for byte in range(256))
# The ID is forwarded and logged, so it must not be a token: no `{"` in base64url, no three JWT-sized parts.
_SANE_REQUEST_ID = re.compile(
    rb"(?!eyJ)(?![A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\Z)[A-Za-z0-9._-]{1,64}"
)
_BEARER = re.compile(rb"(?i)(?:\A|[\s,;])bearer(?:[\s,;]|\Z)")


def fold(name: bytes) -> bytes:
    """Return the name as the most lenient server behind us reads it."""
    return name.translate(_FOLDED)


DEFAULT_RULES = RequestHeaders(underscores="drop", passed=())


class HeaderTable:
    """Header name → HeaderKind, for trusted peers or others; filled as names are seen.

    `rules`: headers the configuration lets pass; `traced`: the gateway writes the trace headers; `signed`: it
    signs requests for AWS; `cookies`: which ones are the gateway's; `proxies`: the trusted ones.
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
        # A name passes as written in the configuration, and in its plain spelling.
        passed = {name.lower() for name in rules.passed} | {folded_text(name) for name in rules.passed}
        self._passed = frozenset(name.encode("ascii") for name in passed)
        self._traced = traced
        self._signed = signed
        self._kinds: dict[bytes, HeaderKind] = {}

    def kind(self, name: bytes) -> HeaderKind:
        known = self._kinds.get(name)
        if known is None:
            known = self._classify(name)
            if known is HeaderKind.KEEP and name.lower() in NAMING_NAMES:
                known = HeaderKind.NAMING
            if len(self._kinds) < _REMEMBERED_NAMES and len(name) <= _REMEMBERED_LENGTH:
                self._kinds[name] = known
        return known

    @property
    def remembered(self) -> dict[bytes, HeaderKind]:
        """The names classified so far, not all of them: `kind` knows the others. `scan` looks here first."""
        return self._kinds

    def removes(self, name: bytes) -> bool:
        """Return whether another proxy that serves the request has to remove it.

        Hop-by-hop headers it removes itself.
        """
        return self.kind(name) in {HeaderKind.DROP, HeaderKind.ODD} and name.lower() not in _HOP_BY_HOP

    def is_identity(self, name: bytes) -> bool:
        """Return whether a server behind us may take it for an identity header."""
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
            # `X_Request_Id`, `Content_Length`, …: a second spelling of a header that we write or depend on.
            return dropped
        if lower in self._passed:
            return HeaderKind.KEEP
        group = group_of(folded.decode("ascii"))
        if group is not None:
            # Only the plain spelling is believed, and only from a trusted proxy.
            believed = group.from_trusted and self._trusted and folded == lower
            return _FORWARDED.get(lower, HeaderKind.KEEP) if believed else dropped
        return HeaderKind.KEEP if folded == lower or self._odd_pass else HeaderKind.ODD


class Scanned:
    """A request head after one pass: the lines that may be forwarded, and the values the gateway uses.

    Shared by repeated identical requests of a client (`Request.read_head`), so it is not changed afterwards.
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
        "naming",
        "odd_name",
        "own_cookies",
        "raw",
        "request_id",
        "traceparent",
        "tracestate",
        "upgrade",
    )

    def __init__(self, raw: RawHeaders = ()) -> None:
        # As the client sent them.
        self.raw = raw
        self.kept: list[bytes] = []
        self.authorization: list[bytes] = []
        # The credentials last hashed for this head, and their hash, which is as sensitive as they are.
        self.hashed: tuple[bytes, bytes | None] = (b"", None)
        # The arguments of the last `upstream_head`, and the resulting lines.
        self.laid_out: tuple[object, bytes] = (None, b"")
        # The number of cookies, the gateway's and others.
        self.cookies = 0
        # `name=value` of each of the gateway's cookies.
        self.own_cookies: list[bytes] = []
        self.host: bytes | None = None
        self.request_id: bytes | None = None
        self.content_length: bytes | None = None
        # A name was dropped that some servers read as another one.
        self.odd_name = False
        self.chunked = False
        self.expects_continue = False
        self.connection: bytes | None = None
        self.upgrade: bytes | None = None
        # The client behind trusted proxies, and the addresses to pass on.
        self.client: str | None = None
        self.forwarded_for: bytes | None = None
        self.forwarded_proto: bytes | None = None
        self.forwarded_host: bytes | None = None
        # X-Forwarded-Host was a list, or occurred several times.
        self.many_hosts = False
        # (name in lower case, value) of what names another request, also where Connection drops the line.
        self.naming: tuple[tuple[bytes, bytes], ...] = ()
        self.traceparent: bytes | None = None
        # Whole lines: a list may be spread over several (W3C Trace Context section 3.3.1).
        self.tracestate = b""


def scan(headers: RawHeaders, table: HeaderTable) -> Scanned:
    """Sort a request's headers in one pass. Raises BadRequest if the head contradicts itself."""
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
        elif kind is _NAMING:
            kept.append(b"%b: %b\r\n" % (name, value))
            scanned.naming += ((name.lower(), value),)
        elif kind is not _DROP:
            _scan_special(scanned, kind, value, table)
    if scanned.connection is not None:
        _drop_named_in_connection(scanned)
    if scanned.forwarded_for is not None:
        scanned.client, scanned.forwarded_for = table.proxies.chain(scanned.forwarded_for)
    return scanned


def _scan_special(  # noqa: PLR0912 - one branch per kind
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
        # RFC 9110 section 8.6: digits only; the parser checks this too. Stricter: below 10**19, to fit 64
        # bits everywhere.
        if not value.isdigit() or len(value) > 19 or scanned.content_length is not None:
            raise BadRequest("Content-Length is not one run of digits")
        scanned.content_length = value
    elif kind is HeaderKind.TRANSFER_ENCODING:
        # RFC 9112 section 6.1: chunked last. Stricter: only chunked, since the gateway reframes the body.
        if value.lower() != b"chunked" or scanned.chunked:
            raise BadRequest("Transfer-Encoding is not `chunked`")
        scanned.chunked = True
    elif kind is HeaderKind.REQUEST_ID:
        if _SANE_REQUEST_ID.fullmatch(value):
            scanned.request_id = value
    elif kind is HeaderKind.EXPECT:
        # RFC 9110 section 10.1.1: 100-continue is the only expectation defined.
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
        # W3C Trace Context section 3.2: several traceparents count as none.
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
    """Drop the headers named in Connection (RFC 9110 section 7.6.1).

    This happens before anything is injected, so that `Connection: X-Auth-Request-User` cannot delete ours
    (Traefik CVE-2024-45410). Host and the framing headers cannot be removed this way.
    """
    if (scanned.connection or b"").count(b",") > _MOST_NAMED:
        raise BadRequest(f"Connection names more than {_MOST_NAMED} headers")
    named = {token.strip().lower() for token in (scanned.connection or b"").split(b",")}
    named -= {b"close", b"keep-alive", b"upgrade", b"host", b""}
    if named:
        scanned.kept = [line for line in scanned.kept if line.partition(b":")[0].lower() not in named]


def value_of(scanned: Scanned, name: bytes) -> bytes | None:
    """Return the value of a forwarded header by its lower-case name; None if it is absent or occurs twice."""
    found = [line for line in scanned.kept if line.partition(b":")[0].lower() == name]
    return found[0].partition(b":")[2].strip() if len(found) == 1 else None


def bearer_free(authorization: Iterable[bytes]) -> list[bytes]:
    """Return the Authorization values that contain no bearer token, not even behind another scheme's."""
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
    """Return the request head for the upstream: what may be forwarded, then what the gateway vouches for.

    `host`, if given, replaces the client's Host; `client` is the peer's address and `proto` http or https:
    all three are the same for every request of a peer. `expects_continue` asks for a 100, for a client that
    still waits for one; `upgrade` offers a WebSocket.
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
            # RFC 9110 section 7.8: hop-by-hop, so repeated for the next hop.
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
        # RFC 9112 section 3.2: an HTTP/1.1 request needs a Host; an HTTP/1.0 client may omit it.
        kept = [b"Host: %b\r\n" % (host or b""), *kept]
    lines = [*kept, identity]
    lines += [b"Authorization: %b\r\n" % value for value in authorization]
    if scanned.chunked:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    elif scanned.content_length is not None:
        lines.append(b"Content-Length: %b\r\n" % scanned.content_length)
    return b"".join(lines)
