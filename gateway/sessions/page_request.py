"""One request for a page of ours: all that a handler may know of it, already checked.

A handler takes the portal and a `PageRequest` and gives an `Answer`; cookies it wants set it adds to
`page.set_cookies`. Invariant: `form` is empty unless the request was a POST whose token and origin held
(gateway/pages/csrf.py), and nothing here came unchecked from another site.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.http.forms import Fields
from gateway.sessions import session_cookies
from gateway.sessions.cookies import Cookies

if TYPE_CHECKING:
    from gateway.http.request import Request
    from gateway.sessions.session import Session
    from gateway.tokens.principal import Principal

# The cookie that tells one browser from another before anybody has signed in.
BROWSER = "browser"
# The page that works for whoever comes.
SIGN_OUT = "/sign_out"
# 128 bits: nobody guesses another browser's.
_BROWSER_BYTES = 16
_BROWSER_TEXT = 22


@dataclass(slots=True)
class PageRequest:
    """`path` begins behind the prefix (`/sign_in`), `origin` is what the browser calls us
    (`https://api.example.com`), `client` its address, `now` Unix time."""

    method: str
    path: str
    query: Fields
    origin: str
    prefix: str
    cookies: Cookies
    client: str
    request_id: str
    now: float
    # What was asked for, as the log and the authenticator see it.
    request: Request = field(repr=False)
    # Makes a token for the forms of this page (csrf.Guard.token).
    make_token: Callable[[PageRequest], str] = field(repr=False)
    form: Fields = field(default_factory=dict, repr=False)
    # Who is signed in, by the session's cookie; None also where an Authorization header says something else.
    session: Session | None = None
    principal: Principal | None = None
    # Header lines that go out with the answer, whatever it is.
    set_cookies: list[bytes] = field(default_factory=list, repr=False)
    _browser: str = field(default="", repr=False)

    @property
    def moment(self) -> float:
        """time.monotonic() of the request: what is counted in this process must not depend on who sets the
        clock."""
        return self.request.started

    @property
    def secure(self) -> bool:
        """Whether the browser speaks https with us."""
        return self.cookies.secure

    @property
    def browser_id(self) -> str:
        """What tells this browser from others: what is sealed for a form or a challenge is bound to it.

        A browser without one gets one with this answer.
        """
        if not self._browser:
            known = self.known_browser
            self._browser = known or secrets.token_urlsafe(_BROWSER_BYTES)
            if not known:
                self.set_cookies.append(self.cookies.set(BROWSER, self._browser, max_age=None))
        return self._browser

    @property
    def known_browser(self) -> str | None:
        """The browser's id as it sent it; None at its first visit."""
        sent = self.cookies.get(BROWSER)
        return sent if sent is not None and len(sent) == _BROWSER_TEXT else None

    @property
    def session_name(self) -> str:
        """What forms are bound to once somebody is signed in.

        To sign out nobody has to be known, for the store may be unavailable: there the cookie's word will do,
        and what it says nobody guesses."""
        if self.session is not None:
            return session_cookies.name_of(self.session)
        return self.cookies.get(session_cookies.COOKIE) or "" if self.path == SIGN_OUT else ""

    @property
    def csrf(self) -> str:
        """For the hidden field `csrf` of every form on this page."""
        return self.make_token(self)

    def url(self, path: str) -> str:
        """The whole address of one of our pages (`/sign_in`)."""
        return f"{self.origin}{self.prefix}{path}"
