"""`/forgot_password` sends a code; `/reset_password` takes it with a new password.

Invariant: both answer the same whether or not the account exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gateway.errors import GatewayError
from gateway.http.answers import Answer
from gateway.pages import refusal_texts
from gateway.pages.codes import awaited, not_told
from gateway.pages.kept import Account, keep_account, kept_account
from gateway.pages.password_rules import broken, rules
from gateway.pages.refusal_texts import RefusalText
from gateway.pages.renewed import reset_everywhere
from gateway.pages.respond import see_other
from gateway.pages.sign_in import NO_USERNAME
from gateway.pages.sign_in_steps import clean
from gateway.pages.turn import Turn, turn_of
from gateway.sessions.page_request import PageRequest
from gateway.texts import Text

if TYPE_CHECKING:
    from gateway.pages.portal import Portal

CONFIRMED = Text("Your account is confirmed. Choose a new password before you sign in.")
NOTICES: Mapping[str, Text] = {
    "confirmed": Text(
        "Your account is confirmed. Now choose your password: we've sent you another code for it."
    ),
    "required": Text("You need a new password before you can sign in. We've sent you a code for it."),
    "last_code": Text(
        "You need a new password before you can sign in. Enter your last code, or ask for another."
    ),
}


_LINKS = {"sign_in": "sign_in", "forgot": "forgot_password", "confirm": "confirm"}


async def show(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET /forgot_password."""
    turn = turn_of(portal, page)
    return turn if isinstance(turn, Answer) else await _ask(turn)


async def submit(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST /forgot_password: send a code."""
    turn = turn_of(portal, page)
    if isinstance(turn, Answer):
        return turn
    username = turn.username
    if not username:
        return await _ask(turn, errors={"username": NO_USERNAME})
    keys = turn.sending(username)
    if refusal_text := turn.admit(keys):
        return await _ask(turn, refusal_text=refusal_text)
    try:
        # The destination is not shown: for unknown usernames, Cognito simulates one only if the app client is
        # set to.
        await turn.ask_account(lambda accounts: accounts.forgot_password(username))
    except GatewayError as error:
        refusal_text = refusal_texts.sending(error)
        turn.report("forgot_password", error, refusal_text)
        if not not_told(error):
            return await _ask(turn, refusal_text=refusal_text)
    account = Account("reset", turn.pool.id, username, return_to=turn.return_to)
    keep_account(page, portal.sealers.challenge, account)
    return see_other(page.prefix + "/reset_password")


async def show_reset(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET /reset_password."""
    at = awaited(portal, page, "reset")
    notice = NOTICES.get(page.query.get("notice", ""))
    return at if isinstance(at, Answer) else await _form(*at, notice=notice)


async def submit_reset(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST /reset_password: set the new password."""
    at = awaited(portal, page, "reset")
    if isinstance(at, Answer):
        return at
    turn, account = at
    code, password = clean(page.form.get("code", "")), page.form.get("new_password", "")
    errors = {} if code else {"code": Text("Enter the code")}
    if not account.username:
        errors["username"] = NO_USERNAME
    sentence = broken(await turn.policy(), password)
    if sentence is not None:
        errors["new_password"] = sentence
    if errors:
        return await _form(turn, account, errors=errors)
    keys = turn.guessing(account.username)
    if refusal_text := turn.admit(keys):
        return await _form(turn, account, refusal_text=refusal_text)
    try:
        await turn.ask_account(lambda accounts: accounts.reset_password(account.username, code, password))
    except GatewayError as error:
        refusal_text = refusal_texts.code(error)
        turn.report("reset_password", error, refusal_text)
        if refusal_text.fault:
            turn.take_back(keys)
        return await _form(turn, account, refusal_text=refusal_text)
    turn.forgive(keys)
    # The cookie stays for a manual sign-in, so that the next page knows the username.
    known = Account("confirm", turn.pool.id, account.username, return_to=turn.return_to)
    keep_account(page, portal.sealers.challenge, known)
    return await reset_everywhere(turn, account.username, password)


async def _ask(
    turn: Turn, *, refusal_text: RefusalText | None = None, errors: Mapping[str, str] | None = None
) -> Answer:
    # The name of a sign-in that failed just now.
    known = kept_account(turn.page, turn.portal.sealers.challenge, "confirm")
    username = turn.form.get("username", "") or (known.username if known else "")
    return await turn.show(
        "forgot_password",
        Text("Forgot your password?"),
        refusal_text=refusal_text,
        errors=errors,
        lead=Text("We'll send you a code to choose a new password."),
        notice=CONFIRMED if turn.page.query.get("notice") == "confirmed" else None,
        username=username[:128],
        links={"sign_in": turn.link("/sign_in")},
    )


async def _form(
    turn: Turn,
    account: Account,
    *,
    refusal_text: RefusalText | None = None,
    errors: Mapping[str, str] | None = None,
    notice: Text | None = None,
) -> Answer:
    kept = kept_account(turn.page, turn.portal.sealers.challenge, "reset")
    return await turn.show(
        "reset_password",
        Text("Choose a new password"),
        refusal_text=refusal_text,
        errors=errors,
        lead=None if notice else Text("If that account exists, we've sent it a code."),
        notice=notice,
        username=account.username,
        known=kept is not None,
        rules=rules(await turn.policy()),
        links={name: turn.link(f"/{path}") for name, path in _LINKS.items()},
    )
