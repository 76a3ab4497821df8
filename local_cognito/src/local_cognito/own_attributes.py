"""Operations of signed-in users on their own attributes and account.

Invariant: a changed address or number is unverified until its owner enters the code sent to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from local_cognito import codes
from local_cognito.attributes import (
    as_dict,
    check_attributes,
    check_mutable,
    claim_aliases,
    required_and_missing,
)
from local_cognito.clients import check_writable
from local_cognito.delivery import details, to_attribute
from local_cognito.errors import AwsError, invalid_parameter
from local_cognito.sign_up import verify
from local_cognito.state import Delivery, Pool, State, User, get_user
from local_cognito.tokens import read_access_token
from local_cognito.users import remove_user

Request = Mapping[str, Any]
Answer = dict[str, Any]

_VERIFIABLE = ("email", "phone_number")


def update_user_attributes(state: State, request: Request, now: float) -> Answer:
    pool, user, grant = read_access_token(state, request["AccessToken"], now)
    given = as_dict(request["UserAttributes"])
    check_writable(pool.clients[grant.client_id], given)
    settings = pool.settings.get("UserAttributeUpdateSettings", {})
    held = settings.get("AttributesRequireVerificationBeforeUpdate", ())
    at_once = {name: value for name, value in given.items() if name not in held}
    check_attributes(pool, given)
    check_mutable(pool, user, given)
    changed = change_attributes(pool, user, at_once, now)
    sent = []
    for name in _VERIFIABLE:
        delivery: Delivery | None = None
        if name in given and name in held:
            pending = replace(user, attributes={**user.attributes, name: given[name]})
            delivery = to_attribute(pending, name)
        elif name in changed and name in pool.settings.get("AutoVerifiedAttributes", ()):
            delivery = to_attribute(user, name)
        if delivery is not None:
            _send(state, pool, user, delivery, now, value=given[name] if name in held else None)
            sent.append(details(delivery))
    return {"CodeDeliveryDetailsList": sent}


def change_attributes(pool: Pool, user: User, given: Mapping[str, str], now: float) -> set[str]:
    """Change attributes and return those whose value changed. A new address or number loses its
    verification."""
    check_attributes(pool, given)
    check_mutable(pool, user, given)
    attributes = {**user.attributes, **given}
    changed = {name for name, value in given.items() if user.attributes.get(name) != value}
    for name in _VERIFIABLE:
        if name in changed and f"{name}_verified" not in given:
            attributes[f"{name}_verified"] = "false"
    for name in [name for name, value in given.items() if not value]:
        # An empty value removes the attribute and its verification.
        attributes.pop(name)
        attributes.pop(f"{name}_verified", None)
    candidate = replace(user, attributes=attributes)
    missing = set(required_and_missing(pool, candidate)) & set(given)
    if missing:
        raise invalid_parameter(f"user.{min(missing)}: Attribute cannot be empty.")
    claim_aliases(pool, candidate)
    user.attributes, user.modified = candidate.attributes, now
    return changed


def admin_update_user_attributes(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    change_attributes(pool, get_user(pool, request["Username"]), as_dict(request["UserAttributes"]), now)
    return {}


def get_user_attribute_verification_code(state: State, request: Request, now: float) -> Answer:
    pool, user, _ = read_access_token(state, request["AccessToken"], now)
    name = _verifiable(request["AttributeName"])
    delivery = to_attribute(user, name)
    if delivery is None:
        raise invalid_parameter(f"User has no attribute {name} to verify")
    codes.count(pool, f"ask attribute {name}", user.username, codes.ATTRIBUTE.asks, now)
    _send(state, pool, user, delivery, now, value=None)
    return {"CodeDeliveryDetails": details(delivery)}


def verify_user_attribute(state: State, request: Request, now: float) -> Answer:
    pool, user, _ = read_access_token(state, request["AccessToken"], now)
    name = _verifiable(request["AttributeName"])
    slot = _slot(user, name)
    code = codes.redeem(pool, codes.ATTRIBUTE, slot, request["Code"], now)
    if code.value is not None:
        change_attributes(pool, user, {name: code.value}, now)
    # A code sent to an address that the user has changed since proves nothing about the new one.
    elif code.delivery is None or code.delivery.destination != user.attributes.get(name):
        raise codes.expired()
    verify(pool, user, name)
    codes.spend(pool, codes.ATTRIBUTE, slot)
    return {}


def delete_user(state: State, request: Request, now: float) -> Answer:
    pool, user, _ = read_access_token(state, request["AccessToken"], now)
    remove_user(pool, user)
    return {}


def delete_user_attributes(state: State, request: Request, now: float) -> Answer:
    pool, user, grant = read_access_token(state, request["AccessToken"], now)
    names: Iterable[str] = request["UserAttributeNames"]
    check_writable(pool.clients[grant.client_id], dict.fromkeys(names, ""))
    change_attributes(pool, user, dict.fromkeys(names, ""), now)
    return {}


def _verifiable(name: str) -> str:
    if name not in _VERIFIABLE:
        raise AwsError("InvalidParameterException", f"Attribute {name} cannot be verified")
    return name


def _slot(user: User, name: str) -> str:
    """Return the code's slot: address and number are verified independently."""
    return f"{user.username} {name}"


def _send(state: State, pool: Pool, user: User, delivery: Delivery, now: float, *, value: str | None) -> None:
    slot = _slot(user, delivery.attribute)
    codes.send(
        state, pool, codes.ATTRIBUTE, user.username, delivery=delivery, now=now, slot=slot, value=value
    )
