"""Destinations of codes, and their masked form in CodeDeliveryDetails.

Pure. Invariant: a simulated destination is always the same for a name, so that repeated requests do not
reveal whether the name exists.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import string
from collections.abc import Mapping
from typing import Any

from local_cognito.state import Delivery, Pool, User

EMAIL, SMS = "EMAIL", "SMS"
_MEDIA = {"email": EMAIL, "phone_number": SMS}
_PHONE = re.compile(r"\+[0-9]{5,15}")
# Without settings: a verified phone number first, then the e-mail address (developer guide, "account
# recovery").
_LEGACY_RECOVERY = ("phone_number", "email")


def details(delivery: Delivery) -> dict[str, str]:
    """Return the CodeDeliveryDetailsType of a delivery."""
    return {
        "Destination": masked(delivery),
        "DeliveryMedium": delivery.medium,
        "AttributeName": delivery.attribute,
    }


def masked(delivery: Delivery) -> str:
    """Return the masked destination as Cognito formats it: `a***@e***` or `+*******9934`."""
    if delivery.medium == SMS:
        return f"+*******{delivery.destination[-4:]}"
    local, _, domain = delivery.destination.rpartition("@")
    return f"{local[:1]}***@{domain[:1]}***"


def to_attribute(user: User, name: str) -> Delivery | None:
    value = user.attributes.get(name)
    return Delivery(_MEDIA[name], name, value) if value else None


def for_sign_up(pool: Pool, user: User) -> Delivery | None:
    """Return where the sign-up code goes; with both, to the phone (developer guide, "verifying at
    sign-up")."""
    for name in ("phone_number", "email"):
        if name in pool.settings.get("AutoVerifiedAttributes", ()):
            delivery = to_attribute(user, name)
            if delivery is not None:
                return delivery
    return None


def recovery_attributes(pool: Pool) -> tuple[str, ...]:
    """Return the attributes that can recover an account, best first; empty: administrators only."""
    mechanisms: list[Mapping[str, Any]] = pool.settings.get("AccountRecoverySetting", {}).get(
        "RecoveryMechanisms", []
    )
    if not mechanisms:
        return _LEGACY_RECOVERY
    ranked = sorted(mechanisms, key=lambda one: one["Priority"])
    return tuple(one["Name"].removeprefix("verified_") for one in ranked if one["Name"] != "admin_only")


def for_recovery(pool: Pool, user: User) -> Delivery | None:
    """Return where a recovery code goes: to verified attributes only."""
    for name in recovery_attributes(pool):
        if user.attributes.get(f"{name}_verified") == "true":
            delivery = to_attribute(user, name)
            if delivery is not None:
                return delivery
    return None


def simulated(pool: Pool, name: str) -> Delivery:
    """Return a destination for an unknown name (developer guide, "managing user existence errors")."""
    if _PHONE.fullmatch(name):
        return Delivery(SMS, "phone_number", name)
    if "@" in name:
        return Delivery(EMAIL, "email", name)
    digest = hmac.digest(pool.secret, pool.fold(name).encode(), hashlib.sha256)
    if "phone_number" in pool.settings.get("AutoVerifiedAttributes", ()):
        return Delivery(SMS, "phone_number", f"{int.from_bytes(digest[:4], 'big') % 10000:04}")
    first, second = (string.ascii_lowercase[byte % 26] for byte in digest[:2])
    return Delivery(EMAIL, "email", f"{first}@{second}")
