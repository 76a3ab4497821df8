"""Declaration of configuration sections: one class per section, each key once.

`@section` turns such a class into two things: a frozen dataclass, the completed section that the gateway
reads, and the `Section` of the schema, from which everything users see is derived (table.py).
Invariant: a field has the type that its key's shape completes to, and mypy follows it.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass, field, replace
from typing import Any, ClassVar, TypeVar, cast, dataclass_transform

from gateway.config.shapes import Default, Key, Section, Shape, Shaped

T = TypeVar("T")


class Declared:
    """Base class of sections, so that mypy treats them as the dataclasses that they become."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


@dataclass(frozen=True, slots=True)
class _Declaration:
    """A declared key before `section` processes its class; `key.name` is empty if the field's name serves."""

    key: Key
    # The completed field's default, where code builds sections, and whether its repr omits it.
    default: Any
    secret: bool


def key(
    shape: Shaped[T],
    written: Default,
    why: str,
    *,
    example: str | None = None,
    name: str = "",
    default: Any = MISSING,
) -> T:
    """Declare a key with a default, `written` as a user would write it.

    `example` is YAML; `name` is the key's name if Python reserves it. `default` makes the field optional
    where code builds a section itself; loading a configuration never uses it.
    """
    declared = Key(name, _any(shape), written, why, example=example)
    return cast(T, _Declaration(declared, default, secret=False))


def required(
    shape: Shaped[T], why: str, *, example: str | None = None, unless: tuple[str, str] | None = None
) -> T:
    """Declare a key that users have to set, `unless` another key of the section has a certain value."""
    default = None if unless is None else ()
    declared = Key("", _any(shape), default, why, required=True, unless=unless, example=example)
    return cast(T, _Declaration(declared, MISSING, secret=False))


def optional(
    shape: Shaped[T],
    why: str,
    *,
    written: str | None = None,
    example: str | None = None,
    secret: bool = False,
    default: Any = MISSING,
) -> T | None:
    """Declare a key that may be null, and is unless `written` is given. A `secret` is in no repr."""
    declared = Key("", _any(shape), written, why, nullable=True, example=example)
    return cast(T, _Declaration(declared, default, secret=secret))


def nested(of: type[T], why: str) -> T:
    """Declare a section inside this one; if left out, it has its keys' defaults."""
    return cast(T, _Declaration(Key("", section_of(of), (), why), MISSING, secret=False))


def completed(declared: object) -> Any:
    """Declare a key whose completed value has another type, or is never null: complete.py computes it."""
    declaration = cast(_Declaration, declared)
    return replace(declaration, key=replace(declaration.key, completes=False))


def written(declared: object) -> object:
    """Declare a key without a field, from which complete.py computes others. Takes no annotation."""
    return declared


@dataclass_transform(frozen_default=True, field_specifiers=(key, required, optional, nested, completed))
def section(of: type[T]) -> type[T]:
    """Turn a section's class into a dataclass, and register its part of the schema."""
    keys = []
    for name, value in list(vars(of).items()):
        if not isinstance(value, _Declaration):
            continue
        kept = name in of.__annotations__
        keys.append(replace(value.key, name=value.key.name or name, field=name if kept else ""))
        if kept:
            setattr(of, name, field(default=value.default, repr=not value.secret))
        else:
            delattr(of, name)
    made = dataclass(frozen=True, slots=True)(of)
    _SECTIONS[made] = Section(tuple(keys), made)
    return made


def section_of(made: type[T]) -> Section[T]:
    """Return the part of the schema declared as this class."""
    return cast("Section[T]", _SECTIONS[made])


_SECTIONS: dict[type[Any], Section[Any]] = {}


def _any(shape: Shaped[Any]) -> Shape:
    return cast(Shape, shape)
