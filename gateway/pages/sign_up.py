"""`/sign_up`: self-service sign-up, where the pool allows it.

Invariant: an address that has an account gets the same answer as one that has none; a chosen name that is
taken is said to be, as nobody could go on otherwise. No attribute is passed on that the page did not ask for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.aws import phrases
from gateway.aws.values import CognitoRefused
from gateway.errors import CognitoUnavailable, GatewayError, NotFound
from gateway.http.answers import Answer
from gateway.pages import refusal_texts
from gateway.pages.kept import SOMEWHERE, Account, keep_account
from gateway.pages.password_rules import broken, rules
from gateway.pages.refusal_texts import RefusalText
from gateway.pages.respond import see_other
from gateway.pages.sign_up_fields import MISSING, Asking, account_of, unfilled
from gateway.pages.turn import Turn, turn_of
from gateway.sessions.page_request import PageRequest
from gateway.texts import Text

if TYPE_CHECKING:
    from gateway.aws.accounts import SignedUp
    from gateway.pages.portal import Portal

# Seconds between two codes to one address: delivery takes some, and Cognito allows five an hour.
RESEND_AFTER = 60.0
# Seconds that Cognito's session of a sign-up lives at least: AuthSessionValidity is 3 minutes or more.
_SESSION_LIFE = 170
# Characters kept for that session, used or not: the sealed value's length is visible. Cognito's are shorter
# (about 1,000); a longer one is not kept, and the user signs in by hand.
_SESSION_ROOM = 2048
# Seconds to fill in the form.
_LIFE = 3600.0
_NAME_TAKEN = RefusalText(Text("This username is taken. Choose another."), "username")
_TAKEN = frozenset({"UsernameExistsException", "AliasExistsException"})


async def show(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET: show the form."""
    turn = await _turn(portal, page)
    if isinstance(turn, Answer):
        return turn
    if page.session is not None:
        return see_other(turn.wanted.onward(page))  # signed in already
    return await _form(turn, await _asking(turn))


async def submit(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST: create the account."""
    turn = await _turn(portal, page)
    if isinstance(turn, Answer):
        return turn
    asking, form = await _asking(turn), page.form
    fields = asking.fields(form)
    errors = unfilled(fields)
    sentence = broken(await turn.policy(), form.get("password", ""))
    if sentence is not None:
        errors["password"] = sentence
    if errors:
        return await _form(turn, asking, errors=errors)
    username, attributes = account_of(fields)
    # Counted whatever the outcome: each may send a message, to any of these.
    sent_to = (attributes[name] for name in ("email", "phone_number") if name in attributes)
    if refusal_text := turn.admit(turn.sending(username, *sent_to)):
        return await _form(turn, asking, refusal_text=refusal_text)
    try:
        made = await turn.ask_account(
            lambda accounts: accounts.sign_up(username, form["password"], attributes)
        )
    except GatewayError as error:
        return await _refused(turn, asking, error, username, attributes)
    if made.confirmed:
        return turn.to("/sign_in", notice="created")
    return _await_code(turn, username, attributes, made)


async def _turn(portal: Portal, page: PageRequest) -> Turn | Answer:
    """Raises NotFound if sign-up is off, CognitoUnavailable if that is not known yet."""
    turn = turn_of(portal, page)
    if isinstance(turn, Answer):
        return turn
    offered = await turn.pool.sign_up()
    if offered == "unknown":
        raise CognitoUnavailable("the user pool's settings are not known yet")
    if offered == "closed":
        raise NotFound("self-service sign-up is closed")
    return turn


async def _asking(turn: Turn) -> Asking:
    """Return what to ask this browser for; attributes that Cognito reported missing come back sealed."""
    return Asking.of(
        await turn.pool.described(),
        turn.portal.config.sign_in.sign_up_attributes,
        turn.portal.sealers.challenge.open(
            turn.form.get(MISSING, ""), now=turn.page.now, binding=_binding(turn)
        ),
    )


def _binding(turn: Turn) -> bytes:
    return f"{MISSING} {turn.pool.id} {turn.page.browser_id}".encode("ascii")


def _await_code(turn: Turn, username: str, attributes: Mapping[str, str], made: SignedUp | None) -> Answer:
    """Redirect to /confirm, alike for a new account and a taken username (None): what Cognito returned for a
    new one is not visible."""
    session = made.session if made is not None and len(made.session) <= _SESSION_ROOM else ""
    # With a phone number the pool may send a text message instead.
    address = SOMEWHERE if "phone_number" in attributes else attributes.get("email", "")
    account = Account(
        "confirm",
        turn.pool.id,
        username,
        proven=int(made is not None),
        destination=address,
        resend_at=int(turn.page.now + RESEND_AFTER),
        return_to=turn.return_to,
        session=session.ljust(_SESSION_ROOM),
        session_until=int(turn.page.now + _SESSION_LIFE),
    )
    keep_account(turn.page, turn.portal.sealers.challenge, account)
    return see_other(turn.page.prefix + "/confirm")


async def _refused(
    turn: Turn, asking: Asking, error: GatewayError, username: str, attributes: Mapping[str, str]
) -> Answer:
    refusal_text = refusal_texts.sign_up(error)
    code, message = (error.code, error.message) if isinstance(error, CognitoRefused) else ("", "")
    if code == "UsernameExistsException" and _is_a_name(asking, username):
        turn.report("sign_up", error, _NAME_TAKEN)
        return await _form(turn, asking, refusal_text=_NAME_TAKEN)
    if code in _TAKEN:
        # Looks as if a code was sent; the account's owner knows that they have one.
        turn.report("sign_up", error, RefusalText("taken"))
        return _await_code(turn, username, attributes, None)
    if phrases.sign_up_closed(code, message):
        turn.pool.sign_up_was_refused()
        turn.report("sign_up", error, RefusalText("closed"))
        raise NotFound("self-service sign-up is closed")
    turn.report("sign_up", error, refusal_text)
    missing = phrases.missing_attributes(code, message)
    if missing:
        refusal_text = RefusalText(Text("Please fill in the rest as well."))
        return await _form(turn, asking.with_missing(missing), refusal_text=refusal_text)
    return await _form(turn, asking, refusal_text=refusal_text)


def _is_a_name(asking: Asking, username: str) -> bool:
    """Return whether the username is a name that the user chose, not an address, whose owner stays
    unknown."""
    return asking.username_optional is not None and "@" not in username and not username.startswith("+")


async def _form(
    turn: Turn,
    asking: Asking,
    *,
    refusal_text: RefusalText | None = None,
    errors: Mapping[str, str] | None = None,
) -> Answer:
    if refusal_text is not None and refusal_text.field == "username":
        refusal_text = replace(refusal_text, field=asking.username_field)
    page, sealer = turn.page, turn.portal.sealers.challenge
    missing = sealer.seal(asking.sealed, until=page.now + _LIFE, binding=_binding(turn))
    return await turn.show(
        "sign_up",
        Text("Create an account"),
        refusal_text=refusal_text,
        errors=errors,
        fields=[replace(each, value=each.value[: each.maxlength]) for each in asking.fields(turn.form)],
        rules=rules(await turn.policy()),
        links={"sign_in": turn.link("/sign_in")},
        kept={**turn.wanted.kept, MISSING: missing},
    )
