"""Requests of other origins' pages (Fetch standard, section 3.3): preflights answered, answers made readable.

Nothing here lets a request through: a preflight opens nothing, and what these headers change is whether a
browser shows an answer to the page that asked. Invariant: only an origin that is listed, byte by byte, is
named in an answer, and none in an HTML page of ours, which holds what only its visitor may see.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.config.model import Cors
from gateway.errors import OriginRefused
from gateway.http.answers import Answer
from gateway.http.headers import value_of
from gateway.http.request import Asked, Request

# What of our own answers a script needs beyond the status: how to go on, and what to tell the operator.
_OWN_EXPOSED = ("WWW-Authenticate", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id")
_VARY = b"Vary: Origin\r\n"
_ALLOW_ORIGIN = b"access-control-allow-origin"
# Where what a preflight is answered depends on more than the origin, caches are told (Fetch section 3.3.4).
_PREFLIGHT_VARY = b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


class CorsPolicy:
    """The configuration's `cors`, its header lines made once."""

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
        """The answer to a preflight; None where the request is none. Raises OriginRefused.

        Methods and headers are not compared here: the browser does that, with the lists it is told.
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
        """Header lines for an answer of our own; a preflight's has them, a page's has none."""
        if request.reason == "preflight" or answer.content_type.startswith("text/html"):
            return b""
        return self._lines(request, self._own_exposed)

    def proxied_lines(self, request: Request, answer: Sequence[bytes]) -> bytes:
        """Header lines for an answer of the upstream's; none where it has its own word on the matter."""
        if any(line[: len(_ALLOW_ORIGIN)].lower() == _ALLOW_ORIGIN for line in answer):
            return b""
        return self._lines(request, self._exposed)

    def _lines(self, request: Request, exposed: bytes) -> bytes:
        # Also where no origin is named: a cache must not show this answer to one that would be.
        vary = b"" if self._any else _VARY
        named = self._named(value_of(request.head, b"origin"))
        if named is None:
            return vary
        return b"Access-Control-Allow-Origin: %b\r\n%b%b%b" % (named, self._credentials, exposed, vary)

    def _named(self, origin: bytes | None) -> bytes | None:
        """The value of Access-Control-Allow-Origin for a request with this Origin, if it is allowed."""
        if origin is None:
            return None
        if self._any:
            return b"*"
        # RFC 6454 section 5 compares serialised origins as they are; `null` is many, so only where listed.
        return origin if origin in self._origins else None


def _exposed(names: Sequence[str]) -> bytes:
    if not names:
        return b""
    return b"Access-Control-Expose-Headers: %b\r\n" % ", ".join(dict.fromkeys(names)).encode("ascii")
