"""One step of `setup`: a resource that can be looked up, created and fixed.

Invariant: `look` changes nothing; `make` is called only if `look` found nothing, `fix` only if it found
differences.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.errors import GatewayError

# The maximum page size of ListUserPools and similar operations.
PAGE = 60


@dataclass(slots=True)
class Made:
    """The IDs of what exists so far; None: not yet, and in a plan for good."""

    pool_id: str | None = None
    client_id: str | None = None
    domain: str | None = None
    identity_pool_id: str | None = None
    role_arn: str | None = None


@dataclass(frozen=True, slots=True)
class StepState:
    """What `look` found: nothing (`found` is None), or a resource and its differences from the desired
    settings."""

    name: str
    found: str | None
    differences: list[str] = field(default_factory=list)
    # Whether the resource carries our tag.
    ours: bool = False
    described: dict[str, Any] = field(default_factory=dict, repr=False)
    # Differences that can never be changed.
    lasting: list[str] = field(default_factory=list)


class SetupStep(Protocol):
    """One step of a set-up.

    Implementations: UserPoolStep, AppClient, Domain, IdentityPoolStep, Role, AuthenticatedRole.
    """

    title: str

    def look(self, made: Made) -> StepState: ...

    def make(self, made: Made) -> str:
        """Create the resource, record it in `made`, and return its ID."""

    def fix(self, made: Made, finding: StepState) -> None:
        """Apply the desired settings."""


def only(ids: list[str], name: str) -> str | None:
    if len(ids) > 1:
        raise GatewayError(
            f"setup: {len(ids)} resources are named {name} ({', '.join(ids)}): rename all but one, or choose "
            "another --pool-name"
        )
    return ids[0] if ids else None
