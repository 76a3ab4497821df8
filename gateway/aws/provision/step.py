"""One thing that `setup` wants: it can be looked up, created and fixed.

Invariant: `look` changes nothing; `make` is only called where `look` found nothing, `fix` only where it
found something else than is wanted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.errors import GatewayError

# The most that ListUserPools and its kin give at once.
PAGE = 60


@dataclass(slots=True)
class Made:
    """What is there so far; None: not yet, which in a plan stays so."""

    pool_id: str | None = None
    client_id: str | None = None
    domain: str | None = None
    identity_pool_id: str | None = None
    role_arn: str | None = None


@dataclass(frozen=True, slots=True)
class StepState:
    """What a look found: nothing (`found` None), or something with these differences from what is wanted."""

    name: str
    found: str | None
    differences: list[str] = field(default_factory=list)
    # Whether it carries our tag.
    ours: bool = False
    described: dict[str, Any] = field(default_factory=dict, repr=False)
    # What differs and can never be changed.
    lasting: list[str] = field(default_factory=list)


class SetupStep(Protocol):
    """One thing that is wanted.

    Implementations: UserPoolStep, AppClient, Domain, IdentityPoolStep, Role, AuthenticatedRole.
    """

    title: str

    def look(self, made: Made) -> StepState: ...

    def make(self, made: Made) -> str:
        """Make it, note it in `made`; its ID for people."""

    def fix(self, made: Made, finding: StepState) -> None:
        """Change what differs."""


def only(ids: list[str], name: str) -> str | None:
    if len(ids) > 1:
        raise GatewayError(
            f"setup: {len(ids)} are called {name} ({', '.join(ids)}): rename all but one, or choose another "
            "--pool-name"
        )
    return ids[0] if ids else None
