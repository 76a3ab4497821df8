"""`setup --destroy`: deletes what `setup` created, in an order that leaves nothing dangling.

Invariant: nothing is deleted that does not carry the tag of this set-up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from gateway.aws.clients import Aws
from gateway.aws.provision.identity_steps import IdentityPoolStep, Role
from gateway.aws.provision.pool_steps import UserPoolStep
from gateway.aws.provision.step import Made, StepState
from gateway.aws.provision.wanted import Wanted


@dataclass(frozen=True, slots=True)
class Removal:
    """A resource that can be deleted. `foreign`: it has the name but not our tag."""

    title: str
    name: str
    id: str
    foreign: bool
    remove: Callable[[], None]


def removals(aws: Aws, wanted: Wanted) -> list[Removal]:
    """Return the existing resources of this set-up: identity pool first, user pool with its clients last."""
    made = Made()
    pool, identity, role = UserPoolStep(aws, wanted), IdentityPoolStep(aws, wanted), Role(aws, wanted)
    user_pool, identity_pool = pool.look(made), identity.look(made)
    every = (
        _removal(identity.title, identity_pool, identity.destroy),
        _removal(role.title, role.look(made), role.destroy),
        _removal(pool.title, user_pool, pool.destroy),
    )
    return [removal for removal in every if removal is not None]


def _removal(title: str, finding: StepState, destroy: Callable[[StepState], None]) -> Removal | None:
    if finding.found is None:
        return None
    return Removal(title, finding.name, finding.found, not finding.ours, partial(destroy, finding))
