"""What the sign-up form asks for, and what of a form is taken: the username first, then attributes. Pure.

Invariant: an attribute is taken only where the pool requires it, the configuration names it
(`sign_in.sign_up_attributes`) or Cognito was seen to miss it; what else a form holds is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gateway.pages.attributes import PREFIX, Field, fields_for

if TYPE_CHECKING:
    from gateway.pages.described import Described

# The hidden field that carries what Cognito was seen to miss, sealed.
MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Asking:
    """The attributes' names in their order; `username`: whether there is a field for one, `required`: without
    which Cognito makes no account."""

    names: tuple[str, ...]
    required: frozenset[str]
    missing: tuple[str, ...]
    # None: the username is the first attribute. Else whether it may be left empty.
    username_optional: bool | None

    @classmethod
    def of(cls, described: Described | None, wanted: Sequence[str], sealed: bytes | None) -> Asking:
        """`described` None: the pool's settings are not known; `sealed`: what an earlier one's was."""
        first = ["email"]
        if described is not None:
            # An address even where the pool does not insist: without one no code can reach anybody.
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
        """With what the form says of each."""
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
            "Username",
            autocomplete="username",
            # A pool of unknown settings may want an address as its username, or may refuse one.
            hint="Leave it empty to use your email address" if optional else None,
            value=form.get(PREFIX + "username", ""),
            required=not optional,
            plain=True,
            maxlength=128,
        )


def account_of(fields: Sequence[Field]) -> tuple[str, dict[str, str]]:
    """The username and the attributes; without a username the first attribute is one."""
    values = {each.name: each.value.strip() for each in fields if each.value.strip()}
    username = values.pop("username", "")
    return username or next(iter(values.values())), values


def unfilled(fields: Sequence[Field]) -> dict[str, str]:
    """Field → what is said of it where it must not be empty."""
    missing = [each for each in fields if each.required and not each.value.strip()]
    return {each.field: f"Enter your {each.label.lower()}" for each in missing}
