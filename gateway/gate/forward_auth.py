"""Forward auth: another proxy asks whether its client's request may pass, and serves it itself. Pure.

nginx (`auth_request`) names that request in X-Original-URL and X-Original-Method, Traefik and Caddy in
X-Forwarded-Uri and X-Forwarded-Method; Envoy (`ext_authz` over HTTP) appends its path to ours and keeps its
method. Only for peers in `listen.trusted_proxies`, which the caller checks.

Invariant: the request that is judged is the one that everything in the head names; a head that names two, or
half of one, is refused, so that a client's own copy of such a header can only deny the client access.
"""

from __future__ import annotations

import re
from copy import copy
from functools import lru_cache
from typing import NamedTuple

from gateway.errors import AmbiguousPath, BadRequest, MethodNotAllowed, OriginalRequestUnclear, Refusal
from gateway.gate.verdict import Verdict
from gateway.http.answers import Answer
from gateway.http.headers import NAMING_NAMES, NAMING_PAIRS, HeaderKind
from gateway.http.request import Asked, Request, check_host, check_method
from gateway.policy.paths import split_target

# RFC 3986 sections 3.1, 3.2: a scheme, an authority without userinfo, and a path that begins with a slash.
# nginx accepts a Host with `?` or `#`, which moves the path in `$scheme://$http_host$request_uri`.
_ABSOLUTE = re.compile(r"(?i)(https?)://([a-z0-9._~-]+(?::[0-9]{0,5})?|\[[0-9a-f:.]+\](?::[0-9]{0,5})?)(/.*)")
# After the endpoint's path: where people are redirected to sign in.
_WITH_SIGN_IN = "-or-sign-in"
# The response is valid only as long as the token, whose expiry the proxy does not know.
_UNCACHED = (b"Cache-Control", b"no-store")
# Requests named before, which are few; longer ones are read each time, so that nobody can fill the memory.
_REMEMBERED = 1024
_REMEMBERED_LENGTH = 256


class Original(NamedTuple):
    """The original request as named by the proxy; `host` and `proto` only if by an absolute URL.

    `by_path`: our own path names it (Envoy), and so our own Host is the one that the client sent."""

    method: str
    raw_path: str
    query: str
    host: bytes | None = None
    proto: bytes | None = None
    by_path: bool = False

    @property
    def target(self) -> tuple[str, str, str]:
        return self.method, self.raw_path, self.query


def endpoint_of(raw_path: str, endpoint: str) -> str | None:
    """Return which of the two endpoints, where proxies ask, a path is or lies below; None if neither."""
    for each in (endpoint, endpoint + _WITH_SIGN_IN):
        if raw_path.startswith(each) and raw_path[len(each) : len(each) + 1] in {"", "/"}:
            return each
    return None


def original(request: Request, endpoint: str) -> Original | None:
    """Return the request that a trusted peer asks about; None if it names none.

    Raises OriginalRequestUnclear and AmbiguousPath.
    """
    _refuse_head(request)
    headers = _naming_headers(request)
    behind = request.raw_path[len(endpoint) :]
    if not behind and len(headers) == 2:
        # One pair, as almost always.
        for target, method in NAMING_PAIRS:
            if target in headers and method in headers:
                url, word = headers[target], headers[method]
                short = len(url) + len(word) <= _REMEMBERED_LENGTH
                return _known(url, word) if short else _named(url, word)
    pairs = [(headers[target], headers.get(method)) for target, method in NAMING_PAIRS if target in headers]
    named = [_named(target, method) for target, method in pairs]
    if behind:
        named.append(_original(request.method, behind + request.query))
    if not named:
        if headers:
            raise OriginalRequestUnclear("the method of a request is named without its URL")
        return None
    if len(named) > 1 and len({each.target for each in named}) > 1:
        raise OriginalRequestUnclear("the headers, or headers and path, name different requests")
    return named[0]._replace(by_path=bool(behind))


