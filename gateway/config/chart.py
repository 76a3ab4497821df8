"""The configuration's keys in the JSON Schema of the Helm chart's values. Pure.

With them Helm refuses a misspelt key while it renders the chart. The gateway would refuse it too, but only in
the new pods, or in a reload whose failure may go unnoticed. Names only: Helm's errors about values of several
types (every key may be `${NAME}`) do not help; those of check-config do.
"""

from __future__ import annotations

import json
import re
from typing import Any

from gateway.config.shapes import ListOf, Section, Shape
from gateway.config.table import SCHEMA

# The one generated line of helm/values.schema.json.
_LINE = re.compile(r'(?m)^    "config": .*,$')


def with_names(text: str) -> str:
    """Return the chart's schema with its line on `config` regenerated. Raises ValueError if there is none."""
    line = f'    "config": {json.dumps({"type": "object", **_names(SCHEMA)})},'
    written, times = _LINE.subn(lambda _: line, text)
    if times != 1:
        raise ValueError(f'"config" is on {times} lines of the chart\'s schema instead of one')
    return written


def _names(shape: Shape) -> dict[str, Any]:
    if isinstance(shape, Section):
        return {
            "additionalProperties": False,
            "properties": {key.name: _names(key.shape) for key in shape.keys},
        }
    return {"items": _names(shape.of)} if isinstance(shape, ListOf) and isinstance(shape.of, Section) else {}
