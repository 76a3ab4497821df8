"""The `sign-up` command: turns self-service sign-up of a user pool on or off.

Invariant: of the pool's settings exactly `AdminCreateUserConfig.AllowAdminCreateUserOnly` changes.
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
    """Turn self-service sign-up on or off, and print what it was and is; return 0. Raises GatewayError."""
    from gateway.aws.clients import Aws
    from gateway.aws.pool_settings import describe_pool, update_pool

    pool_id, where = _pool(arguments, environ)
    enable = arguments.state == "enable"
    aws = Aws(where, waiting_for)
    pool = describe_pool(aws, pool_id)
    word = "open" if enable else "closed"
    if _is_open(pool) == enable:
        sys.stdout.write(f"{pool_id}: sign-up is {word} already, nothing was changed\n")
        return 0
    update_pool(aws, pool, {"AdminCreateUserConfig": {"AllowAdminCreateUserOnly": not enable}})
    who = "anyone can make an account" if enable else "only administrators can make accounts"
    sys.stdout.write(f"{pool_id}: sign-up is {word} now: {who}\n")
    return 0


def _pool(arguments: argparse.Namespace, environ: Environ) -> tuple[str, Where]:
    """The pool that a flag names, else the configuration's first; its region is that of its ID.

    Raises GatewayError where neither names a pool, ConfigurationError for a broken file.
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
    """Whether the described pool lets people sign up by themselves; Cognito's default is yes."""
    settings = pool.get("AdminCreateUserConfig")
    return not (isinstance(settings, dict) and settings.get("AllowAdminCreateUserOnly"))
