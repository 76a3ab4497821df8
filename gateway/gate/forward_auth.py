"""Forward auth: another proxy asks whether its client's request may pass, and serves it itself. All pure.

nginx (`auth_request`) names that request in X-Original-URL and X-Original-Method, Traefik and Caddy in
X-Forwarded-Uri and X-Forwarded-Method, Envoy (`ext_authz` over HTTP) appends its path to ours and keeps its
method. Only for peers in `listen.trusted_proxies`; the caller sees to that.

Invariant: the request that is judged is the one request that everything in the head names; a head that names
two, or half of one, is refused, so that a client's own copy of such a header can only shut the client out.
"""

from __future__ import annotations

import re
from copy import copy
from typing import NamedTuple

from gateway.errors import AmbiguousPath, BadRequest, MethodNotAllowed, OriginalRequestUnclear, Refusal
from gateway.gate.verdict import Verdict
from gateway.http.answers import Answer
from gateway.http.headers import HeaderKind
from gateway.http.request import Asked, Request, check_host, check_method
from gateway.policy.paths import split_target

# (target, method). X-Original-URI is how nginx's own documentation spells it; not to know it would be to
# judge "some request" where a route for admins was meant.
_PAIRS = (
    (b"x-original-url", b"x-original-method"),
    (b"x-original-uri", b"x-original-method"),
    (b"x-forwarded-uri", b"x-forwarded-method"),
)
_NAMES = frozenset(name for pair in _PAIRS for name in pair)
# RFC 3986 sections 3.1, 3.2: a scheme, an authority without userinfo, and a path that begins with a slash.
# nginx lets a Host with `?` or `#` through, and `$scheme://$http_host$request_uri` is then another path.
_ABSOLUTE = re.compile(r"(?i)(https?)://([a-z0-9._~-]+(?::[0-9]{0,5})?|\[[0-9a-f:.]+\](?::[0-9]{0,5})?)(/.*)")
# What passed once passes as long as its token lasts, and nobody but us knows how long that is.
_UNCACHED = (b"Cache-Control", b"no-store")


class Original(NamedTuple):
    """How the request that is asked about was named; `host` and `proto` where its URL was named whole."""

    method: str
    raw_path: str
    query: str
    host: bytes | None = None
    proto: bytes | None = None

    @property
    def target(self) -> tuple[str, str, str]:
        return self.method, self.raw_path, self.query


def asks(raw_path: str, endpoint: str) -> bool:
    """Whether a request for this path may be one of a proxy that asks: `endpoint`, or something behind it."""
    return raw_path.startswith(endpoint) and raw_path[len(endpoint) : len(endpoint) + 1] in {"", "/"}


def original(request: Request, endpoint: str) -> Original | None:
    """The request that a trusted peer asks about; None when it names none. Raises OriginalRequestUnclear,
    AmbiguousPath."""
    _refuse_head(request)
    headers = _naming_headers(request)
    named = [_named(headers[target], headers.get(method)) for target, method in _PAIRS if target in headers]
    behind = request.raw_path[len(endpoint) :]
    if behind:
        named.append(_original(request.method, behind + request.query))
    if not named:
        if headers:
            raise OriginalRequestUnclear("the method of a request is named without its URL")
        return None
    if len(named) > 1 and len({each.target for each in named}) > 1:
        raise OriginalRequestUnclear("the headers, or headers and path, name different requests")
    return named[0]


def about(request: Request, named: Original) -> Asked:
    """Return the request that was named, with the headers of the one that asks: they are its client's."""
    head = request.head
    if named.host is not None:
        head = copy(head)
        head.forwarded_host, head.forwarded_proto = named.host, named.proto
    return Asked(
        request, named.method, named.raw_path, named.query, head, request.credentials, request.upgrade, True
    )


def allowed(request: Request, verdict: Verdict) -> Answer:
    """200: the request may pass, with the identity headers that its proxy is to send on.

    A preflight that the gateway would have answered passes as well, for its proxy takes no answer with a 2xx
    from us: with the headers of that answer, and nobody's identity.
    """
    if isinstance(verdict, Answer):
        return Answer(200, headers=[_UNCACHED, *verdict.headers])
    request.answer_lines += verdict.identity
    return Answer(200, headers=[_UNCACHED, (b"X-Request-Id", request.request_id)])


def status_for_proxy(refusal: Refusal) -> int:
    """nginx knows 401 and 403, and makes a 500 of all else: what the client got wrong is one of the two.

    503 stays (and 429, 500): nobody is to take a gateway that cannot decide for one that says no.
    """
    if refusal.status >= 429 or refusal.status in {401, 403}:
        return refusal.status
    return 401 if refusal.challenge else 403


def _refuse_head(request: Request) -> None:
    """What the gateway would not let through, or not send on, when it serves the request itself.

    Its proxy forwards the head that it has, so refusing is all that is left. Raises OriginalRequestUnclear.
    """
    head = request.head
    if head.odd_name:
        name = next(name for name, _ in head.raw if request.peer.table.kind(name) is HeaderKind.ODD)
        told = name[:64].decode("latin-1")
        raise OriginalRequestUnclear(
            f"servers differ about the header name {told}: letters, digits and - alone"
        )
    if head.forwarded_host is not None:
        if head.many_hosts:
            raise OriginalRequestUnclear("X-Forwarded-Host names more than one host")
        try:
            check_host(head.forwarded_host)
        except BadRequest as refused:
            raise OriginalRequestUnclear(f"X-Forwarded-Host: {refused}") from None


def _naming_headers(request: Request) -> dict[bytes, str]:
    """Those headers of the head that name a request, each at most once."""
    found: dict[bytes, str] = {}
    for line in request.head.kept:
        if line[:2] not in {b"X-", b"x-"}:
            continue
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in _NAMES:
            if name in found:
                raise OriginalRequestUnclear(f"{name.decode('ascii')} is there twice")
            found[name] = value.strip().decode("latin-1")
    for token in (request.head.connection or b"").lower().split(b","):
        # A client's `Connection: X-Original-URL` that its proxy passed on (Traefik CVE-2024-45410): dropped
        # as a hop-by-hop header must be, it would leave no request named.
        if token.strip() in _NAMES:
            raise OriginalRequestUnclear("Connection names a header that names the request")
    return found


def _named(target: str, method: str | None) -> Original:
    if method is None:
        # Never guessed: nginx's own request is a GET whatever its client's was.
        raise OriginalRequestUnclear("the URL of a request is named without its method")
    absolute = None if target.startswith("/") else _ABSOLUTE.fullmatch(target)
    if absolute is None:
        return _original(method, target)
    proto, host, rest = absolute.groups()
    return _original(method, rest, host=host.encode("ascii"), proto=proto.lower().encode("ascii"))


def _original(method: str, target: str, host: bytes | None = None, proto: bytes | None = None) -> Original:
    try:
        check_method(method)
    except MethodNotAllowed as refused:
        raise OriginalRequestUnclear(f"original request: {refused}") from None
    try:
        raw_path, query = split_target(target)
    except BadRequest as unclear:
        raise AmbiguousPath(f"original request: {unclear}") from None
    return Original(method, raw_path, query, host, proto)
