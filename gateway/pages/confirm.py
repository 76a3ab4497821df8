"""`/confirm`: the code that proves a new account's address, and a new code if it did not arrive.

Where Cognito allows it, the right code signs in at once. Invariant: neither checking nor resending a code
reveals whether the account exists; after the right code, a password stays in force, and the browser is signed
in, only if this browser has submitted that password.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING

from gateway.aws.values import Challenge
from gateway.errors import GatewayError
from gateway.http.answers import Answer
from gateway.pages import refusal_texts
from gateway.pages.codes import awaited, destination_of, not_told
from gateway.pages.kept import Account, keep_account, kept_account
from gateway.pages.refusal_texts import RefusalText
from gateway.pages.respond import see_other
from gateway.pages.sign_in import NO_USERNAME
from gateway.pages.sign_in_steps import clean
from gateway.pages.sign_up import RESEND_AFTER
from gateway.pages.turn import Turn
from gateway.sessions.page_request import PageRequest
from gateway.texts import Text

if TYPE_CHECKING:
    from gateway.pages.portal import Portal


async def show(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET: show the form."""
    at = awaited(portal, page, "confirm")
    if isinstance(at, Answer):
        return at
    notice = Text("We've sent another code.") if page.query.get("notice") == "sent" else None
    return await _form(*at, notice=notice)


async def submit(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST: check the code, or send a new one."""
    at = awaited(portal, page, "confirm")
    if isinstance(at, Answer):
        return at
    turn, account = at
    if page.form.get("action") == "resend":
        return await _resend(turn, account)
    code = clean(page.form.get("code", ""))
    errors = {} if code else {"code": Text("Enter the code")}
    if not account.username:
        errors["username"] = NO_USERNAME
    if errors:
        return await _form(turn, account, errors=errors)
    keys = turn.guessing(account.username)
    if refusal_text := turn.admit(keys):
        return await _form(turn, account, refusal_text=refusal_text)
    session = account.session.strip() if page.now < account.session_until else ""
    try:
        begun = await turn.ask_account(lambda accounts: accounts.confirm(account.username, code, session))
    except GatewayError as error:
        refusal_text = refusal_texts.code(error)
        turn.report("confirm", error, refusal_text)
        if refusal_text.fault:
            turn.take_back(keys)
        return await _form(turn, account, refusal_text=refusal_text)
    turn.take_back(keys)
    if not account.proven:
        return await _new_password(turn, account)
    answer = await _sign_in(turn, account, begun) if begun else None
    if answer is not None:
        return answer
    # The cookie stays, so that the sign-in page knows the username.
    keep_account(page, portal.sealers.challenge, replace(account, session=""))
    return turn.to("/sign_in", notice="confirmed")


async def _sign_in(turn: Turn, account: Account, session: str) -> Answer | None:
    """Sign in by the code that confirmed the account. None: the user has to sign in by hand."""
    try:
        outcome = await turn.ask(lambda adapter: adapter.begin_confirmed(account.username, session))
        # The choice between first factors: the code does not count as one.
        if isinstance(outcome, Challenge) and outcome.choices:
            return None
        return await turn.go_on(outcome)
    except GatewayError as error:
        turn.report("confirm", error, refusal_texts.sign_in(error))
        return None


async def _new_password(turn: Turn, account: Account) -> Answer:
    """Require a new password: an attacker may have created the account with this person's address, and would
    then know its password."""
    # Counted but never refused: the right code has just been used up.
    turn.portal.pages.attempts.count(turn.sending(account.username), turn.page.moment)
    try:
        await turn.ask_account(lambda accounts: accounts.forgot_password(account.username))
    except GatewayError as error:
        turn.report("confirm", error, refusal_texts.sending(error))
        return turn.to("/forgot_password", notice="confirmed")
    reset = Account("reset", account.pool_id, account.username, return_to=account.return_to)
    keep_account(turn.page, turn.portal.sealers.challenge, reset)
    return see_other(turn.page.prefix + "/reset_password?notice=confirmed")


async def _resend(turn: Turn, account: Account) -> Answer:
    if not account.username:
        return await _form(turn, account, errors={"username": NO_USERNAME})
    wait = ceil(account.resend_at - turn.page.now)
    if wait > 0:
        sentence = Text.counted(
            "You can ask for another code in a second.",
            "You can ask for another code in {count} seconds.",
            wait,
        )
        early = RefusalText(sentence, status=429, retry_after=wait)
        return await _form(turn, account, refusal_text=early)
    keys = turn.sending(account.username, account.destination or account.username)
    if refusal_text := turn.admit(keys):
        return await _form(turn, account, refusal_text=refusal_text)
    try:
        await turn.ask_account(lambda accounts: accounts.resend(account.username))
    except GatewayError as error:
        refusal_text = refusal_texts.sending(error)
        turn.report("confirm", error, refusal_text)
        if not not_told(error):
            return await _form(turn, account, refusal_text=refusal_text)
    sent = replace(account, resend_at=int(turn.page.now + RESEND_AFTER))
    keep_account(turn.page, turn.portal.sealers.challenge, sent)
    return see_other(turn.page.prefix + "/confirm?notice=sent")


async def _form(
    turn: Turn,
    account: Account,
    *,
    refusal_text: RefusalText | None = None,
    errors: Mapping[str, str] | None = None,
    notice: Text | None = None,
) -> Answer:
    kept = kept_account(turn.page, turn.portal.sealers.challenge, "confirm")
    lead = Text("Enter the code we sent you.")
    if kept and (destination := destination_of(account)):
        lead = Text("Enter the code we sent to {address}.", address=destination)
    elif kept:
        lead = Text("Enter the code we sent to your address.")
    return await turn.show(
        "confirm",
        Text("Confirm your account"),
        refusal_text=refusal_text,
        errors=errors,
        lead=lead,
        notice=notice,
        username=account.username,
        known=kept is not None,
        wait=max(0, ceil(account.resend_at - turn.page.now)),
        links={"sign_in": turn.link("/sign_in"), "forgot": turn.link("/forgot_password")},
    )
