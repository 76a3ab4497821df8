"""How a section of the configuration is declared: one class, each key once.

`@section` makes two things of such a class: a frozen dataclass, the completed section that the gateway reads,
and the `Section` of the schema, from which all that users see is derived (table.py).
Invariant: a field has the type that its key's shape completes to, and mypy follows it.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass, field, replace
from typing import Any, ClassVar, TypeVar, cast, dataclass_transform

from gateway.config.shapes import Default, Key, Section, Shape, Shaped

T = TypeVar("T")


class Declared:
    """What sections inherit, so that mypy takes them for the dataclasses that they become."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


@dataclass(frozen=True, slots=True)
class _Declaration:
    """A key on its way into the class that `section` makes; `key.name` is empty where the field's serves."""

    key: Key
    # Of the completed field: its default, where sections are made by hand, and whether a repr leaves it out.
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

    `example` is YAML, `name` is the key's where Python reserves it. `default` makes the field optional where
    code builds a section itself; loading a configuration never uses it.
    """
    declared = Key(name, _any(shape), written, why, example=example)
    return cast(T, _Declaration(declared, default, secret=False))


def required(
    shape: Shaped[T], why: str, *, example: str | None = None, unless: tuple[str, str] | None = None
) -> T:
    """Declare a key that users have to give; `unless` another key of the section has a value."""
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
    """Declare a key that may be null, and is unless `written` says otherwise. A `secret` is in no repr."""
    declared = Key("", _any(shape), written, why, nullable=True, example=example)
    return cast(T, _Declaration(declared, default, secret=secret))


def nested(of: type[T], why: str) -> T:
    """Declare a section inside this one; left out, it has its keys' defaults."""
    return cast(T, _Declaration(Key("", section_of(of), (), why), MISSING, secret=False))


def completed(declared: object) -> Any:
    """Declare a key whose completed value has a type of its own, or is never null: complete.py makes it."""
    declaration = cast(_Declaration, declared)
    return replace(declaration, key=replace(declaration.key, completes=False))


def written(declared: object) -> object:
    """Declare a key that has no field: complete.py turns it into others. Takes no annotation."""
    return declared


@dataclass_transform(frozen_default=True, field_specifiers=(key, required, optional, nested, completed))
def section(of: type[T]) -> type[T]:
    """Make the dataclass of a section's class, and its part of the schema."""
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
    """Return the part of the schema that was declared as this class."""
    return cast("Section[T]", _SECTIONS[made])


_SECTIONS: dict[type[Any], Section[Any]] = {}


def _any(shape: Shaped[Any]) -> Shape:
    return cast(Shape, shape)
