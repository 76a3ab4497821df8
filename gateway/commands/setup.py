"""The `setup` command: creates or completes the AWS resources, with output for people or JSON for programs.

Invariant: stdout contains the result (YAML, JSON, a policy), stderr the progress; nothing is deleted without
confirmation.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.aws.partitions import managed_login_url, partition_of
from gateway.aws.provision.iam_policy import iam_policy
from gateway.aws.provision.wanted import Wanted
from gateway.commands.support.flag_parser import Parser
from gateway.commands.support.flags import Environ, account_flags, endpoint_flag, json_flag, pool_flag
from gateway.errors import GatewayError
from gateway.terminal import Mark, Paint, paint_for, waiting_for

if TYPE_CHECKING:
    from gateway.aws.clients import Where
    from gateway.aws.provision.destroy import Removal
    from gateway.aws.provision.step import Made
    from gateway.aws.provision.walk import StepReport
    from gateway.config.writing import PoolIds

_MARKS: Mapping[str, Mark] = {
    "same": "good",
    "create": "none",
    "created": "good",
    "differs": "warn",
    "change": "none",
    "changed": "good",
}
_WORDS = {
    "same": "is up to date",
    "create": "would be created",
    "created": "created",
    "differs": "exists but differs; --fix would change it",
    "change": "would be changed",
    "changed": "changed",
}

EXAMPLE = "setup --pool-name orders --identity-pool --write config/gateway.yaml"


def add_flags(parser: Parser) -> None:
    parser.add_argument(
        "--pool-name",
        default="cognito-gateway",
        metavar="NAME",
        help=("name of the user pool, app client, identity pool and role (default: cognito-gateway)"),
    )
    pool_flag(parser, "use this user pool, whatever its name is")
    parser.add_argument(
        "--self-sign-up",
        action="store_true",
        help="let anyone create an account (default: administrators only)",
    )
    parser.add_argument(
        "--domain", metavar="PREFIX", help="domain prefix of managed login (default: the gateway's own pages)"
    )
    parser.add_argument(
        "--callback-url", action="append", metavar="URL", help="with --domain: https://HOST/oauth2/callback"
    )
    parser.add_argument(
        "--logout-url", action="append", metavar="URL", help="with --domain: https://HOST/oauth2/"
    )
    parser.add_argument(
        "--identity-pool",
        action="store_true",
        help="also create an identity pool and its IAM role, for AWS credentials",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--fix", action="store_true", help="change existing settings that differ")
    what.add_argument(
        "--destroy", action="store_true", help="delete what this command created, after confirmation"
    )
    what.add_argument(
        "--iam-policy", action="store_true", help="print the IAM policy that this command needs"
    )
    parser.add_argument(
        "--plan", action="store_true", help="dry run: show what would change, and change nothing"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation of --destroy")
    json_flag(parser)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the IDs into this configuration")
    account_flags(parser, region="default: as the AWS CLI finds it")
    endpoint_flag(parser, "AWS")


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
    # Confirms `destroy` without a question.
    yes: bool
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


def run(arguments: argparse.Namespace, environ: Environ) -> int:
    """Create or complete the resources, or delete them; return 0. Raises GatewayError."""
    from gateway.aws.clients import Where
    from gateway.config.egress import egress_from

    if arguments.domain and not arguments.callback_url:
        raise GatewayError("setup: --domain needs --callback-url, to which managed login redirects users")
    wanted = Wanted(
        name=arguments.pool_name,
        self_sign_up=arguments.self_sign_up,
        domain_prefix=arguments.domain,
        callback_urls=tuple(arguments.callback_url or ()),
        logout_urls=tuple(arguments.logout_url or ()),
        identity_pool=arguments.identity_pool,
    )
    # The AWS CLI and the other SDKs read AWS_REGION; boto3 reads only AWS_DEFAULT_REGION.
    region = arguments.region or environ.get("AWS_REGION") or None
    where = Where(region, arguments.profile, arguments.endpoint_url, egress_from(environ))
    if arguments.iam_policy:
        return print_iam_policy(wanted, where)
    request = SetupRequest(
        wanted=wanted,
        where=where,
        pool_id=arguments.user_pool_id,
        plan=arguments.plan,
        fix=arguments.fix,
        as_json=arguments.json,
        write=arguments.write,
        yes=arguments.yes,
        environ=environ,
    )
    return _destroy(request) if arguments.destroy else _set_up(request)


def print_iam_policy(wanted: Wanted, where: Where) -> int:
    policy = iam_policy(wanted.role_name, partition_of(where.region or ""))
    sys.stdout.write(json.dumps(policy, indent=2) + "\n")
    return 0


def _set_up(request: SetupRequest) -> int:
    from gateway.aws.clients import Aws
    from gateway.aws.provision.walk import walk
    from gateway.config.writing import check_writable

    aws = Aws(request.where, waiting_for)
    # First, because without a region nothing can be created.
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
        sys.stderr.write(f"{changes} of {len(told)} would change\n" if changes else "no changes needed\n")
    ids = _ids(request, made, region)
    if request.as_json:
        sys.stdout.write(json.dumps(_report(told, made, ids), indent=2) + "\n")
    if ids is not None and not request.plan:
        _hand_over(request, ids)
    return 0


def _destroy(request: SetupRequest) -> int:
    """Delete the resources with the tag of this set-up."""
    from gateway.aws.clients import Aws
    from gateway.aws.provision.destroy import removals

    aws = Aws(request.where, waiting_for)
    with waiting_for("AWS"):
        every = removals(aws, request.wanted)
    for removal in every:
        told = "was not created by this command: not deleted" if removal.foreign else "would be deleted"
        sys.stderr.write(f"{removal.title} {removal.id} {told}\n")
    ours = [removal for removal in every if not removal.foreign]
    if not ours:
        sys.stderr.write("nothing to delete\n")
        return 0
    if request.plan:
        return 0
    _consent(request, ours)
    for removal in ours:
        with waiting_for(f"the {removal.title}"):
            removal.remove()
        sys.stderr.write(f"{removal.title} {removal.id} deleted\n")
    return 0


def _consent(request: SetupRequest, ours: list[Removal]) -> None:
    if request.yes:
        return
    name = request.wanted.name
    if not sys.stdin.isatty():
        raise GatewayError("setup --destroy: not a terminal: pass --yes to confirm")
    sys.stderr.write(f"All users of the pool will be lost. Type {name} to delete {len(ours)} resources: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != name:
        raise GatewayError("setup --destroy: nothing was deleted")


def _line(told: StepReport, paint: Paint) -> str:
    shown = f" ({told.id})" if told.id not in {None, told.name} else ""
    mark, word = paint.mark(_MARKS[told.verdict]), _WORDS[told.verdict]
    line = f"{mark} {told.title} {paint.bold(told.name)}{shown} {word}\n"
    lasting = [f"{each}; AWS does not allow this to be changed: create a new pool" for each in told.lasting]
    return line + "".join(f"    {difference}\n" for difference in (*told.differences, *lasting))


def _ids(request: SetupRequest, made: Made, region: str) -> PoolIds | None:
    from gateway.config.writing import PoolIds

    if made.pool_id is None or made.client_id is None:
        return None  # in a plan
    domain = None
    if request.wanted.domain_prefix is not None and made.domain is not None:
        domain = _domain_url(request.where, made.domain, region)
    endpoint = request.where.endpoint_url
    return PoolIds(made.pool_id, made.client_id, made.identity_pool_id, domain, endpoint)


def _domain_url(where: Where, domain: str, region: str) -> str:
    if where.local and where.endpoint_url is not None:
        # A local Cognito serves managed login on its own address.
        return where.endpoint_url
    return f"https://{domain}" if "." in domain else managed_login_url(domain, region)


def _hand_over(request: SetupRequest, ids: PoolIds) -> None:
    """Write the IDs to the named file, or print them as YAML."""
    from gateway.config.writing import with_pool, write_pool

    if request.write is not None:
        changed = write_pool(request.write, ids, request.environ)
        sys.stderr.write(f"{request.write}: {'IDs written' if changed else 'already has the IDs'}\n")
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
