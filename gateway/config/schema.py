"""The JSON Schema of the configuration, for editors: completion, documentation, most mistakes while typing.

Draft 7, which the YAML language server supports best. Invariant: it accepts whatever check-config accepts,
except for quotes: here `workers: "1"` is not a number and `id: 1` is not a string. What it cannot express
(files, values against each other) is left to check-config.
"""

from __future__ import annotations

from typing import Any

from gateway.config.shapes import Key, Kind, ListOf, MapOf, Section, Shape
from gateway.config.table import SCHEMA

_REFERENCE = {"$ref": "#/definitions/reference"}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the configuration file."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "cognito-gateway",
        "description": "The configuration of cognito-gateway.",
        "definitions": {
            "reference": {
                "description": "A value from the environment: ${NAME} or ${NAME:-default}.",
                "type": "string",
                "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}",
            }
        },
        # An empty file is valid.
        "type": ["object", "null"],
        **_properties(SCHEMA),
    }


def _properties(section: Section[Any]) -> dict[str, Any]:
    required = [key.name for key in section.keys if key.required and key.unless is None]
    return {
        "additionalProperties": False,
        **({"required": required} if required else {}),
        **_unless(section),
        "properties": {key.name: _key(key) for key in section.keys},
    }


def _unless(section: Section[Any]) -> dict[str, Any]:
    """Return the rules for keys that are required unless another key has a certain value."""
    rules = []
    for key in section.keys:
        if key.unless is not None:
            other, value = key.unless
            exempt = {"properties": {other: {"const": value}}, "required": [other]}
            given = {"properties": {key.name: {"minItems": 1}}, "required": [key.name]}
            rules.append({"if": exempt, "else": given})
    return {"allOf": rules} if rules else {}


def _key(key: Key) -> dict[str, Any]:
    schema = _shape(key.shape)
    # Sections, lists and mappings without content are empty.
    if key.nullable or not (isinstance(key.shape, Kind) or key.required):
        schema = {"anyOf": [*schema.get("anyOf", [schema]), {"type": "null"}]}
    described: dict[str, Any] = {"description": key.why, **schema}
    if not key.required and not isinstance(key.shape, (Section, MapOf)):
        described["default"] = list(key.default) if isinstance(key.default, tuple) else _plain(key)
    return described


def _plain(key: Key) -> Any:
    """Return the default as YAML reads it: `false` and `1` are not strings."""
    if key.default in {"true", "false"}:
        return key.default == "true"
    if isinstance(key.default, str) and key.default.isdigit():
        return int(key.default)
    return key.default


def _shape(shape: Shape) -> dict[str, Any]:
    if isinstance(shape, Kind):
        kinds = shape.json.get("anyOf", [shape.json])
        return {"anyOf": [*kinds, _REFERENCE]}
    if isinstance(shape, ListOf):
        many = {"type": "array", "items": _shape(shape.of), "minItems": shape.least}
        return {"anyOf": [*_shape(shape.of)["anyOf"], many]} if shape.single else many
    if isinstance(shape, MapOf):
        return {"type": "object", "additionalProperties": _shape(shape.value)}
    return {"type": "object", **_properties(shape)}
