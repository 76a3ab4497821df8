"""The fields of the sign-up form, and what is read from it: username first, then attributes. Pure.

Invariant: an attribute is accepted only if the pool requires it, the configuration names it
(`sign_in.sign_up_attributes`), or Cognito reported it missing; anything else in a form is ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gateway.pages.attributes import PREFIX, Field, fields_for
from gateway.texts import Text

if TYPE_CHECKING:
    from gateway.pages.described import Described

# The hidden field with the attributes that Cognito reported missing, sealed.
MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Asking:
    """What to ask for: attribute names in order, and which of them are required.

    `missing`: those that Cognito reported."""

    names: tuple[str, ...]
    required: frozenset[str]
    missing: tuple[str, ...]
    # None: the first attribute is the username. Otherwise whether the username may be left empty.
    username_optional: bool | None

    @classmethod
    def of(cls, described: Described | None, wanted: Sequence[str], sealed: bytes | None) -> Asking:
        """Return what to ask for. `described` None: the settings are unknown; `sealed`: of an earlier
        form."""
        first = ["email"]
        if described is not None:
            # An e-mail address even if the pool does not require one: without it no code reaches the user.
            first = [*(described.username_attributes[:1] or first), *described.required]
        missing = tuple(json.loads(sealed)) if sealed else ()
        required = frozenset((*first, *missing))
        names = tuple(dict.fromkeys((*first, *missing, *wanted)))
        username = None if described is not None and described.username_attributes else described is None
        return cls(names, required, missing, username)

    def with_missing(self, names: Sequence[str]) -> Asking:
        more = tuple(dict.fromkeys((*self.missing, *names)))
        return replace(
            self,
            names=tuple(dict.fromkeys((*self.names, *more))),
            required=self.required | set(more),
            missing=more,
        )

    @property
    def sealed(self) -> bytes:
        return json.dumps(self.missing).encode()

    @property
    def username_field(self) -> str:
        return PREFIX + (self.names[0] if self.username_optional is None else "username")

    def fields(self, form: Mapping[str, str]) -> list[Field]:
        """Return the fields, filled from the form."""
        found = [
            replace(each, required=each.name in self.required)
            for each in fields_for(self.names, form)
            if each.name != "username"
        ]
        return found if self.username_optional is None else [self._username(form), *found]

    def _username(self, form: Mapping[str, str]) -> Field:
        optional = bool(self.username_optional)
        return Field(
            "username",
            Text("Username"),
            autocomplete="username",
            # A pool with unknown settings may require an address as username, or refuse one.
            hint=Text("Leave it empty to use your email address") if optional else None,
            value=form.get(PREFIX + "username", ""),
            required=not optional,
            plain=True,
            maxlength=128,
            missing=Text("Enter your username"),
        )


def account_of(fields: Sequence[Field]) -> tuple[str, dict[str, str]]:
    """Return username and attributes; without a username the first attribute is it."""
    values = {each.name: each.value.strip() for each in fields if each.value.strip()}
    username = values.pop("username", "")
    return username or next(iter(values.values())), values


def unfilled(fields: Sequence[Field]) -> dict[str, Text]:
    """Return messages by field for required fields left empty."""
    missing = [each for each in fields if each.required and not each.value.strip()]
    return {each.field: each.missing for each in missing}
