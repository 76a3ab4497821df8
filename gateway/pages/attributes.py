"""User attributes as form fields: labels, input types and autocomplete hints. Pure.

Invariant: an attribute's name only affects presentation; Cognito alone decides whether a value is valid.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from gateway.texts import Text

# Prefix of the form fields that hold attributes; no other field's name starts with it.
PREFIX = "attribute_"
# API reference, AttributeType: a name's length. AWS allows more characters than are used in practice.
_NAME = re.compile(r"(?:custom:)?[A-Za-z0-9_.-]{1,32}")


_MISSING = Text("Fill in this field")


@dataclass(frozen=True, slots=True)
class Field:
    """One attribute to ask for. `autocomplete`: HTML Standard, "Autofill"."""

    name: str
    label: str
    type: str = "text"
    autocomplete: str = "off"
    hint: str | None = None
    value: str = ""
    required: bool = True
    plain: bool = False
    inputmode: str | None = None
    maxlength: int = 2048
    # What is said where it is left empty.
    missing: Text = _MISSING

    @property
    def field(self) -> str:
        return PREFIX + self.name


STANDARD = {
    each.name: each
    for each in (
        Field(
            "email",
            Text("Email"),
            "email",
            "email",
            plain=True,
            inputmode="email",
            missing=Text("Enter your email"),
        ),
        Field(
            "phone_number",
            Text("Phone number"),
            "tel",
            "tel",
            Text("With the country code, e.g. +4915112345678"),
            missing=Text("Enter your phone number"),
        ),
        Field("name", Text("Full name"), autocomplete="name", missing=Text("Enter your full name")),
        Field(
            "given_name",
            Text("First name"),
            autocomplete="given-name",
            missing=Text("Enter your first name"),
        ),
        Field(
            "family_name",
            Text("Last name"),
            autocomplete="family-name",
            missing=Text("Enter your last name"),
        ),
        Field("middle_name", Text("Middle name"), autocomplete="additional-name"),
        Field("nickname", Text("Nickname"), autocomplete="nickname"),
        Field("preferred_username", Text("Preferred username"), plain=True),
        Field("birthdate", Text("Date of birth"), "date", "bday"),
        Field("gender", Text("Gender"), autocomplete="sex"),
        Field("address", Text("Address"), autocomplete="street-address"),
        Field("website", Text("Website"), "url", "url", plain=True, inputmode="url"),
        Field("picture", Text("Address of a picture"), "url", plain=True, inputmode="url"),
        Field("profile", Text("Address of a profile"), "url", plain=True, inputmode="url"),
        Field("zoneinfo", Text("Time zone"), hint=Text("E.g. Europe/Paris"), plain=True),
        Field("locale", Text("Language"), hint=Text("E.g. en-GB"), plain=True),
    )
}


def field_for(name: str, value: str = "") -> Field:
    known = STANDARD.get(name)
    if known is None:
        words = name.removeprefix("custom:").replace("_", " ").strip()
        known = Field(name, words[:1].upper() + words[1:])
    return replace(known, value=value)


def fields_for(names: Iterable[str], form: Mapping[str, str]) -> tuple[Field, ...]:
    """Return fields for these attributes, filled from the form; malformed names are left out."""
    return tuple(field_for(name, form.get(PREFIX + name, "")) for name in names if _NAME.fullmatch(name))
