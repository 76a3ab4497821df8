"""`/passkey_options` and `/passkey`: the sign-in form's autofill offers the passkey used here last.

Cognito's challenge is for one user, so the browser must know who it may be: a sealed cookie holds the name of
the user who last used or added a passkey here. The script of the sign-in form fetches the challenge, and the
browser offers the passkey in the list under the field ("conditional mediation", WebAuthn level 3).

Invariant: the name is never shown, and a step begun here is separate from one begun by a form.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gateway.aws.relying_party import PASSKEY
from gateway.aws.values import Challenge, Tokens
from gateway.errors import GatewayError
from gateway.http.answers import Answer
from gateway.pages import refusal_texts, sign_in_steps
from gateway.pages.kept import forget_step, keep_step, kept_step, new_step
from gateway.pages.respond import see_other
from gateway.pages.turn import Turn, turn_of
from gateway.sessions.page_request import PageRequest

if TYPE_CHECKING:
    from gateway.pages.portal import Portal

_COOKIE = "passkey"
# Half a year: the browser forgets someone who has not used a passkey here for so long.
_LIFE = 183 * 86400.0
_STEP = "passkey_step"
_BINDING = b"passkey"


def remember(turn: Turn, username: str) -> None:
    """Remember that this user has used or added a passkey in this browser."""
    page, text = turn.page, json.dumps([turn.pool.id, username]).encode()
    sealed = turn.portal.sealers.challenge.seal(text, until=page.now + _LIFE, binding=_BINDING)
    page.set_cookies += page.cookies.set_split(_COOKIE, sealed, max_age=_LIFE)


def forget(page: PageRequest) -> None:
    page.set_cookies += page.cookies.clear_split(_COOKIE)


async def offered(turn: Turn) -> bool:
    """Return whether the sign-in form fetches a challenge."""
    return bool(_remembered(turn)) and await turn.pool.takes_passkeys(turn.page.origin)


async def options(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST by the script: return the options for the browser and the step that they belong to, or
    nothing."""
    turn = turn_of(portal, page)
    if isinstance(turn, Answer):
        return _nothing()
    username = _remembered(turn)
    if not username or not await turn.pool.takes_passkeys(page.origin) or turn.admit([]) is not None:
        return _nothing()
    try:
        turn = await turn.toward(username)
        outcome = await turn.ask(lambda adapter: adapter.begin(username, PASSKEY, turn.acr_values))
    except GatewayError as error:
        turn.report("passkey", error, refusal_texts.passkey(error))
        return _nothing()
    if not isinstance(outcome, Challenge) or outcome.name != PASSKEY:
        if not turn.acr_values:
            forget(page)  # no passkey any more, or one is never enough
        return _nothing()
    step = new_step(turn.wanted, outcome)
    keep_step(page, portal.sealers.challenge, step, name=_STEP)
    request = sign_in_steps.passkey_request(outcome.parameters)
    return Answer(200, json.dumps({"options": request, "step": step.id}).encode(), content_type=_JSON)


async def back(_: Portal, page: PageRequest) -> Answer:
    """Handle GET /passkey, where a refused form leads: show the sign-in form."""
    return see_other(f"{page.prefix}/sign_in?notice=expired")


async def submit(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST: sign in with the passkey that was chosen from the list."""
    turn = turn_of(portal, page)
    if isinstance(turn, Answer):
        return turn
    step = kept_step(page, portal.sealers.challenge, name=_STEP)
    forget_step(page, name=_STEP)
    if step is None or step.pool_id != turn.pool.id or page.form.get("step") != step.id:
        return turn.to("/sign_in", notice="expired")
    planned = sign_in_steps.plan(step.challenge, page.form)
    keys = turn.guessing(step.challenge.username)
    if not isinstance(planned, sign_in_steps.StepAnswer) or turn.admit(keys) is not None:
        return turn.to("/sign_in", notice="passkey")
    try:
        outcome = await turn.ask(lambda adapter: adapter.answer(step.challenge, planned.members))
        turn.taken(keys, outcome)
        answer = await turn.go_on(outcome)
    except GatewayError as error:
        refusal_text = refusal_texts.passkey(error)
        turn.report("passkey", error, refusal_text)
        if refusal_text.fault or refusal_text.next == "again":
            turn.take_back(keys)
        return turn.to("/sign_in", notice="expired" if refusal_text.next == "again" else "passkey")
    if isinstance(outcome, Tokens):
        remember(turn, step.challenge.username)
    return answer


_JSON = "application/json"


def _nothing() -> Answer:
    return Answer(200, b"{}", content_type=_JSON)


def _remembered(turn: Turn) -> str:
    """Return the name of the user whose passkey was last used here; empty if there is none."""
    sealed = turn.page.cookies.joined(_COOKIE)
    data = (
        None
        if sealed is None
        else turn.portal.sealers.challenge.open(sealed, now=turn.page.now, binding=_BINDING)
    )
    try:
        pool_id, username = json.loads(data or b"[]")
    except (ValueError, TypeError):
        return ""
    return str(username) if pool_id == turn.pool.id else ""
