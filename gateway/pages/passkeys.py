"""`/passkeys` and `/add_passkey`: a signed-in user lists, adds and deletes their passkeys.

Cognito names a passkey after the program or device that holds it, and has no operation to rename one.
Invariant: both pages follow a recent sign-in, and Cognito is called with the access token of their session.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.aws.values import Passkey
from gateway.errors import GatewayError, NotFound
from gateway.http.answers import Answer
from gateway.pages import passkey_autofill, refusal_texts
from gateway.pages.account_access import holder
from gateway.pages.features import CREATE, allowing
from gateway.pages.home import Moment, moment
from gateway.pages.refusal_texts import RefusalText
from gateway.pages.respond import see_other
from gateway.pages.turn import Turn
from gateway.sessions.page_request import PageRequest
from gateway.sessions.session import Session
from gateway.texts import Text

if TYPE_CHECKING:
    from gateway.pages.portal import Portal

NOTICES = {
    "added": Text("Your passkey is ready. You can use it the next time you sign in."),
    "deleted": Text("The passkey is deleted. Remove it from your device as well."),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A passkey as the page shows it."""

    id: str
    name: str
    added: Moment


async def show(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET /passkeys."""
    at = await _at(portal, page)
    return at if isinstance(at, Answer) else await _list(*at)


async def delete(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST /passkeys: delete one."""
    at = await _at(portal, page)
    if isinstance(at, Answer):
        return at
    turn, session = at
    passkey_id = page.form.get("passkey", "")
    if refusal_text := turn.admit([]):
        return await _list(turn, session, refusal_text=refusal_text)
    try:
        await turn.ask_own(lambda own: own.delete_passkey(session.access, passkey_id))
    except GatewayError as error:
        return await _refused(turn, session, error, refusal_texts.own_account(error))
    turn.audit("passkey_deleted", session)
    return see_other(f"{page.prefix}/passkeys?notice=deleted")


async def show_new(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET /add_passkey: show the page that asks the browser for a passkey."""
    at = await _at(portal, page)
    if isinstance(at, Answer):
        return at
    turn, session = at
    if refusal_text := turn.admit([]):
        return await _list(turn, session, refusal_text=refusal_text)
    try:
        options = await turn.ask_own(lambda own: own.begin_passkey(session.access))
    except GatewayError as error:
        return await _refused(turn, session, error, refusal_texts.new_passkey(error))
    answer = await turn.show("add_passkey", Text("Add a passkey"), request=json.dumps(options))
    return allowing(answer, CREATE)


async def add(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST /add_passkey: register what the browser made."""
    at = await _at(portal, page)
    if isinstance(at, Answer):
        return at
    turn, session = at
    if refusal_text := turn.admit([]):
        return await _new_refused(turn, refusal_text)
    credential = _object(page.form.get("credential", ""))
    if credential is None:
        return await _new_refused(turn, RefusalText(Text("That passkey couldn't be added. Try again.")))
    try:
        await turn.ask_own(lambda own: own.finish_passkey(session.access, credential))
    except GatewayError as error:
        refusal_text = refusal_texts.new_passkey(error)
        if refusal_text.next == "again":
            return await _refused(turn, session, error, refusal_text)
        turn.report("passkeys", error, refusal_text)
        return await _new_refused(turn, refusal_text)
    turn.audit("passkey_added", session)
    passkey_autofill.remember(turn, session.username)
    return see_other(f"{page.prefix}/passkeys?notice=added")


async def _at(portal: Portal, page: PageRequest) -> tuple[Turn, Session] | Answer:
    """Return turn and session. Raises NotFound where nobody can sign in with a passkey."""
    at = holder(portal, page)
    if isinstance(at, Answer):
        return at
    turn, _ = at
    if not await turn.pool.takes_passkeys(page.origin):
        raise NotFound("nobody signs in with a passkey here")
    return at


async def _list(turn: Turn, session: Session, *, refusal_text: RefusalText | None = None) -> Answer:
    try:
        found = await turn.ask_own(lambda own: own.passkeys(session.access))
    except GatewayError as error:
        return await _refused(turn, session, error, refusal_texts.own_account(error), listed=[])
    return await _page(turn, found, refusal_text)


async def _page(turn: Turn, found: list[Passkey], refusal_text: RefusalText | None = None) -> Answer:
    now = turn.page.now
    return await turn.show(
        "passkeys",
        Text("Passkeys"),
        refusal_text=refusal_text,
        notice=NOTICES.get(turn.page.query.get("notice", "")),
        passkeys=[Shown(each.id, _name(each), moment(each.created, now)) for each in found],
    )


def _name(passkey: Passkey) -> str:
    return passkey.name or (Text("Security key") if passkey.roaming else Text("Passkey"))


async def _refused(
    turn: Turn,
    session: Session,
    error: GatewayError,
    refusal_text: RefusalText,
    *,
    listed: list[Passkey] | None = None,
) -> Answer:
    """Answer a refusal of Cognito's. `listed`: what to show where the list itself was refused."""
    turn.report("passkeys", error, refusal_text)
    if refusal_text.next == "again":
        await turn.portal.sessions.end(turn.page)
        return turn.to("/sign_in", notice="ended")
    if turn.page.method == "GET" and listed is None:
        if refusal_text == refusal_texts.NO_PASSKEYS:
            turn.pool.passkeys_were_refused()
        return await _list(turn, session, refusal_text=refusal_text)
    return await _page(turn, listed or [], refusal_text)


async def _new_refused(turn: Turn, refusal_text: RefusalText) -> Answer:
    """Redirect to the page that asks the browser again, with the reason."""
    return await turn.show("add_passkey", Text("Add a passkey"), refusal_text=refusal_text, request="{}")


def _object(text: str) -> dict[str, Any] | None:
    """Return the JSON object that the script sent; Cognito verifies it."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
