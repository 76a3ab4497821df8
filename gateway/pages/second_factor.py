"""`/second_factor` and `/authenticator`: a signed-in user sets up, uses and removes second factors.

Invariant: both follow a recent sign-in; an authenticator's key is shown until it is verified, never after,
and replaces the one in use only then.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.aws.values import OwnUser
from gateway.errors import GatewayError
from gateway.http.answers import Answer
from gateway.pages import authenticator_key, own_values, refusal_texts
from gateway.pages.account_access import called, ended, holder
from gateway.pages.refusal_texts import RefusalText
from gateway.pages.respond import see_other
from gateway.pages.sign_in_steps import clean
from gateway.pages.turn import Turn
from gateway.sessions.page_request import PageRequest
from gateway.sessions.session import Session
from gateway.texts import Text

if TYPE_CHECKING:
    from gateway.pages.described import Described
    from gateway.pages.portal import Portal

APP = "SOFTWARE_TOKEN_MFA"
# Second factor → its name on the page, and the verified attribute that it needs.
_NAMES = {
    APP: (Text("Authenticator app"), ""),
    "SMS_MFA": (Text("Text message"), "phone_number"),
    "EMAIL_OTP": (Text("Email"), "email"),
}
_COOKIE = "authenticator"


@dataclass(frozen=True, slots=True)
class Factor:
    """One second factor. `action`: what the page offers, `set_up`, `use`, `remove` or nothing."""

    value: str
    name: str
    on: bool
    action: str


def factors_of(described: Described | None, own: OwnUser) -> list[Factor]:
    """Return the second factors of a user's page: those that the pool offers and the user can use. Pure.

    Where the settings are unknown: an authenticator app, and those in use."""
    offered = _offered(described)
    # Cognito would ask for a new one at the next sign-in.
    last = described is not None and described.mfa_required and len(own.factors) == 1
    found = []
    for value, (name, attribute) in _NAMES.items():
        on = value in own.factors
        ready = not attribute or own.attributes.get(f"{attribute}_verified") == "true"
        if on:
            found.append(Factor(value, name, on, "" if last else "remove"))
        elif value in offered and ready:
            found.append(Factor(value, name, on, "set_up" if value == APP else "use"))
    return found


def _offered(described: Described | None) -> tuple[str, ...]:
    return (APP,) if described is None or described.second_factors is None else described.second_factors


async def change(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST /second_factor: use or remove one."""
    at = holder(portal, page, back="/account")
    if isinstance(at, Answer):
        return at
    turn, session = at
    try:
        own = await turn.ask_own(lambda ask: ask.read(session.access))
        value, action = page.form.get("factor", ""), page.form.get("action", "")
        described = await turn.pool.described()
        allowed = {(each.value, each.action) for each in factors_of(described, own)}
        if (value, action) not in allowed or action == "set_up" or turn.admit([]) is not None:
            return see_other(f"{page.prefix}/account")
        if action == "use":
            await turn.ask_own(lambda ask: ask.use_factor(session.access, value, preferred=not own.factors))
        else:
            await turn.ask_own(lambda ask: ask.drop_factor(session.access, value))
    except GatewayError as error:
        return await ended(turn, "second_factor", error)
    turn.audit("second_factor_used" if action == "use" else "second_factor_removed", session, about=value)
    return see_other(f"{page.prefix}/account?notice=factor")


async def back(_: Portal, page: PageRequest) -> Answer:
    """Handle GET /second_factor, where a refused form leads: show the account."""
    return see_other(f"{page.prefix}/account")


async def show_app(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET /authenticator: show a new key, or the account where the pool offers no such factor."""
    at = holder(portal, page)
    if isinstance(at, Answer):
        return at
    turn, session = at
    if APP not in _offered(await turn.pool.described()):
        return see_other(f"{page.prefix}/account")
    return await _form(turn, session)


async def submit_app(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST /authenticator: verify the app's first code."""
    at = holder(portal, page)
    if isinstance(at, Answer):
        return at
    turn, session = at
    code = clean(page.form.get("code", ""))
    if not (code.isascii() and code.isdigit() and len(code) == 6):
        return await _form(turn, session, errors={"code": Text("The code is six digits")})
    keys = turn.guessing(session.username)
    if refusal_text := turn.admit(keys):
        return await _form(turn, session, refusal_text=refusal_text)
    try:
        await turn.ask_own(lambda own: own.finish_authenticator(session.access, code))
    except GatewayError as error:
        refusal_text = refusal_texts.authenticator(error)
        if refusal_text.next == "again":
            return await ended(turn, "authenticator", error)
        turn.report("authenticator", error, refusal_text)
        return await _form(turn, session, refusal_text=refusal_text)
    turn.take_back(keys)
    shown = own_values.kept(turn, session, _COOKIE)
    if shown:
        # Otherwise a copy of the browser's cookie would show the key again until its seal expires.
        portal.pages.once.use(shown["id"])
    own_values.forget(turn, _COOKIE)
    turn.audit("second_factor_set_up", session, about=APP)
    return see_other(f"{page.prefix}/account?notice=factor")


async def _form(
    turn: Turn,
    session: Session,
    *,
    refusal_text: RefusalText | None = None,
    errors: Mapping[str, str] | None = None,
) -> Answer:
    shown = own_values.kept(turn, session, _COOKIE)
    if turn.page.method == "GET" and (not shown or turn.portal.pages.once.used(shown["id"])):
        if turn.admit([]) is not None:
            return see_other(f"{turn.page.prefix}/account")
        try:
            secret = await turn.ask_own(lambda own: own.begin_authenticator(session.access))
        except GatewayError as error:
            return await ended(turn, "authenticator", error)
        shown = {"id": secrets.token_hex(8), "secret": secret}
        own_values.keep(turn, session, _COOKIE, shown)
    return await turn.show(
        "authenticator",
        Text("Set up an authenticator"),
        refusal_text=refusal_text,
        errors=errors,
        authenticator=await authenticator_key.shown(
            turn.page.origin, await called(turn, session), shown.get("secret", "")
        ),
    )
