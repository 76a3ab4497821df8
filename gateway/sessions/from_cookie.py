"""Authentication by session cookie: the session's token takes the place of the client's Authorization header.

Everything after that is the same for both. An explicit Authorization header takes precedence. Invariant: a
request with an unsafe method, or for a WebSocket, is authenticated by a cookie only if it was made by a page
of this site, or of an origin that `cors` trusts with cookies (browsers send cookies with any site's
requests).
"""

from __future__ import annotations

from gateway.config.model import Cors
from gateway.errors import CrossOrigin
from gateway.http.headers import value_of
from gateway.http.navigation import maker_of
from gateway.http.origin import SAFE_METHODS, same_origin
from gateway.http.request import Asked, Request
from gateway.http.resource_metadata import public_origin
from gateway.sessions.lifecycle import Sessions
from gateway.sessions.session import Session

# Sec-Fetch-Mode of everything but WebSockets (Fetch standard, request's mode).
_NO_HANDSHAKE = frozenset({b"cors", b"no-cors", b"same-origin", b"navigate"})


class ByCookie:
    def __init__(self, sessions: Sessions, public_url: str | None, cors: Cors | None = None) -> None:
        self._sessions = sessions
        self._public_url = public_url
        # Other origins whose pages the operator allows to use cookies. Never `null`, which any page can
        # become through a sandboxed frame.
        trusted = cors.allow_origins if cors is not None and cors.allow_credentials else ()
        self._trusted = frozenset(origin.encode("ascii") for origin in trusted) - {b"null"}

    def recognise(self, asked: Asked, now: float) -> bool:
        """Return whether the session was known and its token is in place; otherwise call `resolve`.

        Only for requests with our cookies and no Authorization. Raises CrossOrigin.
        """
        authorization = self._sessions.recognise(asked.request, secure=self._secure(asked), now=now)
        if authorization is None:
            return False
        self._put(asked, authorization)
        return True

    async def resolve(self, asked: Asked) -> None:
        """Find the session, waiting if necessary; without one the request is left unchanged.

        Raises CrossOrigin and SessionsUnavailable.
        """
        session = await self._sessions.find(asked.request, secure=self._secure(asked))
        if session is not None:
            self._put(asked, self._sessions.bearer(session))

    def known(self, asked: Asked) -> Session | None:
        """Return the session of a request recognised or resolved before, without a look-up."""
        return self._sessions.known(asked.request, secure=self._secure(asked))

    async def session(self, request: Request) -> Session | None:
        """Return the session that authenticated this request, or None if it has ended since.

        Raises SessionsUnavailable.
        """
        return self.known(request.asked()) or await self._sessions.find(request, secure=self._secure(request))

    def _put(self, asked: Asked, authorization: list[bytes]) -> None:
        if asked.upgrade or asked.method not in SAFE_METHODS or _may_be_handshake(asked):
            self._check_origin(asked)
        asked.request.credentials = authorization
        asked.request.by_cookie = True

    def _check_origin(self, asked: Asked) -> None:
        maker = maker_of(asked)
        if maker.origin is not None and maker.origin.encode("latin-1") in self._trusted:
            return
        # A WebSocket handshake is not a navigation, whatever it claims.
        handshake = asked.upgrade or _may_be_handshake(asked)
        known = maker._replace(mode=None) if handshake else maker
        if not same_origin(known, public_origin(asked, self._public_url)):
            raise CrossOrigin("authenticated by cookie, but not made by a page of this site")

    def _secure(self, asked: Asked | Request) -> bool:
        origin = public_origin(asked, self._public_url)
        return origin is not None and origin.startswith("https:")


def _may_be_handshake(asked: Asked) -> bool:
    """Return whether the original request of forward auth may be a page's WebSocket handshake.

    The asking proxy has dropped Upgrade, some pass no Sec-WebSocket-Key, and HTTP/2's extended CONNECT (RFC
    8441) has none. Browsers send Origin with every handshake; only Sec-Fetch-Mode, which no page can set,
    proves that a request is none (Fetch Metadata section 2.2).
    """
    if not asked.elsewhere:
        return False
    lines = [line.lower() for line in asked.head.kept if line[:1] in b"oOsS"]
    if any(line.startswith(b"sec-websocket-") for line in lines):
        return True
    if not any(line.startswith(b"origin:") for line in lines):
        return False
    return value_of(asked.head, b"sec-fetch-mode") not in _NO_HANDSHAKE
