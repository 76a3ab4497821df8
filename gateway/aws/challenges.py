"""Names of the parameters in challenge responses, shared by the terminal and the pages.

Pure. Invariant: only challenges that both can answer are listed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

# API reference, RespondToAuthChallenge: challenge → the parameter that holds its code.
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
    """Return the attributes that NEW_PASSWORD_REQUIRED asks for, without their prefix."""
    try:
        names = json.loads(parameters.get("requiredAttributes") or "[]")
    except ValueError:
        names = []
    return tuple(name.removeprefix(_PREFIX) for name in names if isinstance(name, str))


def new_password(password: str, attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the response to NEW_PASSWORD_REQUIRED."""
    return {"NEW_PASSWORD": password, **{_PREFIX + name: value for name, value in attributes.items()}}


def code_destination(parameters: Mapping[str, str]) -> str:
    """Return where a code was sent, as masked by Cognito; empty if it does not say."""
    return parameters.get("CODE_DELIVERY_DESTINATION", "")
