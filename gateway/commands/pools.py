"""sign-up and what else changes something at AWS."""

# ruff: noqa: PLC0415 - commands import what they need when they run

from __future__ import annotations

import argparse

from gateway.commands.adding import (
    Commands,
    Environ,
    aws_flags,
    config_flag,
    config_path_if_any,
)


def add(commands: Commands) -> None:
    sign_up = commands.add(
        "sign-up",
        _sign_up,
        "let people make themselves accounts in the user pool, or no longer",
        "sign-up disable --config config/gateway.yaml",
    )
    sign_up.add_argument("state", choices=("enable", "disable"))
    sign_up.add_argument("--user-pool-id", metavar="ID", help="default: the configuration's first pool")
    aws_flags(sign_up)
    config_flag(sign_up)


def _sign_up(arguments: argparse.Namespace, environ: Environ) -> int:
    from gateway.aws.configured import configured_pool
    from gateway.aws.sign_up import SignUpRequest, sign_up_command

    pool = configured_pool(
        "sign-up",
        config_path_if_any(arguments.config, environ),
        environ,
        user_pool_id=arguments.user_pool_id,
        region=arguments.region,
        profile=arguments.profile,
        endpoint_url=arguments.endpoint_url,
    )
    return sign_up_command(SignUpRequest(pool.id, arguments.state == "enable", pool.where))
