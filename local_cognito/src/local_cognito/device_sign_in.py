"""DEVICE_SRP_AUTH and DEVICE_PASSWORD_VERIFIER: a remembered device proves itself after the user's password.

Where the pool's ChallengeRequiredOnNewDevice is set, it takes the place of the second factor. Invariant: only
the password that the device was confirmed with proves it, once per exchange, for the user it belongs to.
Source: developer guide, "Working with user devices in your user pool"; docs/local-cognito.md says what is
uncertain.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from local_cognito import levels, mfa, srp
from local_cognito.devices import group_key
from local_cognito.errors import invalid_parameter, not_found, wrong_password
from local_cognito.sessions import Turn, open_session
from local_cognito.srp_answers import proved_by_srp
from local_cognito.state import Device, User
from local_cognito.state_sign_in import AuthSession

Answer = dict[str, Any]
Answers = Mapping[str, str]


def begin(turn: Turn, session: AuthSession, user: User, answers: Answers) -> Answer:
    """Answer DEVICE_SRP_AUTH with the challenge DEVICE_PASSWORD_VERIFIER."""
    device = _device(session, user, answers)
    try:
        exchange = srp.begin(device.proof, mfa.answer_of(answers, "SRP_A"))
    except ValueError:
        raise invalid_parameter("Invalid SRP_A") from None
    block = base64.b64encode(exchange.block).decode()
    open_session(turn, user.username, "DEVICE_PASSWORD_VERIFIER", key=block, srp=exchange)
    return {
        "ChallengeName": "DEVICE_PASSWORD_VERIFIER",
        "ChallengeParameters": {
            "SALT": f"{device.proof.salt:x}",
            "SRP_B": f"{exchange.public:x}",
            "SECRET_BLOCK": block,
            "USERNAME": user.username,
            "DEVICE_KEY": device.key,
        },
    }


def verify(turn: Turn, session: AuthSession, user: User, answers: Answers) -> Answer:
    """Answer DEVICE_PASSWORD_VERIFIER."""
    device = _device(session, user, answers)
    session.used = True
    if not proved_by_srp(session, srp.of_device(group_key(turn.pool), device.key), answers, turn.now):
        raise wrong_password()
    device.authenticated = turn.now
    turn = replace(turn, known_device=device.key)
    instead = turn.pool.settings["DeviceConfiguration"].get("ChallengeRequiredOnNewDevice")
    if instead and levels.level_of(turn.methods) >= turn.target:
        return mfa.signed_in(turn, user)
    return mfa.second_factor(turn, user)


def _device(session: AuthSession, user: User, answers: Answers) -> Device:
    """Return the session's device, which may have been forgotten or replaced meanwhile."""
    device = user.devices.get(session.device)
    if device is None or not device.remembered or answers.get("DEVICE_KEY", session.device) != device.key:
        raise not_found("Device does not exist.")
    return device
