"""setup, sign-up, doctor: what changes something at AWS, and what looks whether all fits."""

# ruff: noqa: PLC0415 - commands import what they need when they run

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.commands.adding import (
    Commands,
    Environ,
    Flags,
    aws_flags,
    config_flag,
    config_path,
    config_path_if_any,
)
from gateway.errors import GatewayError


def add(commands: Commands) -> None:
    _setup_flags(
        commands.add(
            "setup",
            _setup,
            "make, or find and complete, user pool, app client and identity pool",
            "setup --pool-name orders --identity-pool --write config/gateway.yaml",
        )
    )
    _doctor_flags(
        commands.add(
            "doctor",
            _doctor,
            "compare the configuration with the actual pool, client, keys, clock and upstream",
            "doctor --config config/gateway.yaml",
        )
    )
    sign_up = commands.add(
        "sign-up",
        _sign_up,
        "let people make themselves accounts in the user pool, or no longer",
        "sign-up disable --config config/gateway.yaml",
    )
    sign_up.add_argument("state", choices=("enable", "disable"), metavar="enable|disable")
    sign_up.add_argument("--user-pool-id", metavar="ID", help="default: the configuration's first pool")
    aws_flags(sign_up)
    config_flag(sign_up)


def _doctor_flags(parser: Flags) -> None:
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument("--region", help="default: the pool's region")
    parser.add_argument("--profile", help="AWS profile that may look at the pools")
    config_flag(parser)


def _doctor(arguments: argparse.Namespace, environ: Environ) -> int:
    from gateway.commands.doctor import DoctorRequest, doctor_command

    return doctor_command(
        DoctorRequest(
            config_path=config_path(arguments, environ),
            profile=arguments.profile,
            region=arguments.region,
            as_json=arguments.json,
            environ=environ,
        )
    )


def _setup_flags(parser: Flags) -> None:
    parser.add_argument(
        "--pool-name",
        default="cognito-gateway",
        metavar="NAME",
        help="what pool, client, identity pool and role are called (default: cognito-gateway)",
    )
    parser.add_argument("--user-pool-id", metavar="ID", help="use this pool, whatever it is called")
    parser.add_argument(
        "--self-sign-up",
        action="store_true",
        help="anyone may make an account (default: administrators only)",
    )
    parser.add_argument(
        "--domain", metavar="PREFIX", help="of managed login (default: the gateway's own pages)"
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
        help="with an identity pool and its IAM role, for AWS credentials",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--fix", action="store_true", help="change what is there and differs")
    what.add_argument(
        "--destroy", action="store_true", help="delete what this command made, after a question"
    )
    what.add_argument(
        "--iam-policy", action="store_true", help="print the IAM policy that running this needs"
    )
    parser.add_argument("--plan", action="store_true", help="say what would change, and change nothing")
    parser.add_argument("--yes", action="store_true", help="--destroy without the question")
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the IDs into this configuration")
    parser.add_argument("--region", help="default: as the AWS CLI finds it")
    parser.add_argument("--profile", help="AWS profile")
    parser.add_argument("--endpoint-url", metavar="URL", help="default: AWS")


def _setup(arguments: argparse.Namespace, environ: Environ) -> int:
    from gateway.aws.clients import Where
    from gateway.aws.provision.wanted import Wanted
    from gateway.commands import setup
    from gateway.config.egress import egress_from

    if arguments.domain and not arguments.callback_url:
        raise GatewayError("setup: --domain needs --callback-url, where managed login sends people back to")
    wanted = Wanted(
        name=arguments.pool_name,
        self_sign_up=arguments.self_sign_up,
        domain_prefix=arguments.domain,
        callback_urls=tuple(arguments.callback_url or ()),
        logout_urls=tuple(arguments.logout_url or ()),
        identity_pool=arguments.identity_pool,
    )
    # The AWS CLI and all other SDKs read AWS_REGION; boto3 alone knows only AWS_DEFAULT_REGION.
    region = arguments.region or environ.get("AWS_REGION") or None
    where = Where(region, arguments.profile, arguments.endpoint_url, egress_from(environ))
    if arguments.iam_policy:
        return setup.print_iam_policy(wanted, where)
    request = setup.SetupRequest(
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
    return setup.destroy_command(request) if arguments.destroy else setup.setup_command(request)


def _sign_up(arguments: argparse.Namespace, environ: Environ) -> int:
    from gateway.commands.configured import configured_pool
    from gateway.commands.sign_up import SignUpRequest, sign_up_command

    pool = configured_pool(
        "sign-up",
        config_path_if_any(arguments, environ),
        environ,
        user_pool_id=arguments.user_pool_id,
        region=arguments.region,
        profile=arguments.profile,
        endpoint_url=arguments.endpoint_url,
    )
    return sign_up_command(SignUpRequest(pool.id, arguments.state == "enable", pool.where))
