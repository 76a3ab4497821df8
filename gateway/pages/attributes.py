"""User attributes as form fields: labels, input types and autocomplete hints. Pure.

Invariant: an attribute's name only affects presentation; Cognito alone decides whether a value is valid.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

# Prefix of the form fields that hold attributes; no other field's name starts with it.
PREFIX = "attribute_"
# API reference, AttributeType: a name's length. AWS allows more characters than are used in practice.
_NAME = re.compile(r"(?:custom:)?[A-Za-z0-9_.-]{1,32}")


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

    @property
    def field(self) -> str:
        return PREFIX + self.name


STANDARD = {
    each.name: each
    for each in (
        Field("email", "Email", "email", "email", plain=True, inputmode="email"),
        Field("phone_number", "Phone number", "tel", "tel", "With the country code, e.g. +4915112345678"),
        Field("name", "Full name", autocomplete="name"),
        Field("given_name", "First name", autocomplete="given-name"),
        Field("family_name", "Last name", autocomplete="family-name"),
        Field("middle_name", "Middle name", autocomplete="additional-name"),
        Field("nickname", "Nickname", autocomplete="nickname"),
        Field("preferred_username", "Preferred username", plain=True),
        Field("birthdate", "Date of birth", "date", "bday"),
        Field("gender", "Gender", autocomplete="sex"),
        Field("address", "Address", autocomplete="street-address"),
        Field("website", "Website", "url", "url", plain=True, inputmode="url"),
        Field("picture", "Address of a picture", "url", plain=True, inputmode="url"),
        Field("profile", "Address of a profile", "url", plain=True, inputmode="url"),
        Field("zoneinfo", "Time zone", hint="E.g. Europe/Paris", plain=True),
        Field("locale", "Language", hint="E.g. en-GB", plain=True),
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
