"""One answer for a wrong password and for the right password of an unconfirmed account.

Signing up with a taken username is answered as if it had succeeded; if signing in told the cases apart, that
would be pointless. Which one it was is sealed, for /confirm alone. Invariant: page, status, count and cookies
are the same for both.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.pages.kept import Account, keep_account, kept_account
from gateway.pages.refusal_texts import WRONG, RefusalText
from gateway.pages.turn import Turn


def alike(refusal: RefusalText) -> bool:
    """Return whether this refusal is one of the two."""
    return refusal == WRONG or refusal.next == "confirm"


def keep(turn: Turn, username: str, refusal: RefusalText, *, with_password: bool) -> None:
    """Remember the account for /confirm. `with_password`: whether its password was proved."""
    sealer = turn.portal.sealers.challenge
    before = kept_account(turn.page, sealer, "confirm")
    if before is None or (before.pool_id, before.username) != (turn.pool.id, username):
        before = Account("confirm", turn.pool.id, username)
    proven = int(refusal.next == "confirm" and with_password) or before.proven
    keep_account(turn.page, sealer, replace(before, proven=proven, return_to=turn.return_to))
