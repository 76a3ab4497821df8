"""An operation of a service: its shapes, its function, and whether it must be signed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local_cognito.contexts import record
from local_cognito.errors import AwsError
from local_cognito.fields import Fields
from local_cognito.shapes import check
from local_cognito.state import State


@dataclass(frozen=True, slots=True)
class Operation:
    fields: Fields
    run: Callable[[State, Mapping[str, Any], float], dict[str, Any]]
    # False where the service model says `authtype: none`: those calls are unsigned.
    signed: bool = True


def find(table: Mapping[str, Operation], name: str) -> Operation:
    """Return the operation. Raises UnknownOperationException, as AWS's JSON services do."""
    operation = table.get(name)
    if operation is None:
        raise AwsError("UnknownOperationException", "The local Cognito does not have this operation")
    return operation


def run(
    name: str, operation: Operation, state: State, request: Mapping[str, Any], now: float
) -> dict[str, Any]:
    given = check(operation.fields, request)
    record(state, name, given, now)
    return operation.run(state, given, now)
