"""Flags shared by several commands, and the types of arguments.

Invariant: an argument is validated by the same function as the corresponding value in a configuration.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.commands.support.flag_parser import Parser
from gateway.config import FILE_VARIABLE
from gateway.errors import GatewayError

NAME = "cognito-gateway"
CONFIG_FILE = Path("config/gateway.yaml")
CONFIG_HELP = f"default: ${FILE_VARIABLE}, then {CONFIG_FILE}, then COGNITO_GATEWAY_… variables alone"

Environ = Mapping[str, str]


def config_flag(parser: Parser, *, positional: bool = True) -> None:
    """Add --config FILE and, unless another argument is positional, FILE with the same meaning."""
    parser.add_argument("--config", type=Path, metavar="FILE", help=CONFIG_HELP)
    if positional:
        parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the same as --config FILE")


def json_flag(parser: Parser) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def pool_flag(parser: Parser, default: str = "default: the configuration's first pool") -> None:
    """Add --user-pool-id ID."""
    parser.add_argument("--user-pool-id", metavar="ID", help=default)


def account_flags(
    parser: Parser, *, region: str = "default: the pool's region", profile: str = "AWS profile"
) -> None:
    """Add --region and --profile, as in the AWS CLI."""
    parser.add_argument("--region", help=region)
    parser.add_argument("--profile", help=profile)


def endpoint_flag(parser: Parser, default: str = "cognito.endpoint_url, then AWS") -> None:
    """Add --endpoint-url URL, as in the AWS CLI."""
    parser.add_argument("--endpoint-url", metavar="URL", help=f"default: {default}")


def config_path(arguments: argparse.Namespace, environ: Environ, *, standard_input: bool = False) -> Path:
    """Return the named configuration, the default file, or ENVIRONMENT if only variables are set.

    Raises GatewayError if two files are named, or `-` and the command cannot read standard input.
    """
    from gateway.config.environment import has_settings
    from gateway.config.load import ENVIRONMENT, STANDARD_INPUT

    flag, file = arguments.config, getattr(arguments, "file", None)
    if flag is not None and file is not None and flag != file:
        raise GatewayError(f"two configurations: --config {flag} and {file}: name one")
    named = flag or file or environ.get(FILE_VARIABLE)
    if not named and has_settings(environ) and not CONFIG_FILE.exists():
        return ENVIRONMENT
    path = Path(named or CONFIG_FILE)
    if path == STANDARD_INPUT and not standard_input:
        raise GatewayError("the configuration must be a file here: only check-config reads standard input")
    return path


def config_path_if_any(arguments: argparse.Namespace, environ: Environ) -> Path | None:
    """Return the configuration only if one is named, or the default file exists."""
    path = config_path(arguments, environ)
    return None if path == CONFIG_FILE and not path.exists() else path


def workers(text: str) -> str:
    from gateway.config import scalars

    return _usage(scalars.auto_or(1, 256), text)


def address(text: str) -> str:
    from gateway.config import addresses

    return _usage(addresses.address, text)


def port(text: str) -> int:
    from gateway.config import addresses

    _usage(addresses.port_number, text)
    return int(text)


def duration(text: str) -> float:
    from gateway.config import scalars

    _usage(scalars.duration, text)
    return scalars.duration(text)


def method(text: str) -> str:
    from gateway.config import names

    return _usage(names.method, text)


def _usage(parse: Callable[[str], object], text: str) -> str:
    """Return the text if `parse` accepts it; argparse prints the error and the usage."""
    try:
        parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
