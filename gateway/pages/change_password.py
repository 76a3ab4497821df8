"""`/change_password`: a signed-in user replaces a known password.

Invariant: Cognito is called with the access token of the session that asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gateway.errors import GatewayError
from gateway.http.answers import Answer
from gateway.pages import refusal_texts
from gateway.pages.password_rules import broken, rules
from gateway.pages.refusal_texts import RefusalText
from gateway.pages.renewed import signed_in_again
from gateway.pages.respond import see_other
from gateway.pages.turn import Turn
from gateway.sessions.page_request import PageRequest
from gateway.sessions.session import Session
from gateway.texts import Text

if TYPE_CHECKING:
    from gateway.pages.portal import Portal


async def show(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET: show the form."""
    at = _at(portal, page)
    return at if isinstance(at, Answer) else await _form(*at)


async def submit(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST: change the password and end the user's other sessions."""
    at = _at(portal, page)
    if isinstance(at, Answer):
        return at
    turn, session = at
    old, new = page.form.get("password", ""), page.form.get("new_password", "")
    errors = {} if old else {"password": Text("Enter your current password")}
    sentence = broken(await turn.policy(), new)
    if sentence is not None:
        errors["new_password"] = sentence
    if errors:
        return await _form(turn, session, errors=errors)
    keys = turn.guessing(session.username)
    if refusal_text := turn.admit(keys):
        return await _form(turn, session, refusal_text=refusal_text)
    try:
        await turn.ask_account(lambda accounts: accounts.change_password(session.access, old, new))
    except GatewayError as error:
        refusal_text = refusal_texts.change_password(error)
        turn.report("change_password", error, refusal_text)
        if refusal_text.field != "password":
            turn.take_back(keys)
        if refusal_text.next == "again":
            await portal.sessions.end(page)
            return turn.to("/sign_in", notice="ended")
        return await _form(turn, session, refusal_text=refusal_text)
    turn.take_back(keys)
    # Sessions opened with the old password end: it may have been changed because someone else knew it.
    ended = await portal.sessions.end(page, everywhere=True)
    return await signed_in_again(turn, session.username, new, notice="changed" if ended else "changed_here")


def _at(portal: Portal, page: PageRequest) -> tuple[Turn, Session] | Answer:
    """Return the turn and its session. Raises NotFound if passwords are changed on Cognito's own pages."""
    session = page.session
    if session is None or session.pool_id not in portal.pages.pools:
        return see_other(f"{page.prefix}/sign_in?return_to={page.prefix}/change_password")
    pool = portal.pages.pool(session.pool_id)
    pool.need_own_pages()
    return Turn(portal, page, pool), session


async def _form(
    turn: Turn,
    session: Session,
    *,
    refusal_text: RefusalText | None = None,
    errors: Mapping[str, str] | None = None,
) -> Answer:
    return await turn.show(
        "change_password",
        Text("Change your password"),
        refusal_text=refusal_text,
        errors=errors,
        username=session.username,
        rules=rules(await turn.policy()),
    )
