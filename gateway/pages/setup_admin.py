"""An administrator's right to change, on the set-up page, what the page has stored.

A session alone is not enough: it may be old, and a script on the API's pages can use it. Invariant: a user
who changes the connection has just given the password, and Cognito confirms that they are still an
administrator.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.aws.values import Tokens
from gateway.errors import GatewayError, NotFound
from gateway.pages import refusal_texts, unconfirmed
from gateway.pages.refusal_texts import RefusalText
from gateway.pages.turn import Turn
from gateway.sessions.page_request import PageRequest
from gateway.sessions.session import Session
from gateway.texts import Text

if TYPE_CHECKING:
    from gateway.pages.portal import Portal


def may_change(portal: Portal, page: PageRequest) -> bool:
    """Return whether the caller may change what the form stored; the form never changes a configuration
    file."""
    sign_in = portal.config.sign_in
    if not portal.config.cognito.stored or sign_in.state_dir is None or page.principal is None:
        return False
    return bool(set(sign_in.admin_groups) & set(page.principal.claims.groups))


async def objection(portal: Portal, page: PageRequest) -> RefusalText | None:
    """Return why the caller may not change it; None if they may. Raises NotFound, SessionsUnavailable or
    NoKeys."""
    session = page.session
    if session is None:
        return _ENDED
    if refusal_text := await _password(portal, page, session):
        return refusal_text
    if not await portal.ask_again(page):
        return _ENDED if page.session is None else _NOT_ASKED
    if not may_change(portal, page):
        raise NotFound("the caller may no longer change the connection")
    return None


_ENDED = RefusalText(Text("Your session has expired. Sign in to continue."), next="again")
_NOT_ASKED = RefusalText(
    Text("We couldn't check with Cognito that you're an administrator. Try again."), status=503
)


async def _password(portal: Portal, page: PageRequest, session: Session) -> RefusalText | None:
    """Return what is wrong with the password. A second factor is not asked again: the session began with
    it."""
    turn = Turn(portal, page, portal.pages.pool(session.pool_id))
    password = page.form.get("password", "")
    if not password:
        return RefusalText(Text("Enter your password"), "password")
    keys = turn.guessing(session.username)
    if refusal_text := turn.admit(keys):
        return refusal_text
    try:
        outcome = await turn.ask(lambda adapter: adapter.sign_in(session.username, password))
    except GatewayError as error:
        refusal_text = refusal_texts.sign_in(error)
        turn.report("setup", error, refusal_text)
        if unconfirmed.alike(refusal_text):
            return RefusalText(Text("Incorrect password."), "password")
        turn.take_back(keys)
        return refusal_text
    turn.taken(keys, outcome)
    if isinstance(outcome, Tokens) and outcome.refresh:
        # These tokens only proved the password: revoke them. The session keeps its device.
        try:
            await portal.users.revoke(replace(session, refresh=outcome.refresh, device_key=""))
        except GatewayError as error:
            turn.report("setup", error, refusal_texts.general(error))
    return None
