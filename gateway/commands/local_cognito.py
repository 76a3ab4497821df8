"""The `local-cognito` command: runs the local Cognito alone, if it is installed.

It is a separate distribution: neither the gateway's wheel nor its image contains it.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

from gateway.commands.support.flag_parser import Parser
from gateway.commands.support.flags import Environ, address
from gateway.errors import ConfigurationError, GatewayError

EXAMPLE = "local-cognito --listen 127.0.0.1:9229"


def add_flags(parser: Parser) -> None:
    parser.add_argument(
        "--listen",
        type=address,
        default="127.0.0.1:9229",
        metavar="HOST:PORT",
        help="a loopback address (default: 127.0.0.1:9229)",
    )
    parser.add_argument(
        "--seed", type=Path, metavar="FILE", help="initial user pools, clients and users (YAML)"
    )


def run(arguments: argparse.Namespace, _: Environ) -> int:
    """Run until SIGINT or SIGTERM; return 0. Raises GatewayError, and ConfigurationError for a bad seed."""
    require_local_cognito("local-cognito")
    from local_cognito.errors import CannotRun, SeedRefused
    from local_cognito.server import run

    try:
        return run(arguments.listen, arguments.seed)
    except SeedRefused as error:
        raise ConfigurationError(str(error)) from error
    except CannotRun as error:
        raise GatewayError(str(error)) from error


def require_local_cognito(command: str) -> None:
    """Raise GatewayError, with the command that installs it, if local_cognito cannot be imported."""
    found = find_spec("local_cognito")
    # In a checkout, its folder of this name is found as a namespace, which has no origin.
    if found is None or found.origin is None:
        raise GatewayError(
            f"{command}: local-cognito is not installed: in a checkout of cognito-gateway run "
            f"{shlex.quote(sys.executable)} -m pip install ./local_cognito"
        )
