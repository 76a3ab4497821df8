"""Codes sent by e-mail or text message: the account awaiting one, normalisation, and the destination shown.

Invariant: what is shown does not depend on whether the account exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gateway.aws.values import CognitoRefused
from gateway.errors import GatewayError
from gateway.http.answers import Answer
from gateway.pages import refusal_texts
from gateway.pages.kept import SOMEWHERE, Account, keep_account, kept_account
from gateway.pages.respond import see_other
from gateway.pages.turn import Turn, turn_of
from gateway.sessions.page_request import PageRequest

if TYPE_CHECKING:
    from gateway.pages.portal import Portal

# Errors that reveal whether an account exists: answered as if a code had been sent.
_TELLING = frozenset(
    {
        "UserNotFoundException",
        "InvalidParameterException",
        "NotAuthorizedException",
        "CodeDeliveryFailureException",
    }
)


def awaited(
    portal: Portal, page: PageRequest, why: Literal["confirm", "reset"]
) -> tuple[Turn, Account] | Answer:
    """Return the account in the sealed cookie, or the one the form names: a code outlives the cookie."""
    kept = kept_account(page, portal.sealers.challenge, why)
    if kept is not None and kept.pool_id in portal.pages.pools:
        pool = portal.pages.pool(kept.pool_id)
        pool.need_own_pages()
        return Turn(portal, page, pool, kept.return_to), kept
    turn = turn_of(portal, page)
    if isinstance(turn, Answer):
        return turn
    return turn, Account(why, turn.pool.id, turn.username, return_to=turn.return_to)


async def must_reset(turn: Turn, username: str) -> Answer:
    """Start the reset that Cognito requires of this user, and redirect to the page that takes the code."""
    account = Account("reset", turn.pool.id, username, return_to=turn.return_to)
    keep_account(turn.page, turn.portal.sealers.challenge, account)
    notice = "last_code"
    if turn.admit(turn.sending(username)) is None:
        try:
            await turn.ask_account(lambda accounts: accounts.forgot_password(username))
            notice = "required"
        except GatewayError as error:
            turn.report("forgot_password", error, refusal_texts.sending(error))
    return see_other(f"{turn.page.prefix}/reset_password?notice={notice}")


def destination_of(account: Account) -> str | None:
    """Return the destination that the user typed, if it is an e-mail address.

    Cognito's masked destination is returned only for an account that a code was sent to: showing it would
    reveal that the username was free."""
    if account.destination == SOMEWHERE:
        return None
    if account.destination:
        return account.destination
    return account.username if "@" in account.username else None


def not_told(error: GatewayError) -> bool:
    """Return whether refusing to send a code would reveal something about an account.

    A malformed username reveals nothing: no account has such a name."""
    if not isinstance(error, CognitoRefused) or error.code not in _TELLING:
        return False
    return not error.of_the_client and not error.member
