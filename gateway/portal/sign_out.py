"""Signing out: here, or everywhere; Cognito's own session in the browser ends with it where there is one.

Invariant: whatever Cognito says, the session is over for this gateway once this has answered; that Cognito
could not be told is said in so many words.
"""

from __future__ import annotations

from urllib.parse import urlencode

from gateway.portal import respond
from gateway.portal.home import names
from gateway.portal.page import PageRequest
from gateway.portal.portal import Portal
from gateway.portal.return_to import return_path
from gateway.proxy.answers import Answer

_NOT_TOLD = (
    "You are signed out of this site. Cognito could not be reached, so tokens that were copied from here "
    "stay good until they end by themselves."
)
_NOT_EVERYWHERE = (
    "You are signed out of this site. Cognito did not end your sessions elsewhere: they go on until they end "
    "by themselves."
)


async def show(portal: Portal, page: PageRequest) -> Answer:
    """GET: a question, for who comes by a link. Following one changes nothing (RFC 9110 section 9.2.1), else
    any site's picture could sign its visitors out."""
    wanted = return_path(page.query.get("return_to") or page.query.get("rd"))
    if page.session is None:
        return respond.see_other(f"{page.prefix}/sign_in?notice=signed_out" if wanted == "/" else wanted)
    return await portal.pages.show(
        page,
        "sign_out",
        "Sign out?",
        lead=names(page.session, await portal.id_claims(page))[0],
        after=f"{page.prefix}/sign_in?notice=signed_out" if wanted == "/" else wanted,
    )


async def sign_out(portal: Portal, page: PageRequest) -> Answer:
    """POST: `everywhere` ends all sessions of the user, `return_to` says where to go afterwards."""
    session = page.session
    everywhere = page.form.get("everywhere") == "yes"
    told = await portal.sessions.end(page, everywhere=everywhere)
    pool = None if session is None else portal.pool(session.pool_id)
    onward = None
    if session is not None and pool is not None and pool.domain is not None:
        onward = logout_url(pool.domain, session.client_id, page.url("/"))
    if not told:
        sentence = _NOT_EVERYWHERE if everywhere else _NOT_TOLD
        # Managed login's own session is still there: the next sign-in would ask for nothing.
        back = None if onward is None else ("Go on", onward)
        return respond.message("Signed out here", [sentence], status=502, prefix=page.prefix, back=back)
    if onward is not None:
        return respond.see_other(onward)
    wanted = return_path(page.form.get("return_to"))
    return respond.see_other(f"{page.prefix}/" if wanted == "/" else wanted)


def logout_url(domain: str, client_id: str, back: str) -> str:
    """AWS, "The managed login sign-out endpoint": `back` must be one of the app client's LogoutURLs."""
    return f"{domain.rstrip('/')}/logout?{urlencode({'client_id': client_id, 'logout_uri': back})}"
