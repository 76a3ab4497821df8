"""The right of a signed-in administrator to change on the set-up page what it has stored.

A session alone is not enough: a script on the API's pages may use one, and it may be an old one. Invariant:
who changes the connection has just given the password, and Cognito says that they are an administrator still.
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

if TYPE_CHECKING:
    from gateway.pages.portal import Portal


def may_change(portal: Portal, page: PageRequest) -> bool:
    """Whether the caller may change what the form stored; what the file says only the file changes."""
    sign_in = portal.config.sign_in
    if not portal.config.cognito.stored or sign_in.state_dir is None or page.principal is None:
        return False
    return bool(set(sign_in.admin_groups) & set(page.principal.claims.groups))


async def objection(portal: Portal, page: PageRequest) -> RefusalText | None:
    """Why they may not after all; None: they may. Raises NotFound, SessionsUnavailable or NoKeys."""
    session = page.session
    if session is None:
        return _ENDED
    if told := await _password(portal, page, session):
        return told
    if not await portal.ask_again(page):
        return _ENDED if page.session is None else _NOT_ASKED
    if not may_change(portal, page):
        raise NotFound("this is nobody who may change the connection any more")
    return None


_ENDED = RefusalText("Your session has expired. Sign in to continue.", next="again")
_NOT_ASKED = RefusalText(
    "We couldn't check with Cognito that you're an administrator. Try again.", status=503
)


async def _password(portal: Portal, page: PageRequest, session: Session) -> RefusalText | None:
    """What is wrong with it. What Cognito asks for next, a second factor, the session was begun with."""
    turn = Turn(portal, page, portal.pages.pool(session.pool_id))
    password = page.form.get("password", "")
    if not password:
        return RefusalText("Enter your password", "password")
    keys = turn.guessing(session.username)
    if told := turn.admit(keys):
        return told
    try:
        outcome = await turn.ask(lambda adapter: adapter.sign_in(session.username, password))
    except GatewayError as error:
        told = refusal_texts.sign_in(error)
        turn.report("setup", error, told)
        if unconfirmed.alike(told):
            return RefusalText("Incorrect password.", "password")
        turn.take_back(keys)
        return told
    turn.taken(keys, outcome)
    if isinstance(outcome, Tokens) and outcome.refresh:
        # They were asked for to see the password, and are nobody's; the session keeps its device.
        try:
            await portal.users.revoke(replace(session, refresh=outcome.refresh, device_key=""))
        except GatewayError as error:
            turn.report("setup", error, refusal_texts.general(error))
    return None
