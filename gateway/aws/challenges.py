"""What Cognito's challenges are answered with, by name: shared by the terminal and the pages.

Pure. Invariant: only challenges that both sides of this program can answer are in here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

# API reference, RespondToAuthChallenge: challenge → the member that holds its code.
CODES: Mapping[str, str] = MappingProxyType(
    {
        "SMS_MFA": "SMS_MFA_CODE",
        "SMS_OTP": "SMS_OTP_CODE",
        "EMAIL_OTP": "EMAIL_OTP_CODE",
        "SOFTWARE_TOKEN_MFA": "SOFTWARE_TOKEN_MFA_CODE",
        "CUSTOM_CHALLENGE": "ANSWER",
    }
)
_PREFIX = "userAttributes."


def required_attributes(parameters: Mapping[str, str]) -> tuple[str, ...]:
    """What NEW_PASSWORD_REQUIRED wants besides a password: names without their prefix."""
    try:
        names = json.loads(parameters.get("requiredAttributes") or "[]")
    except ValueError:
        names = []
    return tuple(name.removeprefix(_PREFIX) for name in names if isinstance(name, str))


def new_password(password: str, attributes: Mapping[str, str]) -> dict[str, str]:
    """The answer to NEW_PASSWORD_REQUIRED."""
    return {"NEW_PASSWORD": password, **{_PREFIX + name: value for name, value in attributes.items()}}


def code_destination(parameters: Mapping[str, str]) -> str:
    """Where a code went, as Cognito tells it: most of it starred out; empty where it does not."""
    return parameters.get("CODE_DELIVERY_DESTINATION", "")
