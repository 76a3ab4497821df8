"""First factors: password, SRP or a code that is sent; and the choice between them (USER_AUTH).

Invariant: a client without the password or the address learns nothing about an account; an unknown username
takes every step that a real one takes, up to the refusal.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from local_cognito import levels, mfa, passkeys, passwords, srp
from local_cognito.accounts import check_account, check_lock, settle_attempt
from local_cognito.clients import hides_users
from local_cognito.delivery import simulated, to_attribute
from local_cognito.errors import AwsError, invalid_parameter, wrong_password
from local_cognito.mfa import after_password, answer_of, check_sent_code, methods_of, send_code, signed_in
from local_cognito.sessions import CONFIRMED_SIGN_UP, Turn, open_session, session_of
from local_cognito.srp_answers import proved_by_srp
from local_cognito.state import FORCE_CHANGE_PASSWORD, Pool, User, find_user
from local_cognito.state_sign_in import AuthSession

Answer = dict[str, Any]
Answers = Mapping[str, str]

# Challenge → what answering it proves; SMS_MFA and EMAIL_OTP as second factors too.
_METHODS = {"EMAIL_OTP": levels.EMAIL, "SMS_OTP": levels.SMS, "SMS_MFA": levels.SMS}
_PROVES = {
    "PASSWORD": levels.PASSWORD,
    "PASSWORD_SRP": levels.PASSWORD,
    "EMAIL_OTP": levels.EMAIL,
    "SMS_OTP": levels.SMS,
    "WEB_AUTHN": levels.ROAMING,
}
_ATTRIBUTES = {"EMAIL_OTP": "email", "SMS_OTP": "phone_number"}


def known(turn: Turn, name: str) -> User | None:
    """Return the user, or None if there is none and the client hides that. Raises UserNotFoundException."""
    user = find_user(turn.pool, name)
    if user is None and not hides_users(turn.client):
        raise AwsError("UserNotFoundException", "User does not exist.")
    return user


def by_password(turn: Turn, name: str, user: User | None, password: str) -> Answer:
    # Unknown usernames are counted too: otherwise the lockout would reveal which exist.
    counted = user.username if user else name
    check_lock(turn.pool, counted, turn.now)
    right = passwords.matches(user.password if user else None, password)
    settle_attempt(turn.pool, counted, turn.now, right=right)
    if user is None:
        raise wrong_password()
    return after_password(turn, user)


def begin_srp(turn: Turn, name: str, user: User | None, client_public: str) -> Answer:
    """Return the challenge PASSWORD_VERIFIER."""
    internal = user.username if user else _stand_in(turn.pool, name)
    stored = (user.srp if user else None) or _stand_in_verifier(turn.pool, internal)
    try:
        exchange = srp.begin(stored, client_public)
    except ValueError:
        raise invalid_parameter("Invalid SRP_A") from None
    block = base64.b64encode(exchange.block).decode()
    open_session(turn, internal, "PASSWORD_VERIFIER", key=block, srp=exchange)
    return {
        "ChallengeName": "PASSWORD_VERIFIER",
        "ChallengeParameters": {
            "SALT": f"{stored.salt:x}",
            "SRP_B": f"{exchange.public:x}",
            "SECRET_BLOCK": block,
            "USERNAME": internal,
            "USER_ID_FOR_SRP": internal,
        },
    }


def verify_srp(turn: Turn, session: AuthSession, user: User | None, answers: Answers) -> Answer:
    # One attempt per exchange: every guess must cost a new one.
    session.used = True
    check_lock(turn.pool, session.username, turn.now)
    right = proved_by_srp(session, srp.of_user(turn.pool.id, session.username), answers, turn.now)
    settle_attempt(turn.pool, session.username, turn.now, right=right and user is not None)
    if user is None:
        raise wrong_password()
    return after_password(replace(turn, by_srp=True), user)


def choose(turn: Turn, name: str, user: User | None, parameters: Answers) -> Answer:
    """USER_AUTH: return the preferred challenge if available, otherwise the choice."""
    available = [
        factor
        for factor in _available(turn.pool, user)
        if _reach(turn.pool, user, (*turn.methods, _PROVES[factor])) >= turn.target
    ]
    preferred = parameters.get("PREFERRED_CHALLENGE")
    if preferred in available:
        return _challenge(turn, name, user, preferred, parameters)
    internal = user.username if user else _stand_in(turn.pool, name)
    return {
        "ChallengeName": "SELECT_CHALLENGE",
        "Session": open_session(turn, internal, "SELECT_CHALLENGE", called=name, choices=tuple(available)),
        "ChallengeParameters": {"USERNAME": name},
        "AvailableChallenges": available,
    }


def after_sign_up(turn: Turn, name: str, user: User | None, parameters: Answers, key: str) -> Answer:
    """Begin USER_AUTH with the session of ConfirmSignUp, whose code was the first factor (API reference).

    A user who may not sign in with such a code has the choice."""
    session = session_of(turn, key, CONFIRMED_SIGN_UP, user.username if user else "")
    session.used = True
    if user is None or not any(_PROVES[one] in session.methods for one in _available(turn.pool, user)):
        return choose(turn, name, user, parameters)
    check_account(user)
    return signed_in(replace(turn, methods=session.methods), user)


def best_level(turn: Turn, user: User | None) -> int:
    """Return the highest level that the user can reach with any first factor."""
    factors = _available(turn.pool, user)
    return max((_reach(turn.pool, user, (*turn.methods, _PROVES[one])) for one in factors), default=0)


def _reach(pool: Pool, user: User | None, methods: tuple[str, ...]) -> int:
    """Return the level that these methods reach; after a password, with a second factor."""
    if user is None or levels.PASSWORD not in methods:
        return levels.level_of(methods)
    return mfa.best_level(pool, user, methods)


def chosen(turn: Turn, session: AuthSession, user: User | None, answers: Answers) -> Answer:
    """Answer SELECT_CHALLENGE."""
    answer = answer_of(answers, "ANSWER")
    if answer not in session.choices:
        raise invalid_parameter("Invalid challenge: it is not one of AvailableChallenges")
    # A password in this answer can be tried once per session.
    session.used = True
    return _challenge(turn, session.called or session.username, user, answer, answers)


def password_answer(turn: Turn, session: AuthSession, user: User | None, answers: Answers) -> Answer:
    """Answer PASSWORD."""
    password = answer_of(answers, "PASSWORD")
    session.used = True
    return by_password(turn, session.called or session.username, user, password)


def srp_answer(turn: Turn, session: AuthSession, user: User | None, answers: Answers) -> Answer:
    """Answer PASSWORD_SRP."""
    name = session.called or session.username
    return _srp_in_session(turn, name, user, answer_of(answers, "SRP_A"))


def _srp_in_session(turn: Turn, name: str, user: User | None, client_public: str) -> Answer:
    """Choice-based sign-in has a session at every step; here it is the secret block again."""
    answer = begin_srp(turn, name, user, client_public)
    return {**answer, "Session": answer["ChallengeParameters"]["SECRET_BLOCK"]}


def code_answer(turn: Turn, session: AuthSession, user: User | None, answers: Answers) -> Answer:
    """Answer EMAIL_OTP, SMS_OTP or SMS_MFA, as first or second factor."""
    check_sent_code(session, answer_of(answers, f"{session.challenge}_CODE"))
    if user is None:
        # For an unknown user no code was sent: the same error as for a wrong one.
        session.failures += 1
        raise AwsError("CodeMismatchException", "Invalid code or auth state for the user.")
    check_account(user)
    return signed_in(turn.proved(_METHODS[session.challenge]), user)


def passkey_answer(turn: Turn, session: AuthSession, user: User | None, answers: Answers) -> Answer:
    """Answer WEB_AUTHN."""
    credential = answer_of(answers, "CREDENTIAL")
    # One attempt per challenge (WebAuthn section 13.4.3).
    session.used = True
    if user is None:
        raise wrong_password()
    passkey = passkeys.check_assertion(turn.pool, user, session.assertion, credential)
    check_account(user)
    return signed_in(turn.proved(levels.passkey_method(passkey)), user)


def _available(pool: Pool, user: User | None) -> list[str]:
    factors = pool.first_factors
    if user is not None and "WEB_AUTHN" in factors and _may_use_passkey(pool, user):
        return [*_without_passkey(pool, user), "WEB_AUTHN"]
    return _without_passkey(pool, user)


def _may_use_passkey(pool: Pool, user: User) -> bool:
    # Developer guide, "passwordless": not for users with a second factor, unless passkeys count as two.
    one_is_enough = not methods_of(pool, user) or (user.passkey_mfa and passkeys.satisfy_mfa(pool))
    return one_is_enough and user.status != FORCE_CHANGE_PASSWORD and bool(passkeys.usable(pool, user))


def _without_passkey(pool: Pool, user: User | None) -> list[str]:
    factors = pool.first_factors
    found = ["PASSWORD", "PASSWORD_SRP"] if user is None or user.password is not None else []
    for name, attribute in _ATTRIBUTES.items():
        if name not in factors:
            continue
        # Developer guide, "passwordless": not for users with a second factor.
        if user is None:
            found += [name] if name == "EMAIL_OTP" else []
        elif (
            user.attributes.get(f"{attribute}_verified") == "true"
            and user.status != FORCE_CHANGE_PASSWORD
            and not methods_of(pool, user)
        ):
            found.append(name)
    return found


def _challenge(turn: Turn, name: str, user: User | None, which: str, given: Answers) -> Answer:
    if which == "PASSWORD" and given.get("PASSWORD"):
        return by_password(turn, name, user, given["PASSWORD"])
    if which == "PASSWORD_SRP" and given.get("SRP_A"):
        return _srp_in_session(turn, name, user, given["SRP_A"])
    internal = user.username if user else _stand_in(turn.pool, name)
    if which in _ATTRIBUTES:
        delivery = to_attribute(user, _ATTRIBUTES[which]) if user else None
        shown = simulated(turn.pool, name)
        return send_code(turn, which, internal, delivery, second=False, called=name, shown=shown)
    challenge, parameters = b"", {"USERNAME": name}
    if which == "WEB_AUTHN" and user is not None:
        challenge = passkeys.new_challenge()
        options = passkeys.request_options(turn.pool, user, challenge)
        parameters["CREDENTIAL_REQUEST_OPTIONS"] = json.dumps(options)
    return {
        "ChallengeName": which,
        "Session": open_session(turn, internal, which, called=name, assertion=challenge),
        "ChallengeParameters": parameters,
    }


def custom_auth() -> Answer:
    raise invalid_parameter("Custom auth lambda trigger is not configured for the user pool.")


def _stand_in(pool: Pool, name: str) -> str:
    """Return the internal username of an unknown user: always the same, and of the usual form."""
    if not pool.fixed.get("UsernameAttributes"):
        return name
    digest = hmac.digest(pool.secret, b"id " + pool.fold(name).encode(), hashlib.sha256)
    return str(uuid.UUID(bytes=digest[:16], version=4))


def _stand_in_verifier(pool: Pool, internal: str) -> srp.Verifier:
    digest = hmac.digest(pool.secret, b"srp " + internal.encode(), hashlib.sha512)
    # No password matches: the exponent never leaves this process.
    return srp.Verifier(
        int.from_bytes(digest[:16], "big"), pow(srp.G, int.from_bytes(digest[16:48], "big"), srp.N)
    )
