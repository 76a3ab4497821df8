"""`/sessions`: where a signed-in user is signed in, by Cognito's list; ends one session, or all others.

Only pools that track sessions have such a list. Invariant: a session is ended only if Cognito lists it as one
of this user's, and never the one in use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.aws.values import CognitoRefused, UserSession
from gateway.errors import GatewayError, NotFound
from gateway.http.answers import Answer
from gateway.pages import refusal_texts
from gateway.pages.account_access import ended, holder
from gateway.pages.home import Moment, moment
from gateway.pages.refusal_texts import RefusalText
from gateway.pages.respond import see_other
from gateway.pages.turn import Turn
from gateway.sessions.page_request import PageRequest
from gateway.sessions.session import Session
from gateway.texts import Text

if TYPE_CHECKING:
    from gateway.aws.own_account import OwnAccount
    from gateway.pages.portal import Portal

NOTICES = {
    "one": Text("That session is signed out."),
    "others": Text("You are signed out everywhere else."),
}
# API reference, ListUserSessions: the pool does not track sessions, or its tier cannot.
_UNTRACKED = frozenset({"OperationNotEnabledException", "FeatureUnavailableInTierException"})
# The sessions in this process that are checked after one was ended: as many as pools allow a user by
# default.
_MOST_HERE = 20


@dataclass(frozen=True, slots=True)
class ShownSession:
    """A session as the page shows it. `place`: address and location, where they are the user's."""

    id: str
    name: str
    created: Moment
    active: Moment
    place: str
    current: bool


async def lists_sessions(turn: Turn, session: Session) -> bool:
    """Return whether Cognito lists this user's sessions: asked once, then remembered where it does not."""
    if not turn.pool.lists_sessions:
        return False
    try:
        await turn.ask_own(lambda own: own.sessions(session.access))
    except GatewayError as error:
        _remember(turn, error)
        return False
    return True


async def show(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET."""
    at = holder(portal, page)
    return at if isinstance(at, Answer) else await _list(*at)


async def end(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST: end one session, or with `others` all but this one."""
    at = holder(portal, page)
    if isinstance(at, Answer):
        return at
    turn, session = at
    if refusal_text := turn.admit([]):
        return await _list(turn, session, refusal_text=refusal_text)
    others, chosen = page.form.get("others") == "yes", page.form.get("session", "")
    try:
        count = await turn.ask_own(lambda own: _end(own, session.access, None if others else chosen))
    except GatewayError as error:
        return await _refused(turn, error)
    if others:
        turn.audit("sessions_ended", session)
        # Those in this gateway at once: their access tokens would be accepted until they expire.
        await portal.sessions.end_others(page)
    elif count:
        turn.audit("session_ended", session)
        await _end_here(turn, session)
    notice = "others" if others else "one"
    # Where it had ended already, the list says so.
    return see_other(f"{page.prefix}/sessions" + (f"?notice={notice}" if count or others else ""))


async def _end_here(turn: Turn, session: Session) -> None:
    """End the sessions in this process that Cognito has just ended: its list does not say which they are, so
    each token is shown to Cognito."""
    sessions = turn.portal.sessions
    for other in sessions.others(session)[:_MOST_HERE]:
        try:
            await turn.ask_own(lambda own, other=other: own.read(other.access))  # type: ignore[misc]
        except GatewayError as error:
            if refusal_texts.own_account(error) == refusal_texts.ENDED:
                await sessions.end_other(other)


def _end(own: OwnAccount, access: str, chosen: str | None) -> int:
    """End the chosen session, or all others; return how many. Runs in a thread."""
    found = own.sessions(access)
    here = _here(found)
    count = 0
    for each in found:
        if each.id in here or chosen not in {None, each.id}:
            continue
        # The browser's session behind it too: it would sign in again by itself. But not this browser's.
        linked = each.origin not in here if each.origin else _leads_elsewhere(each, found, here)
        try:
            own.end_session(access, each.id, linked=linked)
        except CognitoRefused as refused:
            # API reference, RevokeUserSession: the one in use. Cognito's lists are eventually consistent, and
            # may not say yet which one that is.
            if refused.code != "InvalidParameterException":
                raise
        else:
            count += 1
    return count


def _here(found: Sequence[UserSession]) -> frozenset[str]:
    """Return the IDs of the session in use and of the browser's session behind it."""
    current = [each for each in found if each.current]
    return frozenset(filter(None, (name for each in current for name in (each.id, each.origin))))


def _leads_elsewhere(browser: UserSession, found: Sequence[UserSession], here: frozenset[str]) -> bool:
    """Return whether ending what came through this browser's session leaves the one in use alone."""
    return browser.browser and not any(each.origin == browser.id and each.id in here for each in found)


async def _list(turn: Turn, session: Session, *, refusal_text: RefusalText | None = None) -> Answer:
    try:
        found = await turn.ask_own(lambda own: own.sessions(session.access))
    except GatewayError as error:
        return await _refused(turn, error)
    shown = _shown(turn, found)
    return await turn.show(
        "sessions",
        Text("Where you're signed in"),
        refusal_text=refusal_text,
        notice=NOTICES.get(turn.page.query.get("notice", "")),
        sessions=shown,
        others=any(not each.current for each in shown),
    )


def _shown(turn: Turn, found: Sequence[UserSession]) -> list[ShownSession]:
    """Return what the page shows: one entry for tokens and the browser's session that they came through."""
    now, here = turn.page.now, _here(found)
    behind = {each.origin for each in found if each.origin}
    current = next((each for each in found if each.current), None)
    # Sign-ins on our own pages reach Cognito from the gateway: then it is the gateway that Cognito describes.
    ours = current.address if current is not None and current.address != turn.page.client else ""
    shown = []
    for each in found:
        if each.browser and each.id in behind:
            continue
        told = not ours or each.address != ours
        shown.append(
            ShownSession(
                each.id,
                _name(each, told=told),
                moment(each.created, now),
                moment(each.active, now),
                " · ".join(filter(None, (each.address, each.place))) if told else "",
                each.id in here,
            )
        )
    return sorted(shown, key=lambda each: not each.current)


def _name(session: UserSession, *, told: bool) -> str:
    if session.current:
        return Text("This browser")
    return (session.device if told else "") or Text("Another browser or program")


async def _refused(turn: Turn, error: GatewayError) -> Answer:
    if _remember(turn, error):
        raise NotFound("the user pool does not track sessions")
    return await ended(turn, "sessions", error)


def _remember(turn: Turn, error: GatewayError) -> bool:
    """Return whether Cognito lists no sessions of this pool, and remember it."""
    untracked = isinstance(error, CognitoRefused) and error.code in _UNTRACKED
    if untracked:
        turn.pool.sessions_were_refused()
    elif not isinstance(error, CognitoRefused):
        turn.report("sessions", error, refusal_texts.own_account(error))
    return untracked
