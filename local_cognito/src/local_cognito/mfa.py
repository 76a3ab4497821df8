"""The steps after the first factor: a new password, a second factor, or tokens.

Invariant: only `signed_in` issues tokens, after every check that the account and the pool require.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any

from local_cognito import codes, levels, totp
from local_cognito.accounts import check_account
from local_cognito.attributes import required_and_missing
from local_cognito.delivery import masked, to_attribute
from local_cognito.devices import asked_to_prove, new_device
from local_cognito.errors import AwsError, invalid_parameter, not_authorized
from local_cognito.session_tracking import begin_token_session
from local_cognito.sessions import Turn, open_session
from local_cognito.state import FORCE_CHANGE_PASSWORD, Delivery, Pool, User
from local_cognito.state_sign_in import AuthSession
from local_cognito.tokens import authentication_result, new_grant

Answer = dict[str, Any]

SOFTWARE_TOKEN, SMS_MFA, EMAIL_OTP = "SOFTWARE_TOKEN_MFA", "SMS_MFA", "EMAIL_OTP"
# Second factor → its method (`levels`).
METHODS = {SOFTWARE_TOKEN: levels.TOTP, SMS_MFA: levels.SMS, EMAIL_OTP: levels.EMAIL}
_ATTRIBUTES = {SMS_MFA: "phone_number", EMAIL_OTP: "email", "SMS_OTP": "phone_number"}
# API reference, SELECT_MFA_TYPE: it has its own name for e-mail.
_ANSWERS = {SMS_MFA: SMS_MFA, SOFTWARE_TOKEN: SOFTWARE_TOKEN, EMAIL_OTP: EMAIL_OTP, "EMAIL_MFA": EMAIL_OTP}


def signed_in(turn: Turn, user: User) -> Answer:
    """Complete a sign-in: return a new grant's tokens or, in managed login, username and methods."""
    if levels.level_of(turn.methods) < turn.target:
        raise not_authorized("The requested authentication level was not reached.")
    if turn.managed:
        return {"SignedIn": user.username, "Methods": turn.methods}
    grant = new_grant(turn.pool, turn.client, user, turn.now)
    grant.methods = turn.methods
    begin_token_session(turn.state, turn.pool, grant, turn.now)
    device = {}
    if turn.known_device:
        grant.device_key = turn.known_device
    elif turn.by_srp:
        device = new_device(turn.pool, grant)
    result = authentication_result(turn.state, turn.pool, turn.client, user, grant, now=turn.now)
    return {
        "ChallengeParameters": {},
        "AuthenticationResult": {**result, "RefreshToken": grant.refresh_token, **device},
    }


def after_password(turn: Turn, user: User) -> Answer:
    """Return the step that follows a right password, by the account's state."""
    turn = turn.proved(levels.PASSWORD)
    check_account(user)
    if user.status == FORCE_CHANGE_PASSWORD:
        if user.temporary_until is not None and turn.now >= user.temporary_until:
            raise not_authorized("Temporary password has expired and must be reset by an administrator.")
        return _new_password_required(turn, user)
    return asked_to_prove(turn, user) or second_factor(turn, user)


def _new_password_required(turn: Turn, user: User) -> Answer:
    missing = [f"userAttributes.{name}" for name in required_and_missing(turn.pool, user)]
    return {
        "ChallengeName": "NEW_PASSWORD_REQUIRED",
        "Session": open_session(turn, user.username, "NEW_PASSWORD_REQUIRED"),
        "ChallengeParameters": {
            "USER_ID_FOR_SRP": user.username,
            "requiredAttributes": json.dumps(missing),
            "userAttributes": json.dumps(user.attributes),
        },
    }


def enabled_methods(pool: Pool) -> list[str]:
    """Return the second factors that the pool offers."""
    offered = {
        SMS_MFA: "SmsConfiguration" in pool.settings,
        EMAIL_OTP: pool.email_mfa is not None,
        SOFTWARE_TOKEN: pool.software_token_mfa,
    }
    return [name for name, on in offered.items() if on]


def methods_of(pool: Pool, user: User) -> list[str]:
    """Return the second factors that apply to this user: those set up or, if MFA is required, those
    possible."""
    setting = pool.settings["MfaConfiguration"]
    if setting == "OFF":
        return []
    mine = [name for name in enabled_methods(pool) if name in user.mfa]
    if mine or setting == "OPTIONAL":
        return mine
    # Developer guide, "adding MFA": if required, a registered token, verified number or address is used.
    ready = {SOFTWARE_TOKEN: user.totp_secret is not None}
    for name in (SMS_MFA, EMAIL_OTP):
        ready[name] = user.attributes.get(f"{_ATTRIBUTES[name]}_verified") == "true"
    return [name for name in enabled_methods(pool) if ready[name]]


