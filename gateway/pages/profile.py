"""`/profile` and `/verify_attribute`: a signed-in user changes their profile; a new e-mail address or phone
number asks for the code sent to it.

Invariant: only attributes that the form shows are sent, and only changed ones; an address is verified by
Cognito alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import TYPE_CHECKING

from gateway.aws.values import CognitoRefused, OwnUser
from gateway.errors import GatewayError
from gateway.http.answers import Answer
from gateway.pages import own_values, refusal_texts
from gateway.pages.account_access import ended, holder, read
from gateway.pages.attributes import PREFIX
from gateway.pages.profile_fields import CONTACTS, changed, editable, fields
from gateway.pages.refusal_texts import RefusalText
from gateway.pages.respond import see_other
from gateway.pages.sign_in_steps import clean
from gateway.pages.sign_up import RESEND_AFTER
from gateway.pages.turn import Turn
from gateway.sessions.page_request import PageRequest
from gateway.sessions.session import Session
from gateway.texts import Text

if TYPE_CHECKING:
    from gateway.pages.portal import Portal

_COOKIE = "attribute"
# Where addresses are aliases, and where they are usernames.
_TAKEN = frozenset({"AliasExistsException", "UsernameExistsException"})


async def show(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET /profile."""
    at = holder(portal, page)
    if isinstance(at, Answer):
        return at
    turn, session = at
    own = await read(turn, session)
    return own if isinstance(own, Answer) else await _form(turn, own)


