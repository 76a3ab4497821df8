"""Validation of requests against the shapes of Cognito's API model, with Cognito's own messages.

Used between the wire and the operations: what an operation reads has been validated here.
Invariant: the value of a secret field never appears in an error message.

Stricter than Cognito in one way: an unknown member is refused, not ignored, so that no test rests on a
setting without effect.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local_cognito.errors import AwsError, invalid_parameter

_NAMES = {str: "string", int: "integer", bool: "boolean", list: "list", dict: "map"}


@dataclass(frozen=True, slots=True)
class Field:
    """A member's shape. `minimum` and `maximum` bound a text's length, an integer's value or a list's
    size."""

    kind: type
    required: bool = False
    pattern: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    values: tuple[str, ...] = ()
    secret: bool = False
    # Shape of a list's items, or of a map's values.
    item: Field | None = None
    # A structure's members; None: any.
    members: Mapping[str, Field] | None = None
    # The values that are emulated; others are refused rather than stored without effect.
    only: tuple[Any, ...] | None = None


def check(fields: Mapping[str, Field], request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request without null members. Raises InvalidParameterException or SerializationException."""
    given = {name: value for name, value in request.items() if value is not None}
    for name, field in fields.items():
        if name in given:
            _check_value(_camel(name), field, given[name])
        elif field.required:
            raise _violation(f"Value null at '{_camel(name)}'", "Member must not be null")
    for name in given:
        if name not in fields:
            raise invalid_parameter(f"{name} is not supported by the local Cognito")
    return {name: _without_nulls(value) for name, value in given.items()}


def _without_nulls(value: Any, depth: int = 0) -> Any:
    """Return a copy without null members, which AWS treats as absent."""
    # No structure of the model is half as deep; deeper ones have no members that are read.
    if depth > 12:
        return value
    if isinstance(value, dict):
        return {name: _without_nulls(one, depth + 1) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_without_nulls(one, depth + 1) for one in value]
    return value


def _check_value(place: str, field: Field, value: Any) -> None:
    # In Python, unlike JSON, a bool is an int.
    if not isinstance(value, field.kind) or (field.kind is int and isinstance(value, bool)):
        raise AwsError("SerializationException", f"'{place}' must be a {_NAMES[field.kind]}")
    _check_range(place, field, value)
    if field.only is not None and value not in field.only:
        honoured = ", ".join(str(one) for one in field.only)
        raise invalid_parameter(f"'{place}': the local Cognito supports only {honoured}")
    if isinstance(value, list) and field.item is not None:
        for number, item in enumerate(value, 1):
            _check_value(f"{place}.{number}.member", field.item, item)
    elif isinstance(value, dict):
        _check_map(place, field, value)


def _check_map(place: str, field: Field, value: dict[str, Any]) -> None:
    if field.members is None:
        if field.item is not None:
            for key, item in value.items():
                _check_value(f"{place}.{key}", field.item, item)
        return
    for name, member in field.members.items():
        if value.get(name) is not None:
            _check_value(f"{place}.{_camel(name)}", member, value[name])
        elif member.required:
            raise _violation(f"Value null at '{place}.{_camel(name)}'", "Member must not be null")
    for name in value:
        if name not in field.members:
            raise invalid_parameter(f"{place}.{name} is not supported by the local Cognito")


def _check_range(place: str, field: Field, value: Any) -> None:
    size = value if isinstance(value, int) else len(value)
    shown = f"Value at '{place}'" if field.secret else f"Value '{value}' at '{place}'"
    noun = "value" if isinstance(value, int) else "length"
    if field.minimum is not None and size < field.minimum:
        raise _violation(shown, f"Member must have {noun} greater than or equal to {field.minimum}")
    if field.maximum is not None and size > field.maximum:
        raise _violation(shown, f"Member must have {noun} less than or equal to {field.maximum}")
    if field.pattern is not None and re.fullmatch(field.pattern, value) is None:
        raise _violation(shown, f"Member must satisfy regular expression pattern: {field.pattern}")
    if field.values and value not in field.values:
        raise _violation(shown, f"Member must satisfy enum value set: [{', '.join(field.values)}]")


def _violation(subject: str, constraint: str) -> AwsError:
    return invalid_parameter(
        f"1 validation error detected: {subject} failed to satisfy constraint: {constraint}"
    )


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]
