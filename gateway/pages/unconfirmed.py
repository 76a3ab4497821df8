"""A password that Cognito refused, and one that is right for an unconfirmed account: both get one answer.

Who signs up with a name that is taken is answered as if the account were theirs; if signing in told the two
apart, the answer would be worth nothing. What it was is kept, sealed, for /confirm alone. Invariant: page,
status, count and cookies are the same for both.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.pages.kept import Account, keep_account, kept_account
from gateway.pages.refusal_texts import WRONG, RefusalText
from gateway.pages.turn import Turn


def alike(told: RefusalText) -> bool:
    """Whether this is one of the two."""
    return told == WRONG or told.next == "confirm"


def keep(turn: Turn, username: str, told: RefusalText, *, with_password: bool) -> None:
    """For /confirm; `with_password`: whether an unconfirmed account's password was proved with it."""
    sealer = turn.portal.sealers.challenge
    before = kept_account(turn.page, sealer, "confirm")
    if before is None or (before.pool_id, before.username) != (turn.pool.id, username):
        before = Account("confirm", turn.pool.id, username)
    proven = int(told.next == "confirm" and with_password) or before.proven
    keep_account(turn.page, sealer, replace(before, proven=proven, return_to=turn.return_to))