def about(request: Request, named: Original, *, redirects: bool = False) -> Asked:
    """Return the original request, with the headers of the asking one, which are its client's."""
    head = request.head
    if named.host is not None:
        head = copy(head)
        head.forwarded_host, head.forwarded_proto = named.host, named.proto
    # Envoy passes on what its client says of X-Forwarded-Host.
    host = request.head.host if named.by_path else head.forwarded_host or request.head.host
    method, path, query, credentials = named.method, named.raw_path, named.query, request.credentials
    # As in `Request.asked`: the call `Asked(…)` would be a twentieth of a decision.
    return tuple.__new__(
        Asked, (request, method, path, query, head, credentials, request.upgrade, True, None, redirects, host)
    )


def allowed(request: Request, verdict: Verdict) -> Answer:
    """Return the 200 that lets the request pass, with the identity headers that the proxy has to forward.

    A preflight that the gateway would answer itself passes as well, because the proxy cannot use a 2xx from
    us as its response: with the headers of that answer, and without an identity.
    """
    if isinstance(verdict, Answer):
        return Answer(200, headers=[_UNCACHED, *verdict.headers])
    # As whole lines: nothing else is in the response, and it is the whole cost of a proxy's request.
    request.answer_lines += b"%bCache-Control: no-store\r\nX-Request-Id: %b\r\n" % (
        verdict.identity,
        request.request_id,
    )
    return Answer(200)


def status_for_proxy(refusal: Refusal) -> int:
    """Return the status for the asking proxy: nginx knows 401 and 403, and turns any other into 500.

    429, 500 and 503 stay, so that a gateway that cannot decide is not taken for one that refuses.
    """
    if refusal.status >= 429 or refusal.status in {401, 403}:
        return refusal.status
    return 401 if refusal.challenge else 403


def _refuse_head(request: Request) -> None:
    """Refuse a head that the gateway would not accept, or would change, if it served the request itself.

    The proxy forwards its client's head unchanged, so refusing is all that is left. Raises
    OriginalRequestUnclear.
    """
    head = request.head
    if head.odd_name:
        name = next(name for name, _ in head.raw if request.peer.table.kind(name) is HeaderKind.ODD)
        shown = name[:64].decode("latin-1")
        raise OriginalRequestUnclear(
            f"servers disagree about the header name {shown}: use only letters, digits and -"
        )
    if head.forwarded_host is not None:
        if head.many_hosts:
            raise OriginalRequestUnclear("X-Forwarded-Host names more than one host")
        try:
            check_host(head.forwarded_host)
        except BadRequest as refused:
            raise OriginalRequestUnclear(f"X-Forwarded-Host: {refused}") from None


def _naming_headers(request: Request) -> dict[bytes, str]:
    """Return the headers that name a request, each at most once."""
    found: dict[bytes, str] = {}
    for name, value in request.head.naming:
        if name in found:
            raise OriginalRequestUnclear(f"{name.decode('ascii')} occurs twice")
        found[name] = value.strip().decode("latin-1")
    for token in request.head.connection.lower().split(b",") if request.head.connection else ():
        # A client's `Connection: X-Original-URL`, forwarded by its proxy (Traefik CVE-2024-45410), would drop
        # the header as hop-by-hop and leave no request named.
        if token.strip() in NAMING_NAMES:
            raise OriginalRequestUnclear("Connection names a header that names the request")
    return found


def _named(target: str, method: str | None) -> Original:
    if method is None:
        # Never guessed: nginx's subrequest is a GET, whatever the client's method.
        raise OriginalRequestUnclear("the URL of a request is named without its method")
    absolute = None if target.startswith("/") else _ABSOLUTE.fullmatch(target)
    if absolute is None:
        return _original(method, target)
    proto, host, rest = absolute.groups()
    return _original(method, rest, host=host.encode("ascii"), proto=proto.lower().encode("ascii"))


_known = lru_cache(_REMEMBERED)(_named)


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
