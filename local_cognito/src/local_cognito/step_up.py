"""Signing in toward an authentication level: TARGET_ACR_VALUES, MAX_AGE and ACCESS_TOKEN of USER_AUTH.

Invariant: tokens are issued at the target level or not at all. Source: developer guide, "Step-up
authentication with the USER_AUTH flow".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from local_cognito import levels
from local_cognito.accounts import check_account
from local_cognito.errors import invalid_parameter, not_authorized
from local_cognito.first_factor import best_level, choose
from local_cognito.mfa import best_level as best_after
from local_cognito.mfa import second_factor
from local_cognito.sessions import Turn
from local_cognito.state import User
from local_cognito.tokens import read_access_token

Answer = dict[str, Any]
Answers = Mapping[str, str]


def begin(turn: Turn, name: str, user: User | None, parameters: Answers) -> Answer:
    """Begin USER_AUTH, toward a level if one is requested."""
    values, token = parameters.get("TARGET_ACR_VALUES"), parameters.get("ACCESS_TOKEN")
    if values is None:
        if token is not None:
            raise invalid_parameter("ACCESS_TOKEN needs TARGET_ACR_VALUES.")
        return choose(turn, name, user, parameters)
    wanted = levels.requested(turn.pool, values)
    if not wanted:
        raise invalid_parameter("None of TARGET_ACR_VALUES is a level of the user pool.")
    age = max_age(parameters.get("MAX_AGE"))
    credited = _credited(turn, user, token, age) if token is not None else ()
    turn = replace(turn, methods=credited)
    best = best_level(turn, user)
    target = next((level for level in wanted if level <= best), None)
    if target is None:
        raise invalid_parameter("The user has no factors for any of TARGET_ACR_VALUES.")
    if credited and levels.level_of(credited) >= target:
        raise invalid_parameter("The access token already meets the requested level.")
    turn = replace(turn, target=target)
    if user is not None and may_continue(turn, user):
        check_account(user)
        return second_factor(turn, user)
    return choose(turn, name, user, parameters)


def may_continue(turn: Turn, user: User) -> bool:
    """Return whether a second factor is all that is missing to the target."""
    return levels.PASSWORD in turn.methods and best_after(turn.pool, user, turn.methods) >= turn.target


def max_age(text: str | None) -> int | None:
    """Parse MAX_AGE. Raises InvalidParameterException."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise invalid_parameter("MAX_AGE must be a non-negative integer.")
    return int(text)


def _credited(turn: Turn, user: User | None, token: str, age: int | None) -> tuple[str, ...]:
    """Return what the token's sign-in proved; nothing if it is too old."""
    pool, holder, grant = read_access_token(turn.state, token, turn.now)
    if user is None or pool is not turn.pool or holder is not user:
        raise not_authorized("The access token was not issued to this user.")
    return grant.methods if age is None or turn.now - grant.auth_time <= age else ()
