"""`/delete_account`: a signed-in user deletes their account, permanently.

Invariant: it takes a recent sign-in and the account's name typed once more, and no session of the user is
left here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import GatewayError
from gateway.http.answers import Answer
from gateway.pages.account_access import called, ended, holder
from gateway.pages.turn import Turn
from gateway.sessions.page_request import PageRequest
from gateway.sessions.session import Session
from gateway.texts import Text

if TYPE_CHECKING:
    from gateway.pages.portal import Portal


async def show(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET: ask for the account's name."""
    at = holder(portal, page)
    return at if isinstance(at, Answer) else await _form(*at)


async def submit(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST: delete the account."""
    at = holder(portal, page)
    if isinstance(at, Answer):
        return at
    turn, session = at
    if page.form.get("name", "").strip().casefold() != (await called(turn, session)).casefold():
        return await _form(turn, session, wrong=True)
    if turn.admit([]) is not None:
        return await _form(turn, session)
    try:
        await turn.ask_own(lambda own: own.delete(session.access))
    except GatewayError as error:
        return await ended(turn, "delete_account", error)
    turn.audit("account_deleted", session)
    # Cognito has no tokens of this user any more; the sessions here end at once.
    await portal.sessions.sign_out(page, everywhere=True)
    return turn.to("/sign_in", notice="deleted")


async def _form(turn: Turn, session: Session, *, wrong: bool = False) -> Answer:
    name = await called(turn, session)
    errors = {"name": Text("Type {name}", name=name)} if wrong else None
    return await turn.show("delete_account", Text("Delete your account"), errors=errors, name=name)
