"""The configuration's keys in the schema of the Helm chart's values. Pure.

A misspelt key is refused while the chart is rendered, in the words of Helm: the gateway would refuse it as
well, but by then the pods are new ones, or a reload has failed that nobody looks at. Names only: Helm's words
about values that may be several things (every key may be `${NAME}`) are no help; those of check-config are.
"""

from __future__ import annotations

import json
import re
from typing import Any

from gateway.config.shapes import ListOf, Section, Shape
from gateway.config.table import SCHEMA

# One line of helm/values.schema.json, which is written by hand otherwise.
_LINE = re.compile(r'(?m)^    "config": .*,$')


def with_names(text: str) -> str:
    """The chart's schema with its line on `config` written again. Raises ValueError where there is none."""
    line = f'    "config": {json.dumps({"type": "object", **_names(SCHEMA)})},'
    written, times = _LINE.subn(lambda _: line, text)
    if times != 1:
        raise ValueError(f'"config" is on {times} lines of the chart\'s schema, and has to be on one')
    return written


def _names(shape: Shape) -> dict[str, Any]:
    if isinstance(shape, Section):
        return {
            "additionalProperties": False,
            "properties": {key.name: _names(key.shape) for key in shape.keys},
        }
    return {"items": _names(shape.of)} if isinstance(shape, ListOf) and isinstance(shape.of, Section) else {}
