"""Protection against cross-site request forgery: a token in each form, bound to browser and session.

The token seals an empty value: all it proves is that it opens for this browser. A planted browser cookie
gives a neighbouring site no more than a token for itself; after sign-in the token is bound to the session as
well, and the Origin header is checked in addition (OWASP: Cross-Site Request Forgery Prevention).

Invariant: no form is read before `admit` passed it, and `check` returns only for a form that this gateway
rendered for this browser.
"""

from __future__ import annotations

from gateway.errors import CrossOrigin, FormRefused
from gateway.http.origin import Maker, same_origin
from gateway.sessions import session_cookies
from gateway.sessions.page_request import SIGN_OUT, PageRequest
from gateway.sessions.sealing import Sealer

FIELD = "csrf"
# A sign-in page left open for a working day still works.
_LIFE = 12 * 3600.0


class Guard:
    """Issues and checks the tokens."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def token(self, page: PageRequest) -> str:
        return self._sealer.seal(b"", until=page.now + _LIFE, binding=_binding(page, page.browser_id))

    def admit(self, page: PageRequest, maker: Maker) -> None:
        """Check the head before the form is read: a stranger's form may be long.

        `maker`: the page that sends the form, according to its headers. Raises CrossOrigin or FormRefused."""
        # Browsers send Origin with every form they post. Programs that send neither header have no ambient
        # cookies to misuse, and must bring a token anyway.
        from_a_browser = maker.origin is not None or maker.site is not None
        if from_a_browser and not same_origin(maker, page.origin):
            raise CrossOrigin("the form comes from another site")
        if not _ends_nothing(page):
            _browser_of(page)

    def check(self, page: PageRequest) -> None:
        """Check the token of a form that was admitted and read. Raises FormRefused."""
        if _ends_nothing(page):
            return
        browser = _browser_of(page)
        token = page.form.get(FIELD, "")
        if self._sealer.open(token, now=page.now, binding=_binding(page, browser)) is None:
            raise FormRefused("the form's token is missing, old or another browser's")


def _ends_nothing(page: PageRequest) -> bool:
    """Return whether the browser has already signed out, perhaps in another tab: nothing is left to
    protect."""
    return page.path == SIGN_OUT and page.cookies.get(session_cookies.COOKIE) is None


def _browser_of(page: PageRequest) -> str:
    browser = page.known_browser
    if browser is None:
        raise FormRefused("the browser sends no cookie back")
    return browser


def _binding(page: PageRequest, browser: str) -> bytes:
    return f"{browser} {page.session_name}".encode("ascii")
