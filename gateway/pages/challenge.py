"""`/challenge`: the steps that Cognito asks for between a password and its tokens (see sign_in_steps.py).

Invariant: an answer is sent only for the challenge sealed for this browser; each form answers only its own
step; an authenticator's key is shown until it is verified, never after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gateway.aws.relying_party import PASSKEY
from gateway.aws.values import Challenge, Tokens
from gateway.errors import GatewayError
from gateway.http.answers import Answer
from gateway.pages import authenticator_key, passkey_autofill, refusal_texts, sign_in_steps, unconfirmed
from gateway.pages.attempts import Key
from gateway.pages.codes import must_reset
from gateway.pages.features import GET, allowing
from gateway.pages.kept import forget_step, kept_step
from gateway.pages.once import Once
from gateway.pages.password_rules import broken, rules
from gateway.pages.refusal_texts import RefusalText
from gateway.pages.respond import see_other
from gateway.pages.sign_in_steps import SignInStep
from gateway.pages.turn import Turn
from gateway.sessions.page_request import PageRequest
from gateway.texts import Text

if TYPE_CHECKING:
    from gateway.aws.user_pool import UserPoolClient
    from gateway.pages.portal import Portal


async def show(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET: show the current step."""
    at = _at(portal, page)
    return _lost(page) if at is None else await _form(*at)


async def submit(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST: send the answer of the current step."""
    at = _at(portal, page)
    if at is None:
        return _lost(page)
    turn, step = at
    if page.form.get("step") != step.id:
        return await _form(
            turn, step, refusal_text=RefusalText(Text("This page was out of date. Here is where you are."))
        )
    planned = sign_in_steps.plan(step.challenge, page.form)
    errors = dict(planned.errors) if isinstance(planned, sign_in_steps.Wrong) else {}
    if step.challenge.name == "NEW_PASSWORD_REQUIRED":
        sentence = broken(await turn.policy(), page.form.get("new_password", ""))
        errors |= {} if sentence is None else {"new_password": sentence}
    if errors or isinstance(planned, sign_in_steps.Wrong):
        return await _form(turn, step, errors=errors)
    keys = turn.guessing(step.challenge.username)
    # In choice-based sign-in, a code can be requested before anything has been proved.
    sent = turn.sending(step.challenge.username) if sign_in_steps.sends(planned) else []
    if refusal_text := turn.admit(keys + sent):
        return await _form(turn, step, refusal_text=refusal_text)
    if isinstance(planned, sign_in_steps.Password) and not sign_in_steps.takes_password(step.challenge):
        return _wrong_password(turn, step, refusal_texts.WRONG, with_password=False)
    try:
        outcome = await turn.ask(_sending(step, planned, portal.pages.once))
        turn.taken(keys, outcome)
        if sign_in_steps.asks_for_message(step.challenge):
            turn.arrived(step.challenge.username)
        answer = await turn.go_on(outcome, everywhere=step.everywhere)
    except GatewayError as error:
        return await _refused(turn, step, planned, error, keys)
    if step.challenge.name == PASSKEY and isinstance(outcome, Tokens):
        passkey_autofill.remember(turn, step.challenge.username)
    return answer


async def _refused(
    turn: Turn, step: SignInStep, planned: sign_in_steps.Sent, error: GatewayError, keys: list[Key]
) -> Answer:
    by_passkey = step.challenge.name == PASSKEY
    refusal_text = refusal_texts.passkey(error) if by_passkey else refusal_texts.challenge(error)
    turn.report("challenge", error, refusal_text)
    if refusal_text.fault or refusal_text.next == "again":
        turn.take_back(keys)
    if refusal_text.next == "again":
        forget_step(turn.page)
        return turn.to("/sign_in", notice="expired")
    if refusal_text.next == "reset":
        forget_step(turn.page)
        return await must_reset(turn, step.challenge.username)
    if refusal_text == refusal_texts.PASSKEY_REFUSED:
        # Cognito accepts one answer per challenge.
        forget_step(turn.page)
        return turn.to("/sign_in", notice="passkey")
    if unconfirmed.alike(refusal_text):
        return _wrong_password(
            turn, step, refusal_text, with_password=isinstance(planned, sign_in_steps.Password)
        )
    return await _form(turn, step, refusal_text=refusal_text)


def _wrong_password(
    turn: Turn, step: SignInStep, refusal_text: RefusalText, *, with_password: bool
) -> Answer:
    """Return to the sign-in form: Cognito accepts one password per step. An account without a password must
    look the same."""
    forget_step(turn.page)
    unconfirmed.keep(turn, step.challenge.username, refusal_text, with_password=with_password)
    return turn.to("/sign_in", notice="wrong")


def _sending(
    step: SignInStep, planned: sign_in_steps.Sent, once: Once
) -> Callable[[UserPoolClient], Tokens | Challenge]:
    """Return the call that sends a planned answer."""
    challenge = step.challenge

    def send(adapter: UserPoolClient) -> Tokens | Challenge:
        if isinstance(planned, sign_in_steps.Password):
            return adapter.answer_with_password(challenge, planned.text)
        if isinstance(planned, sign_in_steps.AuthenticatorCode):
            verified = adapter.verify_authenticator(challenge, planned.text)
            # Otherwise a copy of the browser's cookie would show the key again until its seal expires.
            once.use(step.id)
            return adapter.answer(verified, {})
        if isinstance(planned, sign_in_steps.OtherWay):
            return adapter.begin(challenge.username, acr_values=step.acr_values)
        return adapter.answer(challenge, planned.members)

    return send


def _at(portal: Portal, page: PageRequest) -> tuple[Turn, SignInStep] | None:
    step = kept_step(page, portal.sealers.challenge)
    # A reload may have removed the pool in the meantime.
    if step is None or step.pool_id not in portal.pages.pools:
        return None
    if step.secret and portal.pages.once.used(step.id):
        return None
    pool = portal.pages.pool(step.pool_id)
    pool.need_own_pages()
    return Turn(portal, page, pool, step.return_to, step.acr_values), step


def _lost(page: PageRequest) -> Answer:
    return see_other(page.prefix + "/sign_in?notice=expired")


async def _form(
    turn: Turn,
    step: SignInStep,
    *,
    refusal_text: RefusalText | None = None,
    errors: Mapping[str, str] | None = None,
) -> Answer:
    shown = sign_in_steps.view(step.challenge, turn.form, stronger=bool(step.acr_values))
    again = turn.link("/sign_in")
    if any(option.value == PASSKEY for option in shown.options):
        works = await turn.pool.passkeys_work_at(turn.page.origin)
        shown = shown if works else sign_in_steps.without_passkey(shown)
    if shown.kind == "unknown":
        link = {"href": again, "text": Text("Start over")}
        return await turn.show("message", shown.title, sentences=[shown.lead], link=link)
    answer = await turn.show(
        "challenge",
        shown.title,
        refusal_text=refusal_text,
        errors=errors,
        lead=shown.lead,
        step=shown,
        rules=rules(await turn.policy()) if shown.kind == "new_password" else None,
        kept={"step": step.id},
        links={"sign_in": again, "forgot": turn.link("/forgot_password")},
        authenticator=(
            await authenticator_key.shown(turn.page.origin, step.challenge.username, step.secret)
            if step.secret
            else None
        ),
    )
    return allowing(answer, GET) if shown.kind == "passkey" else answer
