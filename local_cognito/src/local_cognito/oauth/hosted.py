"""The hosted sign-in page, step by step: a password, then whatever the account and the pool require.

It uses the API's own sign-in rules. Invariant: a browser session begins only where `mfa.signed_in` would have
issued tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from local_cognito.challenges import answer_challenge
from local_cognito.errors import AwsError
from local_cognito.first_factor import by_password
from local_cognito.oauth.authorize import Ask
from local_cognito.sessions import Turn
from local_cognito.state import State, User, find_user

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


def first_step(ask: Ask, *, username: str = "", error: str = "") -> Step:
    fields = {"username": ("Username", "text"), "password": ("Password", "password")}
    values = {"username": username or ask.login_hint or ""}
    return Step(f"Sign in to {ask.pool.name}", fields, error=error, values=values)


def submit(state: State, ask: Ask, form: Mapping[str, str], now: float) -> User | Step:
    """Return the user once everything is proved, otherwise the next step, or this one with its error."""
    turn = Turn(state, ask.pool, ask.client, now, managed=True)
    if "challenge" in form:
        return _challenge(turn, ask, form)
    username, password = form.get("username", ""), form.get("password", "")
    try:
        # Managed login never reveals who exists, whatever the app client's setting.
        answer = by_password(turn, username, find_user(ask.pool, username), password)
    except AwsError as error:
        return first_step(ask, username=username, error=error.message)
    return _next(turn, answer)


def _challenge(turn: Turn, ask: Ask, form: Mapping[str, str]) -> User | Step:
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


def _next(turn: Turn, answer: Mapping[str, Any]) -> User | Step:
    username = answer.get("SignedIn")
    if username is not None:
        return turn.pool.users[turn.pool.fold(username)]
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
