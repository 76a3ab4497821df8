"""`/sign_up`: an account of one's own, where the pool lets people make one.

Invariant: a name that is taken gets the answer that a free one gets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.aws.values import CognitoRefused
from gateway.errors import GatewayError, NotFound
from gateway.portal import words
from gateway.portal.attempts import SENT_BY_ADDRESS, Key, by_address
from gateway.portal.attributes import PREFIX, Field, fields_for, missing_in
from gateway.portal.kept import Account, keep_account
from gateway.portal.page import PageRequest
from gateway.portal.password_rules import broken, rules
from gateway.portal.pools import Described
from gateway.portal.respond import see_other
from gateway.portal.turn import Turn, turn_of
from gateway.portal.words import Told
from gateway.proxy.answers import Answer

if TYPE_CHECKING:
    from gateway.portal.portal import Portal

# Seconds between two codes to one address: mails take some, and Cognito allows five an hour.
RESEND_AFTER = 60.0
_TAKEN = frozenset({"UsernameExistsException", "AliasExistsException"})


async def show(portal: Portal, page: PageRequest) -> Answer:
    """GET."""
    turn = await _turn(portal, page)
    return turn if isinstance(turn, Answer) else await _form(turn)


async def submit(portal: Portal, page: PageRequest) -> Answer:
    """POST."""
    turn = await _turn(portal, page)
    if isinstance(turn, Answer):
        return turn
    described, form = await turn.pool.described(), page.form
    fields = fields_of(described, form)
    errors = _errors(fields)
    sentence = broken(await turn.policy(), form.get("password", ""))
    if sentence is not None:
        errors["password"] = sentence
    if errors:
        return await _form(turn, errors=errors)
    # Whatever becomes of it: each may send an e-mail.
    keys: list[Key] = [by_address(SENT_BY_ADDRESS, page.client)]
    if told := turn.admit(keys):
        return await _form(turn, told=told)
    username, attributes = account_of(fields)
    try:
        confirmed = await turn.pool.account(
            lambda accounts: accounts.sign_up(username, form["password"], attributes)
        )
    except GatewayError as error:
        return await _refused(turn, error, username, attributes)
    if confirmed:
        return turn.to("/sign_in", notice="created")
    return _await_code(turn, username, attributes)


async def _turn(portal: Portal, page: PageRequest) -> Turn | Answer:
    """Raises NotFound where nobody may sign up by themselves."""
    turn = turn_of(portal, page)
    if isinstance(turn, Turn) and not await turn.pool.offers_sign_up():
        raise NotFound("self-service sign-up is closed")
    return turn


def _await_code(turn: Turn, username: str, attributes: Mapping[str, str]) -> Answer:
    """The same for an account that was made and for one that there was: nothing of it is Cognito's word."""
    # Who gave a phone number may get a text message instead, as the pool is set.
    address = "your address" if "phone_number" in attributes else attributes.get("email", "")
    account = Account(
        "confirm",
        turn.pool.id,
        username,
        destination=address,
        resend_at=turn.page.now + RESEND_AFTER,
        return_to=turn.return_to,
    )
    keep_account(turn.page, turn.portal.sealers.challenge, account)
    return see_other(turn.page.prefix + "/confirm")


async def _refused(turn: Turn, error: GatewayError, username: str, attributes: Mapping[str, str]) -> Answer:
    told = words.sign_up(error)
    code, message = (error.code, error.message) if isinstance(error, CognitoRefused) else ("", "")
    if code in _TAKEN:
        # To everybody it looks as if a code was sent; the account's owner knows that they have one.
        turn.report("sign_up", error, Told("taken"))
        return _await_code(turn, username, attributes)
    if "is not permitted for this user pool" in message:
        turn.pool.sign_up_was_refused()
        turn.report("sign_up", error, Told("closed"))
        raise NotFound("self-service sign-up is closed")
    turn.report("sign_up", error, told)
    missing = missing_in(message)
    if missing:
        return await _form(turn, told=Told("Your user pool wants to know a little more."), more=missing)
    return await _form(turn, told=told)


# --- which fields (pure) -----------------------------------------------------------------------------------


def fields_of(described: Described | None, form: Mapping[str, str], more: Sequence[str] = ()) -> list[Field]:
    """What is asked for, the username first; `more`: what the pool was seen to miss."""
    names = ["email"]
    if described is not None:
        # An address even where the pool does not insist: without one no code can reach anybody.
        names = [*(described.username_attributes[:1] or names), *described.required]
    # Fields that an earlier answer of the pool added stay on the form.
    names += [name.removeprefix(PREFIX) for name in form if name.startswith(PREFIX)]
    fields = [each for each in fields_for(dict.fromkeys([*names, *more]), form) if each.name != "username"]
    if described is not None and described.username_attributes:
        return fields
    return [_username(form, known=described is not None), *fields]


def _username(form: Mapping[str, str], *, known: bool) -> Field:
    return Field(
        "username",
        "Username",
        autocomplete="username",
        # A pool of unknown settings may want an address as its username, or may refuse one.
        hint=None if known else "Leave it empty to use your e-mail address",
        value=form.get(PREFIX + "username", ""),
        required=known,
        plain=True,
        maxlength=128,
    )


def account_of(fields: Sequence[Field]) -> tuple[str, dict[str, str]]:
    """The username and the attributes; without a username the first attribute is one."""
    values = {each.name: each.value.strip() for each in fields if each.value.strip()}
    username = values.pop("username", "")
    return username or next(iter(values.values())), values


def _errors(fields: Sequence[Field]) -> dict[str, str]:
    missing = [each for each in fields if each.required and not each.value.strip()]
    return {each.field: f"Enter: {each.label.lower()}" for each in missing}


# --- the page ----------------------------------------------------------------------------------------------


async def _form(
    turn: Turn,
    *,
    told: Told | None = None,
    errors: Mapping[str, str] | None = None,
    more: Sequence[str] = (),
) -> Answer:
    if told is not None and told.field == "username":
        told = replace(told, field=PREFIX + "username")
    fields = fields_of(await turn.pool.described(), turn.form, more)
    return await turn.show(
        "sign_up",
        "Create an account",
        told=told,
        errors=errors,
        fields=[replace(each, value=each.value[: each.maxlength]) for each in fields],
        rules=rules(await turn.policy()),
        links={"sign_in": turn.link("/sign_in")},
    )
