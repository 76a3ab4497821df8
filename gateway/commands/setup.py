"""The `setup` command: the walk over what is wanted, in words for people or JSON for machines.

Invariant: stdout carries the outcome (YAML, JSON, a policy), stderr the progress; nothing is taken away
without a word of consent.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.aws.clients import Aws, Where
from gateway.aws.partitions import managed_login_url, partition_of
from gateway.aws.provision.destroy import Removal, removals
from gateway.aws.provision.iam_policy import iam_policy
from gateway.aws.provision.step import Made
from gateway.aws.provision.walk import StepReport, walk
from gateway.aws.provision.wanted import Wanted
from gateway.config.writing import PoolIds, check_writable, with_pool, write_pool
from gateway.errors import GatewayError
from gateway.terminal import Mark, Paint, paint_for, waiting_for

_MARKS: Mapping[str, Mark] = {
    "same": "good",
    "create": "none",
    "created": "good",
    "differs": "warn",
    "change": "none",
    "changed": "good",
}
_WORDS = {
    "same": "is as wanted",
    "create": "would be made",
    "created": "made",
    "differs": "is there, and differs; --fix would change it",
    "change": "would be changed",
    "changed": "changed",
}


@dataclass(frozen=True, slots=True)
class SetupRequest:
    """The command's arguments."""

    wanted: Wanted
    where: Where
    pool_id: str | None
    plan: bool
    fix: bool
    as_json: bool
    write: Path | None
    # Takes `destroy`'s question as answered.
    yes: bool
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


def print_iam_policy(wanted: Wanted, where: Where) -> int:
    policy = iam_policy(wanted.role_name, partition_of(where.region or ""))
    sys.stdout.write(json.dumps(policy, indent=2) + "\n")
    return 0


def setup_command(request: SetupRequest) -> int:
    """Makes or completes what is wanted; 0. Raises GatewayError."""
    aws = Aws(request.where, waiting_for)
    # Before anything is made: where there is no region nothing can be.
    region = aws.region
    if request.write is not None and not request.plan:
        check_writable(request.write)
    paint = paint_for(sys.stderr, request.environ)
    told: list[StepReport] = []

    def say(one: StepReport) -> None:
        told.append(one)
        sys.stderr.write(_line(one, paint))

    made = walk(aws, request.wanted, pool_id=request.pool_id, plan=request.plan, fix=request.fix, say=say)
    if request.plan:
        changes = sum(one.verdict in {"create", "change"} for one in told)
        sys.stderr.write(f"{changes} of {len(told)} would change\n" if changes else "nothing to do\n")
    ids = _ids(request, made, region)
    if request.as_json:
        sys.stdout.write(json.dumps(_report(told, made, ids), indent=2) + "\n")
    if ids is not None and not request.plan:
        _hand_over(request, ids)
    return 0


def destroy_command(request: SetupRequest) -> int:
    """Takes away what carries this set-up's tag; 0. Raises GatewayError."""
    aws = Aws(request.where, waiting_for)
    every = removals(aws, request.wanted)
    for removal in every:
        told = "is not this command's own: it stays" if removal.foreign else "would be deleted"
        sys.stderr.write(f"{removal.title} {removal.id} {told}\n")
    ours = [removal for removal in every if not removal.foreign]
    if not ours:
        sys.stderr.write("nothing to delete\n")
        return 0
    if request.plan:
        return 0
    _consent(request, ours)
    for removal in ours:
        removal.remove()
        sys.stderr.write(f"{removal.title} {removal.id} deleted\n")
    return 0


def _consent(request: SetupRequest, ours: list[Removal]) -> None:
    if request.yes:
        return
    name = request.wanted.name
    if not sys.stdin.isatty():
        raise GatewayError("setup --destroy: nobody can be asked here: add --yes")
    sys.stderr.write(f"All users of the pool are lost with it. Type {name} to delete {len(ours)} things: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != name:
        raise GatewayError("setup --destroy: nothing was deleted")


def _line(told: StepReport, paint: Paint) -> str:
    shown = f" ({told.id})" if told.id not in {None, told.name} else ""
    mark, word = paint.mark(_MARKS[told.verdict]), _WORDS[told.verdict]
    line = f"{mark} {told.title} {paint.bold(told.name)}{shown} {word}\n"
    lasting = [f"{each}; AWS lets nobody change this: only a new pool differs" for each in told.lasting]
    return line + "".join(f"    {difference}\n" for difference in (*told.differences, *lasting))


def _ids(request: SetupRequest, made: Made, region: str) -> PoolIds | None:
    if made.pool_id is None or made.client_id is None:
        return None  # in a plan
    domain = None
    if request.wanted.domain_prefix is not None and made.domain is not None:
        domain = _domain_url(request.where, made.domain, region)
    endpoint = request.where.endpoint_url
    return PoolIds(made.pool_id, made.client_id, made.identity_pool_id, domain, endpoint)


def _domain_url(where: Where, domain: str, region: str) -> str:
    if where.local and where.endpoint_url is not None:
        # A local Cognito answers for managed login on its own address.
        return where.endpoint_url
    return f"https://{domain}" if "." in domain else managed_login_url(domain, region)


def _hand_over(request: SetupRequest, ids: PoolIds) -> None:
    """The IDs, to the file that is named, or as YAML to be put there."""
    if request.write is not None:
        changed = write_pool(request.write, ids, request.environ)
        sys.stderr.write(f"{request.write}: {'has the IDs now' if changed else 'has the IDs already'}\n")
    elif not request.as_json:
        sys.stdout.write(with_pool("", ids))


def _report(told: list[StepReport], made: Made, ids: PoolIds | None) -> dict[str, Any]:
    return {
        "user_pool_id": made.pool_id,
        "client_id": made.client_id,
        "domain": None if ids is None else ids.domain,
        "identity_pool_id": made.identity_pool_id,
        "role_arn": made.role_arn,
        "steps": [
            {
                "step": one.title,
                "name": one.name,
                "id": one.id,
                "verdict": one.verdict,
                "differences": list(one.differences),
                "lasting": list(one.lasting),
            }
            for one in told
        ],
    }
