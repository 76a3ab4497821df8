"""`/authorize`: MCP clients send users here to sign in and then to consent (pages/consent.py).

Invariant: no redirect to an address that the client did not register; other errors are reported to the client
by redirect (RFC 6749 section 4.1.2.1).
"""

from __future__ import annotations

from gateway.errors import NotFound
from gateway.http.answers import Answer
from gateway.mcp.authorization import read, redirect_address, redirect_of
from gateway.mcp.oauth_error import OAuthError
from gateway.mcp.pending import Pending
from gateway.pages.portal import Portal
from gateway.pages.respond import see_other
from gateway.pages.sign_in_target import SignInTarget
from gateway.sessions.page_request import PageRequest


async def show(portal: Portal, page: PageRequest) -> Answer:
    """Answer GET: start the authorization, and redirect to sign-in or consent."""
    door = portal.mcp
    if door is None:
        raise NotFound
    client = await door.client(page.query.get("client_id", ""))
    uri = redirect_of(page.query, client)
    door.need_redirect(uri, client.host)
    try:
        authorization = read(page.query, client, resource=door.mcp.resource, scopes=door.scopes)
    except OAuthError as error:
        door.refused(page.request, error)
        reported = {"error": error.error, "error_description": error.sentence}
        return see_other(redirect_address(uri, page.query.get("state"), door.issuer, **reported))
    return see_other(sign_in_address(portal, page, door.begin(page, authorization)))


def sign_in_address(portal: Portal, page: PageRequest, waiting: Pending) -> str:
    """Return the address of a new sign-in for this authorization, even if the browser has a session: its
    tokens are never given to a client."""
    portal.need_pool()
    pools = portal.config.cognito.sign_in_pools
    managed = len(pools) == 1 and pools[0].managed
    target = SignInTarget(None, page.prefix + waiting.return_to, _acr_values(portal, page))
    if not managed:
        return target.link(page, "/sign_in", again="1")
    # Managed login would otherwise answer with the browser's session at Cognito, however old.
    return target.link(page, "/start", max_age="0")


def _acr_values(portal: Portal, page: PageRequest) -> str:
    """Return what the client asks for, if a route does (RFC 9470 section 4), else what the resource needs."""
    given = page.query.get("acr_values", "")
    if given in portal.pages.levels:
        return given
    return "" if portal.mcp is None else portal.mcp.acr_values
