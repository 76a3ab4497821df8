"""Sign-in after a password change: other sessions end, and this browser is signed in with the new password.

Invariant: a browser signed in here has just given the new password and every second factor required.
"""

from __future__ import annotations

from gateway.aws.values import Challenge, Tokens
from gateway.errors import GatewayError
from gateway.http.answers import Answer
from gateway.pages import refusal_texts
from gateway.pages.respond import see_other
from gateway.pages.turn import Turn


async def reset_everywhere(turn: Turn, username: str, password: str) -> Answer:
    """Sign the user out everywhere after a reset by code. That takes a token, so a sign-in comes first."""
    outcome = await _tried(turn, username, password)
    if isinstance(outcome, Challenge):
        # The second factor comes first; the sealed step remembers that the sign-out is still due.
        return await _gone_on(turn, outcome, notice="reset", everywhere=True)
    if outcome is None or not await turn.portal.sessions.end_all(turn.page, turn.pool.configured, outcome):
        return turn.to("/sign_in", notice="reset")
    return await signed_in_again(turn, username, password, notice="everywhere")


async def signed_in_again(turn: Turn, username: str, password: str, *, notice: str) -> Answer:
    """Sign in with the new password. `notice`: what the sign-in page says if that fails."""
    outcome = await _tried(turn, username, password)
    if outcome is None:
        return turn.to("/sign_in", notice=notice)
    return await _gone_on(turn, outcome, notice=notice)


async def _tried(turn: Turn, username: str, password: str) -> Tokens | Challenge | None:
    try:
        return await turn.ask(lambda adapter: adapter.sign_in(username, password))
    except GatewayError as error:
        turn.report("sign_in", error, refusal_texts.sign_in(error))
        return None


async def _gone_on(
    turn: Turn, outcome: Tokens | Challenge, *, notice: str, everywhere: bool = False
) -> Answer:
    try:
        answer = await turn.go_on(outcome, everywhere=everywhere)
    except GatewayError as error:
        turn.report("sign_in", error, refusal_texts.sign_in(error))
        return turn.to("/sign_in", notice=notice)
    if isinstance(outcome, Tokens) and not turn.return_to:
        return see_other(f"{turn.page.prefix}/?notice={notice}")
    return answer
