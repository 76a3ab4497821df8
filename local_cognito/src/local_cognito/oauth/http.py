"""HTTP endpoints of managed login: authorize, login, token, userInfo, revoke and logout.

Invariant: every response is a redirect to a URL that the app client registered, a page of ours, or OAuth
JSON; no response is cached.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from local_cognito.callers import caller_of
from local_cognito.errors import AwsError
from local_cognito.oauth import codes, documents, external, hosted, html, registration, token_endpoint
from local_cognito.oauth.authorize import Ask, NotHere, SendBack, read, redirect
from local_cognito.oauth.token_endpoint import OAuthError
from local_cognito.oauth.user_info import user_info
from local_cognito.state import Pool, State
from local_cognito.state_sign_in import BrowserSession

_CSRF = "local-cognito-csrf"
_UNCACHED = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"


def add_routes(app: web.Application, state: State, clock: Callable[[], float]) -> None:
    ends = _Endpoints(state, clock)
    app.router.add_get("/oauth2/authorize", ends.authorize)
    app.router.add_get("/login", ends.login)
    app.router.add_post("/login", ends.submit)
    app.router.add_post("/oauth2/token", ends.token)
    app.router.add_get("/oauth2/userInfo", ends.user_info)
    app.router.add_post("/oauth2/userInfo", ends.user_info)
    app.router.add_post("/oauth2/revoke", ends.revoke)
    app.router.add_post("/oauth2/register", ends.register)
    app.router.add_post("/{pool}/oauth2/register", ends.register)
    app.router.add_get("/logout", ends.logout)


class _Endpoints:
    def __init__(self, state: State, clock: Callable[[], float]) -> None:
        self._state = state
        self._clock = clock

    async def authorize(self, request: web.Request) -> web.Response:
        ask = await self._ask(request)
        if not isinstance(ask, Ask):
            return ask
        now, session = self._clock(), self._session(request, ask)
        if session is not None and external.comes_from(ask, session) and hosted.accepts(ask, session, now):
            return _to(redirect(ask, {"code": codes.issue(ask, session, now)}))
        # OpenID Connect Core section 3.1.2.1: with `none`, no page may be shown.
        if ask.prompt == "none":
            return _to(redirect(ask, {"error": "login_required"}))
        return _to(f"/login?{request.query_string}")

    async def login(self, request: web.Request) -> web.Response:
        ask = await self._ask(request)
        if not isinstance(ask, Ask):
            return ask
        if ask.provider is not None:
            return self._page(request, external.first_step(ask.provider))
        step = hosted.begin(self._state, ask, self._session(request, ask), self._clock())
        return self._page(request, step)

    def _session(self, request: web.Request, ask: Ask) -> BrowserSession | None:
        return codes.browser(ask, request.cookies.get(_cookie(ask.pool)), self._clock())

    async def submit(self, request: web.Request) -> web.Response:
        ask = await self._ask(request)
        if not isinstance(ask, Ask):
            return ask
        form = await _form(request)
        if form is None or not _same(request.cookies.get(_CSRF), form.get("csrf")):
            return self._page(
                request, hosted.first_step(ask, error="The form has expired: please try again.")
            )
        now, self._state.caller = self._clock(), caller_of(request)
        if ask.provider is not None:
            outcome = external.submit(ask, ask.provider, form, now)
        else:
            outcome = hosted.submit(self._state, ask, form, now)
        if isinstance(outcome, hosted.Step):
            return self._page(request, outcome)
        key, session = codes.open_browser(self._state, ask, outcome.user, now, outcome.methods)
        answer = _to(redirect(ask, {"code": codes.issue(ask, session, now)}))
        # Without Secure, which Cognito's has: this server speaks plain HTTP on loopback.
        lifetime = int(session.expires - now)
        answer.set_cookie(_cookie(ask.pool), key, httponly=True, samesite="Lax", path="/", max_age=lifetime)
        answer.del_cookie(_CSRF, path="/login")
        return answer

    async def token(self, request: web.Request) -> web.Response:
        try:
            form = await _form(request)
            if form is None:
                raise OAuthError("invalid_request", f"the body is not {_FORM} without repeated parameters")
            authorization = request.headers.get("Authorization")
            self._state.caller = caller_of(request)
            answer = token_endpoint.token(self._state, form, authorization, self._clock())
        except OAuthError as error:
            return _oauth_error(error)
        return web.json_response(answer, headers=_UNCACHED)

    async def register(self, request: web.Request) -> web.Response:
        pool = registration.pool_for(self._state, request.match_info.get("pool"))
        if pool is None:
            return _oauth_error(OAuthError("invalid_request", "no single user pool here registers clients"))
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            # RFC 7591 section 3.1: a JSON object.
            given = json.loads(await request.read()) if request.content_type == _JSON else None
            if not isinstance(given, dict):
                raise OAuthError("invalid_client_metadata", "the body is not a JSON object")
            bearer = token if scheme.lower() == "bearer" else None
            answer = registration.register(self._state, pool, given, bearer, self._clock())
        except (ValueError, RecursionError):
            return _oauth_error(OAuthError("invalid_client_metadata", "the body is not JSON"))
        except OAuthError as error:
            return _oauth_error(error, 401 if error.error == "invalid_token" else 400)
        return web.json_response(answer, status=201, headers=_UNCACHED)

    async def revoke(self, request: web.Request) -> web.Response:
        try:
            form = await _form(request)
            if form is None:
                raise OAuthError("invalid_request")
            token_endpoint.revoke(self._state, form, request.headers.get("Authorization"), self._clock())
        except OAuthError as error:
            return _oauth_error(error, 401 if error.error == "invalid_client" else 400)
        return web.Response(headers=_UNCACHED)

    async def user_info(self, request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise AwsError("InvalidTokenException", "Access token is missing")
            answer = user_info(self._state, token, self._clock())
        except AwsError as error:
            scope = error.message == "Access Token does not have required scopes"
            kind = "insufficient_scope" if scope else "invalid_token"
            challenge = f'Bearer error="{kind}", error_description="{error.message}"'
            return web.json_response(
                {"error": kind, "error_description": error.message},
                status=403 if scope else 401,
                headers={"WWW-Authenticate": challenge, **_UNCACHED},
            )
        return web.json_response(answer, headers=_UNCACHED)

    async def logout(self, request: web.Request) -> web.Response:
        """Developer guide, "Logout endpoint": redirect to a registered sign-out URL, or to the next
        sign-in."""
        query = request.query
        try:
            pool, client = self._state.client(query.get("client_id", ""))
        except AwsError:
            return _error_page("invalid_request", "client_id is missing or names no app client")
        if "logout_uri" in query:
            if query["logout_uri"] not in client.settings.get("LogoutURLs", ()):
                return _error_page(
                    "invalid_request", "logout_uri is not one of the app client's sign-out URLs"
                )
            answer = _to(query["logout_uri"])
        elif "redirect_uri" in query and "response_type" in query:
            ask = await self._ask(request)
            if not isinstance(ask, Ask):
                return ask
            answer = _to(f"/login?{request.query_string}")
        else:
            return _error_page("invalid_request", "Required parameters missing: logout_uri")
        pool.browsers.pop(request.cookies.get(_cookie(pool), ""), None)
        answer.del_cookie(_cookie(pool), path="/")
        return answer

    async def _ask(self, request: web.Request) -> Ask | web.Response:
        try:
            await documents.know(self._state, request.query.get("client_id", ""), self._clock())
            return read(self._state, request.query.items())
        except NotHere as refusal:
            return _error_page(refusal.error, refusal.why)
        except SendBack as refusal:
            return _to(refusal.location)

    def _page(self, request: web.Request, step: hosted.Step) -> web.Response:
        csrf = request.cookies.get(_CSRF) or secrets.token_urlsafe(32)
        text = html.sign_in_page(step, action=f"/login?{request.query_string}", csrf=csrf)
        answer = _html(text, 400 if step.error else 200)
        answer.set_cookie(_CSRF, csrf, httponly=True, samesite="Lax", path="/login")
        return answer


def _cookie(pool: Pool) -> str:
    """Return the session cookie's name. Cognito has one per domain; here pools share a host, and cookies any
    port."""
    return f"local-cognito-{pool.id}"


def _to(location: str) -> web.Response:
    return web.Response(status=302, headers={"Location": location, **_UNCACHED})


def _html(text: str, status: int) -> web.Response:
    headers = {
        "Content-Security-Policy": html.POLICY,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return web.Response(
        text=text, status=status, content_type="text/html", charset="utf-8", headers={**_UNCACHED, **headers}
    )


def _error_page(error: str, why: str) -> web.Response:
    return _html(html.error_page(error, why), 400)


def _oauth_error(error: OAuthError, status: int = 400) -> web.Response:
    body: dict[str, Any] = {"error": error.error}
    if error.why:
        body["error_description"] = error.why
    return web.json_response(body, status=status, headers=_UNCACHED)


async def _form(request: web.Request) -> Mapping[str, str] | None:
    """Return the form's fields; None if it is not a form or repeats a field (RFC 6749 section 3.2)."""
    if request.content_type != _FORM:
        return None
    try:
        posted = await request.post()
    except (ValueError, LookupError):
        return None
    form = {name: value for name, value in posted.items() if isinstance(value, str)}
    return form if len(form) == len(posted) else None


def _same(cookie: str | None, field: str | None) -> bool:
    return bool(cookie) and hmac.compare_digest((cookie or "").encode(), (field or "").encode())
