"""The profile attributes that a signed-in user may change: by the pool's schema and the app client. Pure.

Invariant: an attribute that is known to be refused is not among them, and Cognito decides about all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.pages.attributes import PREFIX, STANDARD, Field, fields_for

if TYPE_CHECKING:
    from gateway.aws.values import OwnUser
    from gateway.pages.described import Described

# Those that a code verifies.
CONTACTS = ("email", "phone_number")
# Asked for even where they are empty; the others are shown to users who have them.
_USUAL = ("name", "given_name", "family_name", *CONTACTS)


def editable(described: Described | None, own: OwnUser, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the attributes to show in a form, in order. `wanted`: `sign_in.sign_up_attributes`.

    Where the settings are unknown, these are the standard attributes, which a client may write unless it says
    otherwise (API reference, CreateUserPoolClient)."""
    custom = tuple(name for name in (described.writable or ()) if ":" in name) if described else ()
    required = described.required if described else ()
    names = dict.fromkeys((*_USUAL, *required, *wanted, *custom, *own.attributes))
    allowed = [name for name in names if _allowed(described, name)]
    return tuple(sorted(allowed, key=lambda name: (_ORDER.get(name, len(_ORDER)), name)))


def changed(names: Sequence[str], own: OwnUser, form: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes whose value in the form is not the present one."""
    given = {name: form[PREFIX + name].strip() for name in names if PREFIX + name in form}
    return {name: value for name, value in given.items() if value != own.attributes.get(name, "")}


def fields(described: Described | None, names: Sequence[str], values: Mapping[str, str]) -> tuple[Field, ...]:
    """Return the form's fields. `values`: by field name."""
    required = described.required if described else ()
    return tuple(replace(each, required=each.name in required) for each in fields_for(names, values))


def unverified(own: OwnUser, name: str) -> bool:
    return name in CONTACTS and own.attributes.get(f"{name}_verified") != "true"


_ORDER = {name: at for at, name in enumerate(STANDARD)}


def _allowed(described: Described | None, name: str) -> bool:
    if described is None:
        return name in STANDARD
    if name not in described.mutable:
        return False
    return name in described.writable if described.writable is not None else name in STANDARD
