"""A recent sign-in before an account is changed: otherwise the user signs in again and comes back.

Invariant: nothing of an account is changed by a session whose user has not proved who they are within
RECENT seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from gateway.http.answers import Answer
from gateway.pages.respond import see_other
from gateway.pages.turn import Turn
from gateway.sessions.page_request import PageRequest
from gateway.sessions.session import Session

if TYPE_CHECKING:
    from gateway.pages.portal import Portal

# Seconds since the sign-in: long enough for one visit to the account's pages.
RECENT = 900.0
# Cognito's API for users accepts only access tokens with this scope (developer guide, "Scopes").
SCOPE = "aws.cognito.signin.user.admin"


def owner(
    portal: Portal, page: PageRequest, *, recent: bool = True, back: str = ""
) -> tuple[Turn, Session] | Answer:
    """Return the turn and the session of a signed-in user, or a redirect to sign in and come back to the page
    `back`, by default this one.

    `recent`: the sign-in must not be older than RECENT seconds."""
    session = page.session
    back = page.prefix + (back or page.path)
    if session is None or session.pool_id not in portal.pages.pools:
        return see_other(f"{page.prefix}/sign_in?return_to={back}")
    if recent and page.now - signed_in_at(page, session) > RECENT:
        return see_other(_again(portal, page, session.pool_id, back))
    return Turn(portal, page, portal.pages.pool(session.pool_id)), session


def signed_in_at(page: PageRequest, session: Session) -> float:
    """Return when the user last proved who they are: at managed login that may be earlier than the session
    here."""
    said = None if page.principal is None else page.principal.claims.every.get("auth_time")
    return min(float(said), session.created) if isinstance(said, (int, float)) else session.created


def may_manage(page: PageRequest) -> bool:
    """Return whether the session's token opens Cognito's API for users."""
    return page.principal is not None and SCOPE in page.principal.claims.scopes


def _again(portal: Portal, page: PageRequest, pool_id: str, back: str) -> str:
    fields = {"return_to": back, "pool": pool_id}
    if portal.pages.pool(pool_id).managed:
        return f"{page.prefix}/start?{urlencode({**fields, 'max_age': str(int(RECENT))})}"
    return f"{page.prefix}/sign_in?{urlencode({**fields, 'again': '1', 'notice': 'again'})}"
