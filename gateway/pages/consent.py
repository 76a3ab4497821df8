"""`/consent`: asks the user who has just signed in whether an application may use the MCP server as them.

Invariant: the client gets a code only when the browser that began the authorization submits this page's form
with the user's choice to allow it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from gateway.errors import AuthorizationExpired, NotFound, SessionsUnavailable
from gateway.http.answers import Answer
from gateway.mcp.front_door import FrontDoor
from gateway.mcp.pending import Pending
from gateway.pages import refusal_texts, respond
from gateway.pages.attempts import CONSENT
from gateway.pages.authorize import sign_in_address
from gateway.pages.portal import Portal
from gateway.pages.respond import see_other
from gateway.sessions.page_request import PageRequest
from gateway.sessions.replicas import StoreUnavailable
from gateway.texts import Text


async def show(portal: Portal, page: PageRequest) -> Answer:
    """Answer GET: show client and scopes for consent, or redirect to the sign-in that is missing."""
    _, waiting = _waiting(portal, page, page.query.get("request", ""))
    if waiting.session is None:
        return see_other(sign_in_address(portal, page, waiting))
    asked = waiting.authorization
    answer = await portal.pages.show(
        page,
        "consent",
        Text("Allow access?"),
        unverified_name=asked.unverified_name,
        redirect_uri=asked.redirect_uri,
        redirect_to=_place(asked.redirect_uri),
        resource=portal.config.mcp.resource if portal.config.mcp else "",
        scopes=asked.scopes,
        user=waiting.user,
        kept={"request": waiting.tab},
    )
    # Browsers apply form-action to the redirect after a form as well (CSP level 3).
    answer.headers.append(
        (
            b"Content-Security-Policy",
            respond.policy([_source(asked.redirect_uri)], script="'none'").encode("ascii"),
        )
    )
    return answer


async def submit(portal: Portal, page: PageRequest) -> Answer:
    """Answer POST: complete the authorization as the user decided."""
    door, waiting = _waiting(portal, page, page.form.get("request", ""))
    session = waiting.session
    if session is None:
        return see_other(sign_in_address(portal, page, waiting))
    if page.form.get("decision") != "allow":
        return see_other(door.deny(page, waiting, session))
    attempts, keys = portal.pages.attempts, [(CONSENT, f"{session.pool_id}\0{session.subject}")]
    if told := refusal_texts.wait(attempts.wait(keys, page.moment)):
        return await portal.pages.show(
            page,
            "consent",
            Text("Allow access?"),
            problem=told.sentence,
            status=told.status,
            retry_after=told.retry_after,
        )
    attempts.count(keys, page.moment)
    try:
        return see_other(await door.allow(page, waiting, session))
    except StoreUnavailable as unavailable:
        raise SessionsUnavailable(str(unavailable)) from None


def _waiting(portal: Portal, page: PageRequest, tab: str) -> tuple[FrontDoor, Pending]:
    if portal.mcp is None:
        raise NotFound
    waiting = portal.mcp.pending(page, tab)
    if waiting is None:
        raise AuthorizationExpired("this browser has no pending authorization of that name")
    return portal.mcp, waiting


def _place(uri: str) -> str:
    """Return the part of a redirect URI that names its target: a host, or an application's own scheme."""
    parts = urlsplit(uri)
    return parts.netloc if parts.scheme in {"http", "https"} else f"{parts.scheme}:"


def _source(uri: str) -> str:
    """Return the CSP source that covers a redirect URI; CSP's grammar has no IPv6 addresses."""
    parts = urlsplit(uri)
    web = parts.scheme in {"http", "https"} and "[" not in parts.netloc
    return f"{parts.scheme}://{parts.netloc}" if web else f"{parts.scheme}:"
