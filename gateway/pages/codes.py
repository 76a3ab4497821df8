"""Codes that were sent: whose is awaited, how they are typed, what is said of where they went.

Invariant: what is said does not depend on whether the account exists.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from gateway.aws.values import CognitoRefused
from gateway.errors import GatewayError
from gateway.http.answers import Answer
from gateway.pages import refusal_texts
from gateway.pages.kept import Account, keep_account, kept_account
from gateway.pages.respond import see_other
from gateway.pages.turn import Turn, turn_of
from gateway.sessions.page_request import PageRequest

if TYPE_CHECKING:
    from gateway.pages.portal import Portal

_BETWEEN_DIGITS = re.compile(r"[\s-]+")
# What Cognito says only of accounts that there are, or are not: told as if a code had been sent.
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
    """The account that was kept, or one that the form names: a code lives longer than what we keep."""
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
    """Cognito takes no password of this user before it is reset: on to the page that does, with a code."""
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


def clean(code: str) -> str:
    """Without the spaces and dashes that mails and people put into it."""
    return _BETWEEN_DIGITS.sub("", code)


def destination_of(account: Account) -> str:
    """What the person typed themselves, if that is an address.

    Cognito's own words for where it went, most of it starred out, come only for an account that a code was
    sent for: whoever is shown them knows that the name was free."""
    if account.destination:
        return account.destination
    return account.username if "@" in account.username else "your address"


def not_told(error: GatewayError) -> bool:
    """Whether a refusal to send a code would tell something about an account.

    One of the name's form tells nothing: nobody has such a name."""
    if not isinstance(error, CognitoRefused) or error.code not in _TELLING:
        return False
    return not error.of_the_client and not error.member
