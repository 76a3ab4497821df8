"""`/sign_in`: username and password, or the username alone in choice-based sign-in.

Invariant: a wrong password, an unknown username and an unconfirmed account get the same message, the same
status and the same count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.errors import GatewayError
from gateway.http.answers import Answer
from gateway.pages import passkey_autofill, providers, refusal_texts, unconfirmed
from gateway.pages.attempts import Key
from gateway.pages.badge import CONNECTED
from gateway.pages.codes import must_reset
from gateway.pages.features import GET, allowing
from gateway.pages.kept import kept_account
from gateway.pages.refusal_texts import RefusalText
from gateway.pages.respond import see_other
from gateway.pages.sign_in_target import SignInTarget, asked
from gateway.pages.turn import Turn, turn_of
from gateway.sessions.page_request import PageRequest
from gateway.texts import Text

if TYPE_CHECKING:
    from gateway.pages.portal import Portal

NO_USERNAME = Text("Enter your username or email address")
# A keyword in the URL → the notice it shows; no text is taken from the URL itself.
NOTICES: Mapping[str, Text] = {
    "confirmed": Text("Your account is confirmed. You can sign in now."),
    "created": Text("Your account is ready. You can sign in now."),
    "reset": Text("Your password is changed. Sign in with the new one."),
    "changed": Text("Your password is changed. Sign in with the new one."),
    "changed_here": Text("Your password is changed. Sign in with the new one."),
    "everywhere": Text(
        "Your password is changed and you are signed out everywhere. Sign in with the new one."
    ),
    "signed_out": Text("You are signed out."),
    "ended": Text("Your session has expired. Sign in to continue."),
    "deleted": Text("Your account is deleted."),
    "again": Text("Sign in again to change your account."),
    "expired": Text("This page has expired. Sign in again."),
    "passkey": Text("That passkey wasn't accepted. Try again, or sign in another way."),
    "connected": Text("The gateway is connected to your user pool."),
}


async def show(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET: show the form, or ask which user pool."""
    wanted = asked(page, portal.pages.pools, portal.pages.levels)
    if page.session is not None and page.query.get("again") != "1" and page.outcome is None:
        return see_other(wanted.onward(page))  # signed in already
    if portal.pages.pools and wanted.pool_id is None:
        return await _choose(portal, page, wanted)
    pool = None if wanted.pool_id is None else portal.pages.pool(wanted.pool_id)
    if pool is not None and pool.managed:
        return await _managed(Turn(portal, page, pool, wanted.return_to, wanted.acr_values))
    turn = turn_of(portal, page)
    if isinstance(turn, Answer):
        return turn
    if page.query.get("notice") == "wrong":
        return await _form(turn, refusal_text=replace(refusal_texts.WRONG, status=200))
    return await _form(turn, notice=NOTICES.get(page.query.get("notice", "")))


async def submit(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST: sign in."""
    turn = turn_of(portal, page)
    if isinstance(turn, Answer):
        return turn
    username, password = turn.username, page.form.get("password", "")
    choice = turn.pool.flow == "choice"
    errors = {} if username else {"username": NO_USERNAME}
    if not password and not choice:
        errors |= {"password": Text("Enter your password")}
    if errors:
        return await _form(turn, errors=errors)
    keys = turn.guessing(username)
    if refusal_text := turn.admit(keys):
        return await _form(turn, refusal_text=refusal_text)
    try:
        turn = await turn.toward(username)
        outcome = await turn.ask(
            lambda adapter: (
                adapter.begin(username, acr_values=turn.acr_values)
                if choice
                else adapter.sign_in(username, password)
            )
        )
        turn.taken(keys, outcome)
        return await turn.go_on(outcome)
    except GatewayError as error:
        return await _refused(turn, error, keys)


async def _refused(turn: Turn, error: GatewayError, keys: list[Key]) -> Answer:
    refusal_text = refusal_texts.sign_in(error)
    turn.report("sign_in", error, refusal_text)
    if unconfirmed.alike(refusal_text):
        unconfirmed.keep(turn, turn.username, refusal_text, with_password=turn.pool.flow != "choice")
        return await _form(turn, refusal_text=refusal_texts.WRONG)
    if refusal_text != refusal_texts.TOO_MANY:
        turn.take_back(keys)
    if refusal_text.next == "reset":
        return await must_reset(turn, turn.username)
    return await _form(turn, refusal_text=refusal_text)


async def _form(
    turn: Turn,
    *,
    refusal_text: RefusalText | None = None,
    errors: Mapping[str, str] | None = None,
    notice: Text | None = None,
) -> Answer:
    page = turn.page
    problem = None if page.outcome is None else page.outcome.problem
    # A user who has just confirmed an account, or mistyped a password, need not type the username again.
    known = kept_account(page, turn.portal.sealers.challenge, "confirm") if notice or refusal_text else None
    username = page.form.get("username", "") or (known.username if known else "")
    autofill = await passkey_autofill.offered(turn)
    buttons = await providers.buttons(turn)
    answer = await turn.show(
        "sign_in",
        Text("Sign in"),
        refusal_text=refusal_text,
        errors=errors,
        lead=_lead(turn),
        badge=CONNECTED,
        notice=notice,
        links={
            **_links(turn),
            # The stored IDs may be those of another application.
            "setup": None if await turn.portal.pages.first_sign_in.happened() else f"{page.prefix}/setup",
            "sign_up": turn.link("/sign_up") if await turn.pool.offers_sign_up() else None,
            "confirm": turn.link("/confirm")
            if refusal_texts.WRONG.sentence in (problem, refusal_text and refusal_text.sentence)
            else None,
        },
        username=username[:128],
        asks_password=turn.pool.flow != "choice",
        autofill=autofill,
        providers=buttons,
    )
    return allowing(answer, GET) if autofill else answer


async def _managed(turn: Turn) -> Answer:
    notice = NOTICES.get(turn.page.query.get("notice", ""))
    start, links = turn.link("/start"), _links(turn)
    return await turn.show(
        "managed", Text("Sign in"), lead=_lead(turn), badge=CONNECTED, start=start, links=links, notice=notice
    )


def _links(turn: Turn) -> dict[str, str | None]:
    elsewhere = SignInTarget(None, turn.return_to, turn.acr_values).link(turn.page, "/sign_in")
    several = len(turn.portal.pages.pools) > 1
    return {"forgot": turn.link("/forgot_password"), "other_pool": elsewhere if several else None}


def _lead(turn: Turn) -> str | None:
    return turn.pool.id if len(turn.portal.pages.pools) > 1 else None


async def _choose(portal: Portal, page: PageRequest, wanted: SignInTarget) -> Answer:
    pools = [
        {
            "name": pool.id,
            # A page of ours before managed login's would only cost a click.
            "link": SignInTarget(pool.id, wanted.return_to, wanted.acr_values).link(
                page, "/start" if pool.managed else "/sign_in"
            ),
        }
        for pool in portal.pages.pools.values()
    ]
    lead = Text("Which user pool is your account in?")
    return await portal.pages.show(
        page, "choose_pool", Text("Sign in"), lead=lead, badge=CONNECTED, pools=pools
    )
