"""The hosted sign-in page, step by step: a password, then whatever the account and the pool require.

It uses the API's own sign-in rules. Invariant: a browser session begins only where `mfa.signed_in` would have
issued tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from local_cognito.challenges import answer_challenge
from local_cognito.errors import AwsError
from local_cognito.first_factor import by_password
from local_cognito.levels import PASSWORD, level_of
from local_cognito.mfa import best_level, second_factor
from local_cognito.oauth.authorize import Ask
from local_cognito.sessions import Turn
from local_cognito.state import State, User, find_user
from local_cognito.state_sign_in import BrowserSession
from local_cognito.step_up import may_continue

# What the page asks for by challenge: form field → (label, input type).
_CODE = ("Code", "text")
_FIELDS: dict[str, dict[str, tuple[str, str]]] = {
    "NEW_PASSWORD_REQUIRED": {"NEW_PASSWORD": ("New password", "password")},
    "SOFTWARE_TOKEN_MFA": {"SOFTWARE_TOKEN_MFA_CODE": _CODE},
    "SMS_MFA": {"SMS_MFA_CODE": _CODE},
    "EMAIL_OTP": {"EMAIL_OTP_CODE": _CODE},
    "SELECT_MFA_TYPE": {"ANSWER": ("How to send the code", "text")},
}


_NOT_ANSWERS = frozenset({"challenge", "session", "csrf", "signInSubmitButton"})


@dataclass(frozen=True, slots=True)
class Step:
    """One page: visible fields, hidden fields, and the error of the last attempt."""

    title: str
    fields: Mapping[str, tuple[str, str]]
    hidden: Mapping[str, str] = field(default_factory=dict, repr=False)
    note: str = ""
    error: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """A user who proved everything, and by which methods."""

    user: User
    methods: tuple[str, ...]


def first_step(ask: Ask, *, username: str = "", error: str = "") -> Step:
    fields = {"username": ("Username", "text"), "password": ("Password", "password")}
    values = {"username": username or ask.login_hint or ""}
    return Step(f"Sign in to {ask.pool.name}", fields, error=error, values=values)


def target(ask: Ask, user: User) -> int:
    """Return the level to reach: the most wanted one that the user can; 0 if there is none."""
    best = best_level(ask.pool, user, (PASSWORD,))
    return next((level for level in ask.levels if level <= best), 0)


def accepts(ask: Ask, session: BrowserSession, now: float) -> bool:
    """Return whether a browser session answers the request without a page."""
    user = ask.pool.users[ask.pool.fold(session.username)]
    return _fresh(ask, session, now) and level_of(session.methods) >= target(ask, user)


def _fresh(ask: Ask, session: BrowserSession, now: float) -> bool:
    young = ask.max_age is None or now - session.auth_time <= ask.max_age
    return young and ask.prompt != "login"


def begin(state: State, ask: Ask, session: BrowserSession | None, now: float) -> Step:
    """Return the first page: the second factor alone where only that is missing to the level."""
    if session is not None and _fresh(ask, session, now):
        user = ask.pool.users[ask.pool.fold(session.username)]
        turn = Turn(state, ask.pool, ask.client, now, managed=True, methods=session.methods)
        turn = replace(turn, target=target(ask, user))
        if level_of(turn.methods) < turn.target and may_continue(turn, user):
            outcome = _next(turn, second_factor(turn, user))
            if isinstance(outcome, Step):
                return outcome
    return first_step(ask)


def submit(state: State, ask: Ask, form: Mapping[str, str], now: float) -> Done | Step:
    """Return the user once everything is proved, otherwise the next step, or this one with its error."""
    turn = Turn(state, ask.pool, ask.client, now, managed=True)
    if "challenge" in form:
        return _challenge(turn, ask, form)
    username, password = form.get("username", ""), form.get("password", "")
    user = find_user(ask.pool, username)
    if user is not None:
        turn = replace(turn, target=target(ask, user))
    try:
        # Managed login never reveals who exists, whatever the app client's setting.
        answer = by_password(turn, username, user, password)
    except AwsError as error:
        return first_step(ask, username=username, error=error.message)
    return _next(turn, answer)


def _challenge(turn: Turn, ask: Ask, form: Mapping[str, str]) -> Done | Step:
    request = {"ChallengeName": form["challenge"], "Session": form.get("session", "")}
    answers = {name: value for name, value in form.items() if name not in _NOT_ANSWERS}
    try:
        answer = answer_challenge(turn, {**request, "ChallengeResponses": answers})
    except AwsError as error:
        if error.type == "NotAuthorizedException" or form["challenge"] not in _FIELDS:
            return first_step(ask, error=error.message)
        again = {"ChallengeName": form["challenge"], "Session": form.get("session", "")}
        fields = {name: _field(name) for name in answers if name != "USERNAME"}
        return _step(again, answers.get("USERNAME", ""), fields, error=error.message)
    return _next(turn, answer)


def _next(turn: Turn, answer: Mapping[str, Any]) -> Done | Step:
    username = answer.get("SignedIn")
    if username is not None:
        return Done(turn.pool.users[turn.pool.fold(username)], answer["Methods"])
    name, parameters = answer["ChallengeName"], answer["ChallengeParameters"]
    if name not in _FIELDS:
        return Step(
            "One more step", {}, error=f"The local sign-in page does not support {name}: use the API."
        )
    fields = dict(_FIELDS[name])
    for attribute in json.loads(parameters.get("requiredAttributes", "[]")):
        fields[attribute] = _field(attribute)
    where = parameters.get("CODE_DELIVERY_DESTINATION") or parameters.get("MFAS_CAN_CHOOSE")
    return _step(answer, parameters["USER_ID_FOR_SRP"], fields, note=where or "")


def _field(name: str) -> tuple[str, str]:
    for fields in _FIELDS.values():
        if name in fields:
            return fields[name]
    return name.removeprefix("userAttributes."), "text"


def _step(
    asked: Mapping[str, Any],
    username: str,
    fields: Mapping[str, tuple[str, str]],
    *,
    note: str = "",
    error: str = "",
) -> Step:
    hidden = {"challenge": asked["ChallengeName"], "session": asked["Session"], "USERNAME": username}
    return Step("One more step", fields, hidden, note, error)
