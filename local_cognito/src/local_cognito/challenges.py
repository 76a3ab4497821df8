"""RespondToAuthChallenge and AdminRespondToAuthChallenge: dispatch of answers by challenge.

Invariant: a session is used up by the right answer, and by every wrong password.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from local_cognito import device_sign_in, first_factor, levels, mfa, passwords
from local_cognito.accounts import check_account
from local_cognito.attributes import check_attributes, claim_aliases, required_and_missing
from local_cognito.clients import check_secret_hash, check_writable
from local_cognito.errors import invalid_parameter, not_authorized
from local_cognito.sessions import Turn, find_session
from local_cognito.state import State, User
from local_cognito.state_sign_in import AuthSession
from local_cognito.users import set_password

Request = Mapping[str, Any]
Answer = dict[str, Any]
Answers = Mapping[str, str]

_ATTRIBUTE = "userAttributes."


def respond(state: State, request: Request, now: float) -> Answer:
    pool, client = state.client(request["ClientId"])
    return answer_challenge(Turn(state, pool, client, now), request)


def admin_respond(state: State, request: Request, now: float) -> Answer:
    pool, client = state.client(request["ClientId"], request["UserPoolId"])
    return answer_challenge(Turn(state, pool, client, now), request)


def answer_challenge(turn: Turn, request: Request) -> Answer:
    answers = request.get("ChallengeResponses", {})
    username = mfa.answer_of(answers, "USERNAME")
    check_secret_hash(turn.client, username, answers.get("SECRET_HASH"))
    session = find_session(turn, request, username)
    user = turn.pool.users.get(turn.pool.fold(session.username))
    answer = _answer(_resumed(turn, session, answers), session, user, answers)
    # Used up on success only: a user whose new password violates the policy retries in the same session.
    session.used = True
    return answer


def _resumed(turn: Turn, session: AuthSession, answers: Answers) -> Turn:
    return replace(
        turn,
        by_srp=session.by_srp,
        methods=session.methods,
        target=session.target,
        device=answers.get("DEVICE_KEY") or session.device,
        known_device=session.known_device,
    )


def _answer(turn: Turn, session: AuthSession, user: User | None, answers: Answers) -> Answer:
    first = _FIRST.get(session.challenge)
    if first is not None and not session.second:
        return first(turn, session, user, answers)
    if user is None:
        raise not_authorized("Invalid session for the user.")
    check_account(user)
    return _LATER[session.challenge](turn, session, user, answers)


def _new_password(turn: Turn, session: AuthSession, user: User, answers: Answers) -> Answer:
    pool = turn.pool
    password = mfa.answer_of(answers, "NEW_PASSWORD")
    passwords.check_policy(pool.policy, password)
    given = {
        name.removeprefix(_ATTRIBUTE): value for name, value in answers.items() if name.startswith(_ATTRIBUTE)
    }
    check_attributes(pool, given)
    check_writable(turn.client, given)
    for name, value in given.items():
        # API reference: attributes that already have a value cannot be changed here.
        if user.attributes.get(name, value) != value:
            raise not_authorized(f"Cannot modify an already provided {name}")
    for name in required_and_missing(pool, user):
        if not given.get(name):
            raise invalid_parameter(f"Invalid attributes given, {name} is missing")
    claim_aliases(pool, replace(user, attributes={**user.attributes, **given}))
    user.attributes.update(given)
    set_password(pool, user, password, turn.now, permanent=True)
    return mfa.second_factor(turn, user)


def _set_up(turn: Turn, session: AuthSession, user: User, answers: Answers) -> Answer:
    """Answer MFA_SETUP, in the session that VerifySoftwareToken returned; the session before it is
    refused."""
    if not session.verified:
        raise invalid_parameter("Software token has not been verified in this session.")
    user.mfa.add(mfa.SOFTWARE_TOKEN)
    return mfa.signed_in(turn.proved(levels.TOTP), user)


_FIRST: dict[str, Callable[[Turn, AuthSession, User | None, Answers], Answer]] = {
    "PASSWORD_VERIFIER": first_factor.verify_srp,
    "SELECT_CHALLENGE": first_factor.chosen,
    "PASSWORD": first_factor.password_answer,
    "PASSWORD_SRP": first_factor.srp_answer,
    "EMAIL_OTP": first_factor.code_answer,
    "SMS_OTP": first_factor.code_answer,
    "WEB_AUTHN": first_factor.passkey_answer,
}
_LATER: dict[str, Callable[[Turn, AuthSession, User, Answers], Answer]] = {
    "NEW_PASSWORD_REQUIRED": _new_password,
    "SELECT_MFA_TYPE": mfa.select,
    "SOFTWARE_TOKEN_MFA": mfa.check_software_token,
    "SMS_MFA": first_factor.code_answer,
    "EMAIL_OTP": first_factor.code_answer,
    "MFA_SETUP": _set_up,
    "DEVICE_SRP_AUTH": device_sign_in.begin,
    "DEVICE_PASSWORD_VERIFIER": device_sign_in.verify,
}