def best_level(pool: Pool, user: User, methods: tuple[str, ...]) -> int:
    """Return the highest level that the user can reach from these methods with a second factor."""
    return max(
        levels.level_of(methods),
        *(levels.level_of((*methods, METHODS[one])) for one in methods_of(pool, user)),
        0,
    )


def second_factor(turn: Turn, user: User) -> Answer:
    methods = methods_of(turn.pool, user)
    # For a target level, only those that reach it, whichever is preferred.
    wanted = [one for one in methods if levels.level_of((*turn.methods, METHODS[one])) >= turn.target]
    if levels.level_of(turn.methods) < turn.target and wanted:
        methods = wanted
    if not methods:
        return (
            signed_in(turn, user) if turn.pool.settings["MfaConfiguration"] != "ON" else _set_up(turn, user)
        )
    if user.preferred_mfa in methods:
        methods = [user.preferred_mfa]
    if len(methods) == 1:
        return _ask(turn, user, methods[0])
    return {
        "ChallengeName": "SELECT_MFA_TYPE",
        "Session": open_session(turn, user.username, "SELECT_MFA_TYPE", choices=tuple(methods)),
        "ChallengeParameters": {
            "USER_ID_FOR_SRP": user.username,
            "MFAS_CAN_CHOOSE": json.dumps(methods),
        },
    }


def _set_up(turn: Turn, user: User) -> Answer:
    if not turn.pool.software_token_mfa:
        raise not_authorized(
            "MFA is required and this user has none; the local Cognito lets users set up software tokens only"
        )
    return {
        "ChallengeName": "MFA_SETUP",
        "Session": open_session(turn, user.username, "MFA_SETUP"),
        "ChallengeParameters": {
            "USER_ID_FOR_SRP": user.username,
            "MFAS_CAN_SETUP": json.dumps([SOFTWARE_TOKEN]),
        },
    }


def _ask(turn: Turn, user: User, method: str) -> Answer:
    if method != SOFTWARE_TOKEN:
        return send_code(turn, method, user.username, to_attribute(user, _ATTRIBUTES[method]), second=True)
    return {
        "ChallengeName": method,
        "Session": open_session(turn, user.username, method, second=True),
        "ChallengeParameters": {
            "USER_ID_FOR_SRP": user.username,
            "FRIENDLY_DEVICE_NAME": user.totp_name or "",
        },
    }


def send_code(
    turn: Turn,
    challenge: str,
    name: str,
    delivery: Delivery | None,
    *,
    second: bool,
    called: str | None = None,
    shown: Delivery | None = None,
) -> Answer:
    """Send a code and return its challenge. Without a delivery nothing is sent; `shown` is the destination
    shown."""
    code = codes.new_code()
    where = delivery or shown
    if where is None:
        raise invalid_parameter("User does not have delivery config set to receive a code")
    if delivery is not None:
        kind = "mfa" if second else "sign-in"
        codes.post(turn.state, turn.pool, name, kind=kind, delivery=delivery, code=code, now=turn.now)
    return {
        "ChallengeName": challenge,
        "Session": open_session(turn, name, challenge, code=code, second=second, called=called),
        "ChallengeParameters": {
            **({"USER_ID_FOR_SRP": name} if second else {}),
            "CODE_DELIVERY_DELIVERY_MEDIUM": where.medium,
            "CODE_DELIVERY_DESTINATION": masked(where),
        },
    }


def select(turn: Turn, session: AuthSession, user: User, answers: Mapping[str, str]) -> Answer:
    """Answer SELECT_MFA_TYPE."""
    method = _ANSWERS.get(answer_of(answers, "ANSWER"))
    if method is None or method not in session.choices:
        raise invalid_parameter("Invalid MFA type: it is not one of MFAS_CAN_CHOOSE")
    return _ask(turn, user, method)


def check_software_token(turn: Turn, session: AuthSession, user: User, answers: Mapping[str, str]) -> Answer:
    code = answer_of(answers, "SOFTWARE_TOKEN_MFA_CODE")
    step = totp.matching_step(user.totp_secret, code, turn.now) if user.totp_secret else None
    if step is None:
        session.failures += 1
        raise AwsError("CodeMismatchException", "Invalid code received for user")
    if step <= user.totp_step:
        raise AwsError("ExpiredCodeException", "Your software token has already been used once.")
    user.totp_step = step
    return signed_in(turn.proved(levels.TOTP), user)


def check_sent_code(session: AuthSession, given: str) -> None:
    """Raise CodeMismatchException for a wrong code; after a few, the session ends."""
    if session.code is None or not hmac.compare_digest(session.code.encode(), given.encode()):
        session.failures += 1
        raise AwsError("CodeMismatchException", "Invalid code or auth state for the user.")


def answer_of(answers: Mapping[str, str], name: str) -> str:
    value = answers.get(name)
    if not value:
        raise invalid_parameter(f"Missing required parameter {name}")
    return value
