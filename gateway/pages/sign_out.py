"""`/sign_out`: ends the session here, or all of the user's, and Cognito's own session in the browser.

With managed login the browser is redirected through Cognito's /logout, which returns to `/`; notices and the
destination wait in a sealed cookie. Invariant: whatever is unavailable, this gateway no longer accepts the
session once this has answered, and its cookies are cleared; the page says what could not be done.
"""

from __future__ import annotations

import json
from urllib.parse import urlencode

from gateway.config.model import UserPool
from gateway.http.answers import Answer
from gateway.http.navigation import seen_by_a_person
from gateway.pages import respond, signed_out
from gateway.pages.home import names
from gateway.pages.portal import Portal
from gateway.pages.return_to import return_path
from gateway.pages.signed_out import AFTER, LIFE, onward
from gateway.sessions.ending import SignOutResult
from gateway.sessions.page_request import PageRequest
from gateway.texts import Text


async def show(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET: ask for confirmation. Following a link changes nothing (RFC 9110 section 9.2.1); otherwise
    an image on any site could sign its visitors out."""
    wanted = return_path(page.query.get("return_to") or page.query.get("rd"))
    if page.session is None and not page.session_name and _managed(portal, page) is None:
        return respond.see_other(onward(page, wanted))
    lead = None
    if page.session is not None:
        lead = names(page.session, await portal.id_claims(page))[0]
    return await portal.pages.show(
        page, "sign_out", Text("Sign out?"), lead=lead, everywhere=page.session is not None, after=wanted
    )


async def sign_out(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST. `everywhere` ends all of the user's sessions; `return_to` is where to go afterwards."""
    pool = _managed(portal, page)
    session = page.session
    everywhere = page.form.get("everywhere") == "yes"
    done = await portal.sessions.sign_out(page, everywhere=everywhere)
    wanted, unsaid = return_path(page.form.get("return_to")), _problems(done, everywhere=everywhere)
    managed = pool is not None and pool.domain is not None
    if unsaid and not managed and not seen_by_a_person(page.request):
        return signed_out.what_is_left(portal, page, onward(page, wanted), unsaid)
    if managed or unsaid:
        text = json.dumps({"return_to": wanted, "unsaid": unsaid}).encode("ascii")
        sealed = portal.sealers.login.seal(text, until=page.now + LIFE, binding=AFTER.encode("ascii"))
        page.set_cookies += page.cookies.set_split(AFTER, sealed, max_age=LIFE)
    if pool is not None and pool.domain is not None:
        client_id = pool.client_ids[0] if session is None else session.client_id
        return respond.see_other(logout_url(pool.domain, client_id, page.url("/")))
    if unsaid:
        return respond.see_other(f"{page.prefix}/")  # says it: signed_out.come_back
    return respond.see_other(onward(page, wanted))


def _problems(done: SignOutResult, *, everywhere: bool) -> list[str]:
    revoked = [] if done.revoked else ["everywhere" if everywhere else "revoked"]
    return revoked if done.stored else [*revoked, "stored"]


def _managed(portal: Portal, page: PageRequest) -> UserPool | None:
    """Return the pool whose managed login may hold a session of this browser: the session's; if it expired or
    the store is unavailable, the one named, or the only one."""
    if page.session is not None:
        pool = portal.pool(page.session.pool_id)
        return pool if pool is not None and (pool.managed or _came_from(pool, page)) else None
    managed = [pool for pool in portal.config.cognito.sign_in_pools if pool.managed]
    asked = page.form.get("pool") or page.query.get("pool")
    named = [pool for pool in managed if pool.id == asked]
    return next(iter(named or managed), None) if len(named or managed) == 1 else None


def _came_from(pool: UserPool, page: PageRequest) -> bool:
    """Return whether this session came from managed login, by a button beside our own form: its access token
    has the scope `openid`, which the API's sign-ins never have."""
    scopes = () if page.principal is None else page.principal.claims.scopes
    return pool.domain is not None and "openid" in scopes


def logout_url(domain: str, client_id: str, back: str) -> str:
    """Return Cognito's /logout URL (AWS: "The managed login sign-out endpoint"). `back` must be in
    LogoutURLs."""
    return f"{domain.rstrip('/')}/logout?{urlencode({'client_id': client_id, 'logout_uri': back})}"
