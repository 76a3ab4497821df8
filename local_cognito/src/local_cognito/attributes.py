"""User attributes: a pool's schema, and validation against it.

Invariant: a stored user has only attributes that the pool's schema defines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from local_cognito.errors import AwsError, invalid_parameter
from local_cognito.state import Pool, User, aliases, find_user

# OpenID Connect Core section 5.1, as stored by Cognito; value: (data type, mutable).
_STANDARD: dict[str, tuple[str, bool]] = {
    "sub": ("String", False),
    **dict.fromkeys(
        (
            "name",
            "given_name",
            "family_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "email",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "phone_number",
            "address",
        ),
        ("String", True),
    ),
    "email_verified": ("Boolean", True),
    "phone_number_verified": ("Boolean", True),
    "updated_at": ("Number", True),
}
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_PHONE = re.compile(r"\+[0-9]{1,15}")
_ALIASES = ("email", "phone_number", "preferred_username")
BOOLEANS = frozenset({"email_verified", "phone_number_verified"})


def schema_of(given: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the whole schema: the standard attributes with the changes, and the custom attributes, of
    `given`."""
    schema = {
        name: {
            "Name": name,
            "AttributeDataType": kind,
            "DeveloperOnlyAttribute": False,
            "Mutable": mutable,
            "Required": name == "sub",
        }
        for name, (kind, mutable) in _STANDARD.items()
    }
    for attribute in given:
        name = attribute["Name"]
        if name in schema:
            schema[name].update(attribute)
            continue
        if attribute.get("Required"):
            raise invalid_parameter("Required custom attributes are not supported currently.")
        custom = name if name.startswith("custom:") else f"custom:{name}"
        schema[custom] = {
            "AttributeDataType": "String",
            "DeveloperOnlyAttribute": False,
            "Mutable": True,
            "Required": False,
            **attribute,
            "Name": custom,
        }
    return schema


def as_dict(attributes: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {one["Name"]: one.get("Value", "") for one in attributes}


def as_list(attributes: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in attributes.items()]


def check_attributes(pool: Pool, attributes: Mapping[str, str]) -> None:
    """Raise InvalidParameterException for an attribute outside the schema or a value of another type."""
    for name, value in attributes.items():
        if name == "sub":
            raise invalid_parameter("Cannot modify the non-mutable attribute sub")
        if name not in pool.schema:
            raise invalid_parameter(
                f"Attributes did not conform to the schema: {name}: Attribute does not exist in the schema."
            )
        if pool.schema[name]["AttributeDataType"] == "Boolean" and value not in ("true", "false"):
            raise invalid_parameter(
                f"Attributes did not conform to the schema: {name}: Invalid boolean value."
            )
    if attributes.get("email") and not _EMAIL.fullmatch(attributes["email"]):
        raise invalid_parameter("Invalid email address format.")
    if attributes.get("phone_number") and not _PHONE.fullmatch(attributes["phone_number"]):
        raise invalid_parameter("Invalid phone number format.")


def check_required(pool: Pool, attributes: Mapping[str, str]) -> None:
    """Check the required attributes of a sign-up; users created by an administrator may lack some at
    first."""
    for name, one in pool.schema.items():
        if one["Required"] and name != "sub" and not attributes.get(name):
            raise invalid_parameter(
                f"Attributes did not conform to the schema: {name}: The attribute is required\n"
            )


def check_mutable(pool: Pool, user: User, attributes: Mapping[str, str]) -> None:
    """Raise InvalidParameterException if an immutable attribute would change."""
    for name, value in attributes.items():
        if not pool.schema[name]["Mutable"] and user.attributes.get(name) not in (None, value):
            raise invalid_parameter(f"user.{name}: Attribute cannot be updated.\n")


def required_and_missing(pool: Pool, user: User) -> list[str]:
    return [
        name
        for name, one in pool.schema.items()
        if one["Required"] and name != "sub" and name not in user.attributes
    ]


def claim_aliases(pool: Pool, user: User, *, force: bool = False) -> None:
    """Ensure that no other user has one of this user's aliases; with `force`, take it from the other user.

    Raises UsernameExistsException (UsernameAttributes) or AliasExistsException (AliasAttributes).
    """
    for alias in aliases(pool, user):
        other = find_user(pool, alias)
        if other is None or other.sub == user.sub:
            continue
        name = next(name for name in _ALIASES if pool.fold(user.attributes.get(name, "")) == alias)
        if pool.fixed.get("UsernameAttributes"):
            raise AwsError("UsernameExistsException", f"An account with the given {name} already exists.")
        if not force:
            raise AwsError("AliasExistsException", f"An account with the {name} already exists.")
        if name == "preferred_username":
            other.attributes.pop(name, None)
        else:
            other.attributes[f"{name}_verified"] = "false"
