"""Forms can be sent by our own pages only: a token in each, bound to the browser and to who is signed in.

The token is a sealed nothing: that it opens, for this browser, is all it says. A planted browser cookie gives
a neighbouring site no more than a token for itself; once somebody is signed in the token is bound to the
session as well, and the Origin header is looked at besides (OWASP: Cross-Site Request Forgery Prevention).

Invariant: no form is read that `admit` did not let pass, and `check` returns only for one that this gateway
wrote for this browser.
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

    def admit(self, page: PageRequest, maker: Maker) -> None:
        """Look at what the head says, before anything of the form is read: a stranger's may be long.

        `maker`: what the headers say of the page it comes from. Raises CrossOrigin or FormRefused."""
        # Browsers send Origin with every form they post; programs that send neither header have no cookies
        # to be misused, and must bring a token all the same.
        told = maker.origin is not None or maker.site is not None
        if told and not same_origin(maker, page.origin):
            raise CrossOrigin("the form comes from another site")
        if not _ends_nothing(page):
            _browser_of(page)

    def check(self, page: PageRequest) -> None:
        """Look at the token in a form that was admitted and read. Raises FormRefused."""
        if _ends_nothing(page):
            return
        browser = _browser_of(page)
        token = page.form.get(FIELD, "")
        if self._sealer.open(token, now=page.now, binding=_binding(page, browser)) is None:
            raise FormRefused("the form's token is missing, old or another browser's")


def _ends_nothing(page: PageRequest) -> bool:
    """Whether the browser signed out already, in another tab perhaps: nothing is left to protect."""
    return page.path == SIGN_OUT and page.cookies.get(session_cookies.COOKIE) is None


def _browser_of(page: PageRequest) -> str:
    browser = page.known_browser
    if browser is None:
        raise FormRefused("the browser sends no cookie back")
    return browser


def _binding(page: PageRequest, browser: str) -> bytes:
    return f"{browser} {page.session_name}".encode("ascii")
