"""Forms can be sent by our own pages only: a token in each, bound to the browser and to who is signed in.

The token is a sealed nothing: that it opens, for this browser, is all it says. A planted browser cookie gives
a neighbouring site no more than a token for itself; once somebody is signed in the token is bound to the
session as well, and the Origin header is looked at besides (OWASP: Cross-Site Request Forgery Prevention).

Invariant: `check` returns only for a form that this gateway wrote for this browser.
"""

from __future__ import annotations

from gateway.errors import CrossOrigin, FormRefused
from gateway.http.origin import Maker, same_origin
from gateway.sessions import session_cookies
from gateway.sessions.page_request import SIGN_OUT, PageRequest
from gateway.sessions.sealing import Sealer

FIELD = "csrf"
# A sign-in page left open over the working day still works.
_LIFE = 12 * 3600.0


class Guard:
    """Makes and checks the tokens."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def token(self, page: PageRequest) -> str:
        return self._sealer.seal(b"", until=page.now + _LIFE, binding=_binding(page, page.browser_id))

    def check(self, page: PageRequest, maker: Maker) -> None:
        """`maker`: what the headers say of the page it comes from. Raises CrossOrigin or FormRefused."""
        # Browsers send Origin with every form they post; programs that send neither header have no cookies
        # to be misused, and must bring a token all the same.
        told = maker.origin is not None or maker.site is not None
        if told and not same_origin(maker, page.origin):
            raise CrossOrigin("the form comes from another site")
        if page.path == SIGN_OUT and page.cookies.get(session_cookies.COOKIE) is None:
            return  # signed out already, in another tab perhaps: there is nothing that a stranger could end
        browser = page.known_browser
        if browser is None:
            raise FormRefused("the browser sends no cookie back")
        token = page.form.get(FIELD, "")
        if self._sealer.open(token, now=page.now, binding=_binding(page, browser)) is None:
            raise FormRefused("the form's token is missing, old or another browser's")


def _binding(page: PageRequest, browser: str) -> bytes:
    return f"{browser} {page.session_name}".encode("ascii")
