"""CORS (Fetch standard, section 3.3): preflights answered, and headers that let other origins read responses.

Nothing here grants access: a preflight opens nothing, and these headers only decide whether a browser shows
a response to the page that requested it. Invariant: a response names only origins that are listed, compared
byte by byte, and the gateway's own HTML pages name none.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.config.model import Cors
from gateway.errors import OriginRefused
from gateway.http.answers import Answer
from gateway.http.headers import value_of
from gateway.http.request import Asked, Request

# Headers of our own responses that a script needs: how to proceed, and what to report to the operator.
_OWN_EXPOSED = ("WWW-Authenticate", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id")
_VARY = b"Vary: Origin\r\n"
_ALLOW_ORIGIN = b"access-control-allow-origin"
# Preflight responses vary by more than the origin, and caches have to know (Fetch section 3.3.4).
_PREFLIGHT_VARY = b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


class CorsPolicy:
    """The configuration's `cors`, with its header lines built once."""

    def __init__(self, cors: Cors) -> None:
        self._any = "*" in cors.allow_origins
        self._origins = frozenset(origin.encode("ascii") for origin in cors.allow_origins)
        self._credentials = b"Access-Control-Allow-Credentials: true\r\n" if cors.allow_credentials else b""
        self._own_exposed = _exposed((*_OWN_EXPOSED, *cors.expose_headers))
        self._exposed = _exposed(cors.expose_headers)
        self._preflight = [
            (b"Access-Control-Allow-Methods", ", ".join(cors.allow_methods).encode("ascii")),
            (b"Access-Control-Allow-Headers", ", ".join(cors.allow_headers).encode("ascii")),
            (b"Access-Control-Max-Age", b"%d" % cors.max_age),
        ]
        if cors.allow_credentials:
            self._preflight.append((b"Access-Control-Allow-Credentials", b"true"))
        self._preflight.append((b"Vary", _PREFLIGHT_VARY))

    def preflight(self, asked: Asked) -> Answer | None:
        """Return the response to a preflight, or None if the request is not one.

        Raises OriginRefused. Methods and headers are not compared here: the browser does that, against the
        lists in the response.
        """
        if asked.method != "OPTIONS":
            return None
        request, head = asked.request, asked.head
        origin = value_of(head, b"origin")
        if origin is None or value_of(head, b"access-control-request-method") is None:
            return None
        named = self._named(origin)
        if named is None:
            raise OriginRefused("the Origin is not in cors.allow_origins")
        request.decision, request.reason = "allowed", "preflight"
        named_line, id_line = (b"Access-Control-Allow-Origin", named), (b"X-Request-Id", request.request_id)
        return Answer(204, headers=[named_line, *self._preflight, id_line])

    def own_lines(self, request: Request, answer: Answer) -> bytes:
        """Return header lines for one of our own responses; preflights have theirs, pages get none."""
        if request.reason == "preflight" or answer.content_type.startswith("text/html"):
            return b""
        if any(name == b"Access-Control-Allow-Origin" for name, _ in answer.headers):
            return b""  # it is for every origin
        return self._lines(request, self._own_exposed)

    def proxied_lines(self, request: Request, answer: Sequence[bytes]) -> bytes:
        """Return header lines for an upstream response; none if it sets its own."""
        if any(line[: len(_ALLOW_ORIGIN)].lower() == _ALLOW_ORIGIN for line in answer):
            return b""
        return self._lines(request, self._exposed)

    def _lines(self, request: Request, exposed: bytes) -> bytes:
        # Even without an origin: a cache must not serve this response to a page whose origin would be named.
        vary = b"" if self._any else _VARY
        named = self._named(value_of(request.head, b"origin"))
        if named is None:
            return vary
        return b"Access-Control-Allow-Origin: %b\r\n%b%b%b" % (named, self._credentials, exposed, vary)

    def _named(self, origin: bytes | None) -> bytes | None:
        """Return the value of Access-Control-Allow-Origin for this Origin; None if it is not allowed."""
        if origin is None:
            return None
        if self._any:
            return b"*"
        # RFC 6454 section 5: serialised origins are compared exactly; many pages share `null`, so list it
        # first.
        return origin if origin in self._origins else None


def _exposed(names: Sequence[str]) -> bytes:
    if not names:
        return b""
    return b"Access-Control-Expose-Headers: %b\r\n" % ", ".join(dict.fromkeys(names)).encode("ascii")
