"""The walk over the steps: look, report, then create or fix what is missing or differs.

Invariant: in a plan nothing is changed; what differs is changed only with `fix`; an error half-way names all
that is there by then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from gateway.aws.clients import Aws
from gateway.aws.provision.identity_steps import AuthenticatedRole, IdentityPoolStep, Role
from gateway.aws.provision.pool_steps import AppClient, Domain, UserPoolStep
from gateway.aws.provision.step import Made, SetupStep, StepState
from gateway.aws.provision.wanted import Wanted
from gateway.errors import GatewayError

Verdict = Literal["same", "create", "created", "differs", "change", "changed"]


@dataclass(frozen=True, slots=True)
class StepReport:
    """What the walk has to say of one step."""

    title: str
    name: str
    verdict: Verdict
    id: str | None = None
    differences: Sequence[str] = field(default_factory=tuple)
    # Differences that nobody can change.
    lasting: Sequence[str] = field(default_factory=tuple)


def walk(
    aws: Aws,
    wanted: Wanted,
    *,
    pool_id: str | None,
    plan: bool,
    fix: bool,
    say: Callable[[StepReport], None],
) -> Made:
    """Everything in order, each step said as soon as it is done. Raises GatewayError."""
    made = Made()
    done: list[StepReport] = []
    for step in steps(aws, wanted, pool_id):
        try:
            told = _take(step, made, plan=plan, fix=fix)
        except GatewayError as error:
            raise GatewayError(f"{error}{_so_far(done)}") from None
        done.append(told)
        say(told)
    return made


def steps(aws: Aws, wanted: Wanted, pool_id: str | None) -> list[SetupStep]:
    """What is wanted, in the order it is made: each needs those before it."""
    every: list[SetupStep] = [UserPoolStep(aws, wanted, pool_id), AppClient(aws, wanted)]
    if wanted.domain_prefix is not None:
        every.append(Domain(aws, wanted))
    if wanted.identity_pool:
        every += [IdentityPoolStep(aws, wanted), Role(aws, wanted), AuthenticatedRole(aws, wanted)]
    return every


def _take(step: SetupStep, made: Made, *, plan: bool, fix: bool) -> StepReport:
    finding = step.look(made)
    if finding.found is None:
        if plan:
            return StepReport(step.title, finding.name, "create")
        return StepReport(step.title, finding.name, "created", step.make(made))
    if not finding.differences:
        return _told(step, finding, "same")
    if not fix:
        return _told(step, finding, "differs")
    if not plan:
        step.fix(made, finding)
    return _told(step, finding, "change" if plan else "changed")


def _told(step: SetupStep, finding: StepState, verdict: Verdict) -> StepReport:
    return StepReport(
        step.title, finding.name, verdict, finding.found, tuple(finding.differences), tuple(finding.lasting)
    )


def _so_far(done: Sequence[StepReport]) -> str:
    if not done:
        return ""
    there = ", ".join(f"{told.title} {told.id or told.name}" for told in done)
    return f"; there by now: {there}: fix the cause and run the same command again, it goes on from there"
