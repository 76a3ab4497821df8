"""What the pages of a signed-in user's own account have in common: who may open them, and what Cognito says.

Invariant: nothing of an account is shown or changed without a token that opens Cognito's API for users.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.aws.values import OwnUser
from gateway.errors import GatewayError, NotFound
from gateway.http.answers import Answer
from gateway.pages import refusal_texts
from gateway.pages.recent import may_manage, owner
from gateway.pages.turn import Turn
from gateway.sessions.page_request import PageRequest
from gateway.sessions.session import Session
from gateway.texts import Text

if TYPE_CHECKING:
    from gateway.pages.portal import Portal


def holder(
    portal: Portal, page: PageRequest, *, recent: bool = True, back: str = ""
) -> tuple[Turn, Session] | Answer:
    """Return turn and session, as recent.owner does. Raises NotFound where the token does not suffice."""
    at = owner(portal, page, recent=recent, back=back)
    if not isinstance(at, Answer) and not may_manage(page):
        raise NotFound("the session's token does not open Cognito's API for users")
    return at


async def read(turn: Turn, session: Session) -> OwnUser | Answer:
    """Return the account as Cognito has it, or the answer where it refuses."""
    try:
        return await turn.ask_own(lambda own: own.read(session.access))
    except GatewayError as error:
        return await ended(turn, "account", error)


async def ended(turn: Turn, form: str, error: GatewayError) -> Answer:
    """Answer a refusal that leaves nothing to show: the session is over, or Cognito is not there."""
    refusal_text = refusal_texts.own_account(error)
    turn.report(form, error, refusal_text)
    if refusal_text.next == "again":
        await turn.portal.sessions.end(turn.page)
        return turn.to("/sign_in", notice="ended")
    return turn.portal.pages.message(
        turn.page, Text("Your account"), [Text.of(refusal_text.sentence)], status=refusal_text.status
    )


async def called(turn: Turn, session: Session) -> str:
    """Return what people call the account: its address where there is one, as the username may be a UUID."""
    claims = await turn.portal.id_claims(turn.page)
    email = None if claims is None else claims.every.get("email")
    return email if isinstance(email, str) and email else session.username
