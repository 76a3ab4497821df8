"""The walk over the steps of `setup`: look up, report, then create or fix.

Invariant: a plan changes nothing; differences are changed only with `fix`; an error half-way names everything
that exists by then.
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
    """The outcome of one step."""

    title: str
    name: str
    verdict: Verdict
    id: str | None = None
    differences: Sequence[str] = field(default_factory=tuple)
    # Differences that can never be changed.
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
    """Run all steps in order, reporting each when it is done. Raises GatewayError."""
    made = Made()
    done: list[StepReport] = []
    for step in steps(aws, wanted, pool_id):
        try:
            with aws.waiting(f"the {step.title}"):
                report = _take(step, made, plan=plan, fix=fix)
        except GatewayError as error:
            raise GatewayError(f"{error}{_so_far(done)}") from None
        done.append(report)
        say(report)
    return made


def steps(aws: Aws, wanted: Wanted, pool_id: str | None) -> list[SetupStep]:
    """Return the steps in order: each depends on those before it."""
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
        return _report(step, finding, "same")
    if not fix:
        return _report(step, finding, "differs")
    if not plan:
        step.fix(made, finding)
    return _report(step, finding, "change" if plan else "changed")


def _report(step: SetupStep, finding: StepState, verdict: Verdict) -> StepReport:
    return StepReport(
        step.title, finding.name, verdict, finding.found, tuple(finding.differences), tuple(finding.lasting)
    )


def _so_far(done: Sequence[StepReport]) -> str:
    if not done:
        return ""
    exists = ", ".join(f"{each.title} {each.id or each.name}" for each in done)
    return f"; created or found so far: {exists}: fix the cause and run the same command again to continue"