async def submit(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST /profile: save what was changed."""
    at = holder(portal, page)
    if isinstance(at, Answer):
        return at
    turn, session = at
    own = await read(turn, session)
    if isinstance(own, Answer):
        return own
    described = await turn.pool.described()
    names = editable(described, own, portal.config.sign_in.sign_up_attributes)
    new = changed(names, own, page.form)
    required = described.required if described is not None else ()
    empty = [each for each in fields(described, names, page.form) if each.name in required]
    errors = {each.field: each.missing for each in empty if new.get(each.name) == ""}
    if errors:
        return await _form(turn, own, errors=errors)
    if not new:
        return see_other(f"{page.prefix}/account?notice=saved")
    contacts = {name: new.pop(name) for name in CONTACTS if name in new}
    targets = [value for value in contacts.values() if value]
    if refusal_text := turn.admit(turn.sending(*targets) if targets else []):
        return await _form(turn, own, refusal_text=refusal_text)
    try:
        if new:
            await turn.ask_own(lambda ask: ask.update(session.access, new))
        sent = await _contacts(turn, session, contacts) if contacts else ()
    except GatewayError as error:
        refusal_text = refusal_texts.profile(error)
        if refusal_text.next == "again":
            return await ended(turn, "profile", error)
        turn.report("profile", error, refusal_text)
        return await _form(turn, own, refusal_text=refusal_text)
    turn.audit("profile_changed", session, about=" ".join(sorted({*new, *contacts})))
    if not sent:
        return see_other(f"{page.prefix}/account?notice=saved")
    _await(turn, session, sent[0], contacts[sent[0]])
    return see_other(f"{page.prefix}/verify_attribute")


async def _contacts(turn: Turn, session: Session, contacts: Mapping[str, str]) -> tuple[str, ...]:
    """Change addresses; return those that await a code. One that belongs to another account is answered as if
    a code had been sent."""
    try:
        sent = await turn.ask_own(lambda ask: ask.update(session.access, contacts))
    except CognitoRefused as refused:
        if refused.code not in _TAKEN:
            raise
        turn.report("profile", refused, refusal_texts.profile(refused))
        return tuple(contacts)
    return tuple(name for name in CONTACTS if name in sent and name in contacts)


async def show_code(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET /verify_attribute: ask for the code."""
    at = holder(portal, page)
    return at if isinstance(at, Answer) else await _code_form(*at)


async def submit_code(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST /verify_attribute: check the code, or send one."""
    at = holder(portal, page)
    if isinstance(at, Answer):
        return at
    turn, session = at
    if page.form.get("action") == "send":
        return await _send(turn, session)
    waiting = own_values.kept(turn, session, _COOKIE)
    if not waiting:
        return see_other(f"{page.prefix}/account")
    code = clean(page.form.get("code", ""))
    if not code:
        return await _code_form(turn, session, errors={"code": Text("Enter the code")})
    keys = turn.guessing(session.username)
    if refusal_text := turn.admit(keys):
        return await _code_form(turn, session, refusal_text=refusal_text)
    try:
        await turn.ask_own(lambda own: own.verify(session.access, waiting["attribute"], code))
    except GatewayError as error:
        refusal_text = refusal_texts.attribute_code(error)
        if refusal_text.next == "again":
            return await ended(turn, "verify_attribute", error)
        turn.report("verify_attribute", error, refusal_text)
        return await _code_form(turn, session, refusal_text=refusal_text)
    turn.take_back(keys)
    own_values.forget(turn, _COOKIE)
    turn.audit("attribute_verified", session, about=waiting["attribute"])
    return see_other(f"{page.prefix}/account?notice=verified")


async def _send(turn: Turn, session: Session) -> Answer:
    """Send a code: another one for the change in progress, or one for the address that the account has."""
    waiting, attribute = own_values.kept(turn, session, _COOKIE), turn.form.get("attribute", "")
    if waiting and attribute in {"", waiting["attribute"]}:
        attribute, value = waiting["attribute"], waiting["value"]
        if float(waiting["resend_at"]) > turn.page.now:
            return see_other(f"{turn.page.prefix}/verify_attribute")
    else:
        own = await read(turn, session)
        if isinstance(own, Answer):
            return own
        value = own.attributes.get(attribute, "")
    if attribute not in CONTACTS or not value:
        return see_other(f"{turn.page.prefix}/account")
    if refusal_text := turn.admit(turn.sending(value)):
        return await _code_form(turn, session, refusal_text=refusal_text)
    try:
        # Where the pool keeps the old address until the code is entered, only this sends another one.
        if not await _contacts(turn, session, {attribute: value}):
            await turn.ask_own(lambda own: own.send_code(session.access, attribute))
    except GatewayError as error:
        refusal_text = refusal_texts.sending(error)
        turn.report("verify_attribute", error, refusal_text)
        return await _code_form(turn, session, refusal_text=refusal_text)
    _await(turn, session, attribute, value)
    return see_other(f"{turn.page.prefix}/verify_attribute?notice=sent")


def _await(turn: Turn, session: Session, attribute: str, value: str) -> None:
    again = str(turn.page.now + RESEND_AFTER)
    own_values.keep(turn, session, _COOKIE, {"attribute": attribute, "value": value, "resend_at": again})


async def _form(
    turn: Turn,
    own: OwnUser,
    *,
    refusal_text: RefusalText | None = None,
    errors: Mapping[str, str] | None = None,
) -> Answer:
    described = await turn.pool.described()
    names = editable(described, own, turn.portal.config.sign_in.sign_up_attributes)
    values = {PREFIX + name: own.attributes.get(name, "") for name in names}
    return await turn.show(
        "profile",
        Text("Your profile"),
        refusal_text=refusal_text,
        errors=errors,
        fields=fields(described, names, {**values, **turn.form}),
    )


async def _code_form(
    turn: Turn,
    session: Session,
    *,
    refusal_text: RefusalText | None = None,
    errors: Mapping[str, str] | None = None,
) -> Answer:
    waiting = own_values.kept(turn, session, _COOKIE)
    if not waiting:
        return see_other(f"{turn.page.prefix}/account")
    left = ceil(float(waiting["resend_at"]) - turn.page.now)
    return await turn.show(
        "verify_attribute",
        Text("Enter the code"),
        refusal_text=refusal_text,
        errors=errors,
        notice=Text("We've sent another code.") if turn.page.query.get("notice") == "sent" else None,
        lead=Text("We sent an email to {address}.", address=waiting["value"])
        if waiting["attribute"] == "email"
        else Text("We sent a text message to {number}.", number=waiting["value"]),
        wait=max(0, left),
    )
