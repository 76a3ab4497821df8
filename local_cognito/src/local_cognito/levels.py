"""How strongly a user signed in: the methods proved, and the level they reach (claims `amr` and `acr`).

Pure. Source: developer guide, "Authentication levels with ACR and AMR claims".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from local_cognito.errors import AwsError, invalid_parameter
from local_cognito.state import Passkey, Pool

# The values of `amr`.
PASSWORD, TOTP, SMS, EMAIL = "pwd", "otp", "sms", "email_otp"
PLATFORM, ROAMING = "swk", "hwk"
_PASSKEYS = {PLATFORM, ROAMING}
_DEFAULTS = {f"Level{level}": f"urn:cognito:loa:{level}" for level in range(1, 5)}


def passkey_method(passkey: Passkey) -> str:
    return PLATFORM if passkey.attachment == "platform" else ROAMING


def level_of(methods: Iterable[str]) -> int:
    """Return the highest level that these methods satisfy; 0: none."""
    proved = set(methods)
    if {PASSWORD, TOTP} <= proved:
        return 4
    if proved & _PASSKEYS or (PASSWORD in proved and proved & {SMS, EMAIL}):
        return 3
    if proved & {SMS, EMAIL}:
        return 2
    return 1 if PASSWORD in proved else 0


def claims(pool: Pool, methods: tuple[str, ...]) -> dict[str, Any]:
    """Return `acr` and `amr`."""
    level = level_of(methods)
    if not level:
        return {}
    proved = list(dict.fromkeys(methods))
    several = ["mfa"] if len(proved) > 1 else []
    names = pool.settings["AcrConfiguration"]
    return {"acr": names[f"Level{level}"]["AcrValue"], "amr": [*proved, *several]}


def requested(pool: Pool, values: str) -> list[int]:
    """Return the levels in a space-separated list, in its order, without names that are unknown."""
    names = {one["AcrValue"]: int(key[-1]) for key, one in pool.settings["AcrConfiguration"].items()}
    return [names[value] for value in values.split() if value in names]


def acr_names(given: Mapping[str, Any], tier: str) -> dict[str, Any]:
    """Return the effective AcrConfiguration. Raises AwsError unless the names are unique."""
    if given and tier == "LITE":
        raise AwsError(
            "FeatureUnavailableInTierException", "AcrConfiguration needs the Essentials tier or higher."
        )
    names = {key: {"AcrValue": value} for key, value in _DEFAULTS.items()} | dict(given)
    if len({one["AcrValue"] for one in names.values()}) < len(names):
        raise invalid_parameter("AcrValue must be unique across all levels, including default names.")
    return names
