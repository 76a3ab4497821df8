"""One request for a page of ours, already checked, as handlers see it.

A handler takes the portal and a `PageRequest` and returns an `Answer`; cookies to set are added to
`page.set_cookies`. Invariant: `form` is empty unless the request was a POST with a valid token and origin
(gateway/pages/csrf.py) or follows such a one (`outcome`), and nothing here came unchecked from another site.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.http.forms import Fields
from gateway.sessions import session_cookies
from gateway.sessions.cookies import Cookies

if TYPE_CHECKING:
    from gateway.http.request import Request
    from gateway.sessions.session import Session
    from gateway.tokens.principal import Principal

# The cookie that identifies a browser before sign-in.
BROWSER = "browser"
# The page that works without a known session.
SIGN_OUT = "/sign_out"
# 128 bits: another browser's cannot be guessed.
_BROWSER_BYTES = 16
_BROWSER_TEXT = 22


@dataclass(frozen=True, slots=True)
class FormOutcome:
    """What a form leaves for the page that its answer redirects to (gateway/pages/outcome.py)."""

    path: str
    # What was typed, without passwords and codes.
    form: Fields = field(default_factory=dict, repr=False)
    # Messages by field, and one about the whole form.
    errors: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None
    status: int = 200
    retry_after: int | None = None

    @property
    def refused(self) -> bool:
        return bool(self.errors or self.problem)


@dataclass(slots=True)
class PageRequest:
    """A checked request for a page.

    `path` is relative to the prefix (`/sign_in`), `origin` is what the browser calls us
    (`https://api.example.com`), `client` its address, `now` Unix time.
    """

    method: str
    path: str
    query: Fields
    origin: str
    prefix: str
    cookies: Cookies
    client: str
    request_id: str
    now: float
    # The HTTP request, for the log and the authenticator.
    request: Request = field(repr=False)
    # Makes a token for this page's forms (csrf.Guard.token).
    make_token: Callable[[PageRequest], str] = field(repr=False)
    # The reader's language (gateway/pages/negotiation.py).
    language: str = "en"
    form: Fields = field(default_factory=dict, repr=False)
    # Of a GET: the outcome of the form that redirected here.
    outcome: FormOutcome | None = None
    # The session of the cookies; None also if an Authorization header takes precedence.
    session: Session | None = None
    principal: Principal | None = None
    # Header lines for the response, whatever it is.
    set_cookies: list[bytes] = field(default_factory=list, repr=False)
    _browser: str = field(default="", repr=False)

    @property
    def moment(self) -> float:
        """The request's time.monotonic(), for counts that must not depend on the system clock."""
        return self.request.started

    @property
    def secure(self) -> bool:
        """Whether the browser uses https."""
        return self.cookies.secure

    @property
    def browser_id(self) -> str:
        """The ID of this browser, to which sealed values of forms and sign-in steps are bound.

        A browser without one gets it with this response.
        """
        if not self._browser:
            known = self.known_browser
            self._browser = known or secrets.token_urlsafe(_BROWSER_BYTES)
            if not known:
                self.set_cookies.append(self.cookies.set(BROWSER, self._browser, max_age=None))
        return self._browser

    @property
    def known_browser(self) -> str | None:
        """The browser's ID as sent; None on its first visit."""
        sent = self.cookies.get(BROWSER)
        return sent if sent is not None and len(sent) == _BROWSER_TEXT else None

    @property
    def session_name(self) -> str:
        """The session that forms are bound to, once the user is signed in.

        Signing out works without a known session, because the store may be unavailable: there the cookie's
        value, which cannot be guessed, suffices.
        """
        if self.session is not None:
            return session_cookies.name_of(self.session)
        return self.cookies.get(session_cookies.COOKIE) or "" if self.path == SIGN_OUT else ""

    @property
    def csrf(self) -> str:
        """The value of the hidden field `csrf` in every form on this page."""
        return self.make_token(self)

    def url(self, path: str) -> str:
        """Return the full URL of one of our pages (`/sign_in`)."""
        return f"{self.origin}{self.prefix}{path}"
