"""`/account`: a signed-in user's profile and ways to sign in, with links to the pages that change them.

Invariant: what the pool, the app client or the session's token does not allow is not shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.aws.values import OwnUser
from gateway.http.answers import Answer
from gateway.pages.account_access import holder, read
from gateway.pages.attributes import PREFIX, fields_for
from gateway.pages.own_sessions import lists_sessions
from gateway.pages.profile_fields import editable, unverified
from gateway.pages.providers import is_federated
from gateway.pages.second_factor import factors_of
from gateway.pages.turn import Turn
from gateway.sessions.page_request import PageRequest
from gateway.sessions.session import Session
from gateway.texts import Text

if TYPE_CHECKING:
    from gateway.pages.portal import Portal

NOTICES = {
    "saved": Text("Your profile is saved."),
    "verified": Text("Your profile is saved, and the address is verified."),
    "factor": Text("Your second step is changed."),
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One attribute as the page shows it. `verify`: its name, if it awaits a code."""

    label: str
    value: str
    verify: str | None


async def show(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET."""
    at = holder(portal, page, recent=False)
    if isinstance(at, Answer):
        return at
    turn, session = at
    own = await read(turn, session)
    return own if isinstance(own, Answer) else await _page(turn, session, own)


async def _page(turn: Turn, session: Session, own: OwnUser) -> Answer:
    described = await turn.pool.described()
    # A provider's users have neither password nor second factor here.
    federated = is_federated(await turn.portal.id_claims(turn.page))
    names = editable(described, own, turn.portal.config.sign_in.sign_up_attributes)
    values = {PREFIX + name: own.attributes.get(name, "") for name in names}
    facts = [
        Fact(each.label, each.value, each.name if unverified(own, each.name) else None)
        for each in fields_for(names, values)
        if each.value
    ]
    return await turn.show(
        "account",
        Text("Your account"),
        notice=NOTICES.get(turn.page.query.get("notice", "")),
        facts=facts,
        edits=bool(names),
        changes_password=not turn.pool.managed and not federated,
        factors=[] if federated else factors_of(described, own),
        sessions=await lists_sessions(turn, session),
        passkeys=not federated and await turn.pool.takes_passkeys(turn.page.origin),
    )
