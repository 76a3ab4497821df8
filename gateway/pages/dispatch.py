"""The dispatcher of the pages: a request under the prefix becomes a PageRequest, finds its handler, is
answered.

serve/app.py makes one per configuration, and `judge` awaits its `answer`. A refusal becomes a page for a
browser and problem+json for other clients. Invariant: every answer has the security headers of
respond.guarded, and every POST has passed csrf.Guard.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from gateway.errors import (
    BadRequest,
    FormRefused,
    MethodNotAllowed,
    NavigationOnly,
    NoCredentials,
    NotFound,
    Refusal,
    SessionsUnavailable,
)
from gateway.http.answers import Answer
from gateway.http.body import read_form
from gateway.http.forms import parse_fields
from gateway.http.headers import value_of
from gateway.http.navigation import accepts_html, maker_of, prefetches, seen_by_a_person
from gateway.http.origin import normal
from gateway.http.request import Request
from gateway.http.resource_metadata import public_origin
from gateway.pages import assets, outcome, respond
from gateway.pages.csrf import Guard
from gateway.pages.error_page import way_on
from gateway.pages.negotiation import language_of
from gateway.pages.portal import Portal
from gateway.pages.sign_in_target import SignInTarget, asked
from gateway.sessions.cookies import Cookies
from gateway.sessions.page_request import SIGN_OUT, PageRequest
from gateway.texts import Text

if TYPE_CHECKING:
    from gateway.pages.page_routes import Routes

# Pages that only make sense signed out, and those that only make sense signed in.
_SIGNING_IN = frozenset(
    {"/sign_in", "/challenge", "/passkey", "/sign_up", "/confirm", "/forgot_password", "/reset_password"}
)
_SIGNED_IN = frozenset(
    {
        *("/", "/account", "/add_passkey", "/authenticator", "/change_password", "/delete_account"),
        *("/passkeys", "/profile", "/second_factor", "/sessions", "/setup", "/verify_attribute"),
    }
)
Served = TypeVar("Served")
# What answers forms that scripts send.
_FOR_PROGRAMS = frozenset({"/credentials", "/passkey_options"})
# How a refusal is rendered for programs, counted and logged (gate/record.py).
Refuse = Callable[[Request, Refusal], Answer]


class Dispatcher:
    """Finds the handler of a path; page_routes.py registers them."""

    def __init__(self, portal: Portal, refuse: Refuse) -> None:
        self._portal = portal
        self._config = portal.config
        self._refuse = refuse
        self._guard = Guard(portal.sealers.csrf)

    @cached_property
    def _routes(self) -> Routes:
        # Jinja2 and boto3 load with the first page that is opened.
        from gateway.pages.page_routes import routes  # noqa: PLC0415

        return routes()

    async def answer(self, request: Request, path: str) -> Answer:
        """Return the answer to a request whose canonical path is `path`, under the prefix. Raises Refusal."""
        try:
            page = self._page(request, path)
            try:
                answer = await self._handled(page)
            finally:
                if page.method != "HEAD":  # of which nobody sees a form
                    request.answer_lines += b"".join(page.set_cookies)
            if not request.decision:
                request.decision, request.reason = "allowed", "own_page"
        except Refusal as refusal:
            if not accepts_html(request):
                raise
            answer = self._as_page(request, refusal)
        return respond.guarded(answer, request_id=request.request_id, form_targets=self._form_targets)

    # --- from a request to a page request ---

    def _page(self, request: Request, path: str) -> PageRequest:
        config = self._config
        origin = public_origin(request, config.listen.public_url)
        if origin is None:
            raise BadRequest("a page asked for without a Host")
        # As registered at Cognito (callback and sign-out URLs), which compares exactly.
        origin = normal(origin)
        base, secure = config.sign_in.session.cookie_name, origin.startswith("https:")
        return PageRequest(
            method=request.method,
            path=path[len(config.sign_in.prefix) :],
            query=parse_fields(request.query.removeprefix("?")),
            origin=origin,
            prefix=config.sign_in.prefix,
            cookies=Cookies(request.head.own_cookies, secure=secure, base=base),
            client=request.client,
            request_id=request.request_id.decode("ascii"),
            now=time.time(),
            language=language_of(request, self._portal.pages.look.languages, secure=secure, base=base),
            request=request,
            make_token=self._guard.token,
        )

    async def _handled(self, page: PageRequest) -> Answer:
        if assets.is_asset(page.path):
            # Shared files: a cache would store a renewed session's cookie together with one.
            return _handler({"GET": self._portal.pages.look.serve}, page.method)(page)
        methods = self._routes.get(page.path)
        if methods is None:
            raise NotFound
        handler = _handler(methods, page.method)
        if prefetches(page.request):
            # Not a person's request yet: a sign-in started here would replace the one in progress.
            raise NoCredentials("fetched ahead")
        await self._welcome(page)
        if page.method == "GET":
            self._take_outcome(page)
        if page.method != "POST":
            return await handler(self._portal, page)
        try:
            await self._take_form(page)
        except FormRefused as refusal:
            # The form may be another site's: only its return address is kept, which is checked like any link.
            page.form = outcome.in_url(page.form)
            return self._onward(page) or self._again(page, refusal)
        try:
            return await handler(self._portal, page)
        except (NotFound, NavigationOnly):
            raise
        except Refusal as refusal:
            return self._again(page, refusal)

    def _take_outcome(self, page: PageRequest) -> None:
        page.outcome = outcome.take(page, self._portal.sealers.outcome)
        if page.outcome is not None:
            page.form = page.outcome.form

    def _again(self, page: PageRequest, refusal: Refusal) -> Answer:
        """Redirect to the form, which shows why it was refused; raise the refusal where that cannot be.

        That is: not a person's browser, or one that keeps no cookies, or no page to return to."""
        shown = page.known_browser is not None and page.path not in _FOR_PROGRAMS
        if not shown or not seen_by_a_person(page.request):
            raise refusal
        plain = self._refuse(page.request, refusal)
        if plain.status < 400:
            return plain
        return outcome.redirected(
            page,
            self._portal.sealers.outcome,
            problem=refusal.detail,
            status=plain.status,
            retry_after=refusal.retry_after,
        )

    def _onward(self, page: PageRequest) -> Answer | None:
        """Return where to redirect a form whose token belongs to another state of this browser, which has
        signed in or out since, perhaps in another tab. None if the token is foreign. The form itself is never
        processed."""
        pools, levels = self._portal.pages.pools, self._portal.pages.levels
        if page.session is not None and page.path in _SIGNING_IN:
            return respond.see_other(asked(page, pools, levels).onward(page))
        if page.session is None and page.path in _SIGNED_IN and pools:
            wanted = SignInTarget(None, page.prefix + page.path)
            return respond.see_other(wanted.link(page, "/sign_in", notice="ended"))
        return None

    async def _welcome(self, page: PageRequest) -> None:
        try:
            await self._portal.welcome(page)
        except SessionsUnavailable:
            # A user who wants to sign out is not asked to come back later.
            if page.path != SIGN_OUT:
                raise

    async def _take_form(self, page: PageRequest) -> None:
        request = page.request
        self._guard.admit(page, maker_of(request))
        content_type = value_of(request.head, b"content-type")
        # A form is one small write: it gets as long as a request head.
        within = self._config.listen.header_timeout
        text = None if content_type is None else content_type.decode("latin-1")
        page.form = await read_form(request.body, text, within=within)
        self._guard.check(page)

    # --- refusals ---

    def _as_page(self, request: Request, refusal: Refusal) -> Answer:
        """Return the refusal as a page, with the headers that `refuse` wrote."""
        plain = self._refuse(request, refusal)
        if plain.status < 400:
            return plain
        look, origin = self._portal.pages.look, public_origin(request, self._config.listen.public_url) or ""
        shown = respond.message(
            look,
            Text.of(refusal.title),
            [Text.of(refusal.detail)],
            status=plain.status,
            language=language_of(
                request,
                look.languages,
                secure=origin.startswith("https:"),
                base=self._config.sign_in.session.cookie_name,
            ),
            prefix=self._config.sign_in.prefix,
            origin=origin,
            request_id=request.request_id.decode("ascii"),
            back=way_on(request, refusal, self._config.sign_in.prefix),
        )
        kept = [header for header in plain.headers if header[0].lower() != b"content-type"]
        shown.headers += kept
        shown.close = plain.close
        return shown

    @property
    def _form_targets(self) -> Sequence[str]:
        return [pool.domain for pool in self._config.cognito.sign_in_pools if pool.domain is not None]


def _handler(methods: Mapping[str, Served], method: str) -> Served:
    handler = methods.get("GET" if method == "HEAD" else method)
    if handler is None:
        refusal = MethodNotAllowed(f"method {method} on a page that has {sorted(methods)}")
        refusal.allow = ", ".join(sorted({*methods, *({"HEAD"} if "GET" in methods else ())}))
        raise refusal
    return handler
