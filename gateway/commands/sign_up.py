"""The `sign-up` command: enables or disables self-service sign-up in a user pool.

Invariant: of the pool's settings only `AdminCreateUserConfig.AllowAdminCreateUserOnly` changes.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from gateway.commands.support.flag_parser import Parser
from gateway.commands.support.flags import (
    Environ,
    account_flags,
    config_flag,
    config_path_if_any,
    endpoint_flag,
    pool_flag,
)
from gateway.errors import GatewayError
from gateway.terminal import waiting_for

if TYPE_CHECKING:
    from gateway.aws.clients import Where

EXAMPLE = "sign-up disable --config config/gateway.yaml"


def add_flags(parser: Parser) -> None:
    parser.add_argument("state", choices=("enable", "disable"), metavar="enable|disable")
    pool_flag(parser)
    account_flags(parser)
    endpoint_flag(parser)
    config_flag(parser)


def run(arguments: argparse.Namespace, environ: Environ) -> int:
    """Enable or disable self-service sign-up, and print the result; return 0. Raises GatewayError."""
    from gateway.aws.clients import Aws
    from gateway.aws.pool_settings import describe_pool, update_pool

    pool_id, where = _pool(arguments, environ)
    enable = arguments.state == "enable"
    aws = Aws(where, waiting_for)
    pool = describe_pool(aws, pool_id)
    word = "open" if enable else "closed"
    if _is_open(pool) == enable:
        sys.stdout.write(f"{pool_id}: sign-up is already {word}, nothing was changed\n")
        return 0
    update_pool(aws, pool, {"AdminCreateUserConfig": {"AllowAdminCreateUserOnly": not enable}})
    who = "anyone can create an account" if enable else "only administrators can create accounts"
    sys.stdout.write(f"{pool_id}: sign-up is now {word}: {who}\n")
    return 0


def _pool(arguments: argparse.Namespace, environ: Environ) -> tuple[str, Where]:
    """Return the pool from the flags, else the configuration's first; its region is in its ID.

    Raises GatewayError if neither names a pool, ConfigurationError for an invalid file.
    """
    from gateway.aws.clients import Where
    from gateway.config.egress import egress_from
    from gateway.config.load import load

    path = config_path_if_any(arguments, environ)
    cognito = None if path is None else load(path, environ).config.cognito
    pools = () if cognito is None else cognito.user_pools
    pool_id = arguments.user_pool_id or (pools[0].id if pools else None)
    if pool_id is None:
        named = "a --config" if path is None else f"one in {path}"
        raise GatewayError(f"sign-up: which user pool? name it with --user-pool-id, or {named}")
    where = Where(
        region=arguments.region or pool_id.partition("_")[0],
        profile=arguments.profile,
        endpoint_url=arguments.endpoint_url or (None if cognito is None else cognito.endpoint_url),
        egress=egress_from(environ) if cognito is None else cognito.egress,
    )
    return pool_id, where


def _is_open(pool: dict[str, object]) -> bool:
    """Whether the pool allows self-service sign-up; Cognito's default is yes."""
    settings = pool.get("AdminCreateUserConfig")
    return not (isinstance(settings, dict) and settings.get("AllowAdminCreateUserOnly"))
