"""The commands: flags in, exit code out; the only reader of the environment and of argv.

0: done, 1: it failed or the input is invalid, 2: wrong usage. What a user can cause ends in one sentence on
stderr, never in a traceback. Each command imports what it needs when it runs, so that `version` costs
nothing.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import ConfigurationError, GatewayError
from gateway.version import VERSION

if TYPE_CHECKING:
    from gateway.aws.token import TokenRequest

NAME = "cognito-gateway"
_CONFIG_VARIABLE = "COGNITO_GATEWAY_CONFIG"
_CONFIG_FILE = Path("config/gateway.yaml")
# 128 + SIGINT, as shells report it.
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as exited:  # argparse: --help (0) or wrong usage (2), said already
        return exited.code if isinstance(exited.code, int) else 2
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        code = command(arguments)
        sys.stdout.flush()
    except ConfigurationError as error:
        return _fail(str(error))  # lines of FILE:LINE
    except GatewayError as error:
        return _fail(f"{NAME}: {error}")
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has enough. Python flushes stdout once more at exit: let it go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        # The machine's refusals (no space, no permission, port taken) are the user's to mend, not our bugs.
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{NAME}: {where}{(error.strerror or str(error)).lower()}")
    return code


def _fail(text: str) -> int:
    print(text, file=sys.stderr)
    return 1


# --- the commands ------------------------------------------------------------------------------------------


def _serve(arguments: argparse.Namespace) -> int:
    from gateway.config.load import load
    from gateway.run.reload import Source
    from gateway.run.serve import serve

    flags = {} if arguments.workers is None else {"listen.workers": arguments.workers}
    path = _config_path(arguments.config)
    source = Source(path, lambda: load(path, os.environ, flags))
    loaded = source.load()
    for warning in loaded.warnings:
        print(warning, file=sys.stderr)
    return serve(loaded.config, source)


def _check_config(arguments: argparse.Namespace) -> int:
    from gateway.config.load import examine

    path = _config_path(arguments.file)
    config, report = examine(path, os.environ)
    for line in report.lines:
        print(line, file=sys.stderr)
    if config is None:
        return 1
    pools, routes = len(config.cognito.user_pools), len(config.routes)
    told = f"user pools: {pools}, routes: {routes}"
    if not pools:
        told = "not configured yet, cognito.user_pools is empty"
    print(f"{path}: valid ({told})")
    return 0


def _config_schema(_: argparse.Namespace) -> int:
    from gateway.config.generate import schema_text

    print(schema_text(), end="")
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from gateway.run.demo import demo

    return demo(port=arguments.port)


def _local_cognito(arguments: argparse.Namespace) -> int:
    from gateway.local.server import main_local_cognito

    return main_local_cognito(arguments.listen, arguments.seed)


def _token(arguments: argparse.Namespace) -> int:
    from gateway.aws.token import token_command

    return token_command(_token_request(arguments))


def _version(_: argparse.Namespace) -> int:
    import platform
    from importlib.metadata import version

    print(f"{NAME} {VERSION}\nPython {platform.python_version()}\naiohttp {version('aiohttp')}")
    return 0


# --- what they share ---------------------------------------------------------------------------------------


def _config_path(given: Path | None) -> Path:
    return given or Path(os.environ.get(_CONFIG_VARIABLE) or _CONFIG_FILE)


def _token_request(arguments: argparse.Namespace) -> TokenRequest:
    """The flags; a configuration only when one is named or stands in its usual place."""
    from gateway.aws.token import TokenRequest

    path = _config_path(arguments.config)
    named = arguments.config is not None or bool(os.environ.get(_CONFIG_VARIABLE))
    return TokenRequest(
        config_path=path if named or path.exists() else None,
        username=arguments.username,
        flow=arguments.flow,
        output=arguments.output,
        password_file=arguments.password_file,
        user_pool_id=arguments.user_pool_id,
        client_id=arguments.client_id,
        region=arguments.region,
        profile=arguments.profile,
        endpoint_url=arguments.endpoint_url,
        environ=os.environ,
    )


# --- the flags ---------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=NAME, description="Amazon Cognito in front of any HTTP API.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"{NAME} {VERSION}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int], does: str, example: str) -> _Flags:
        added = commands.add_parser(
            name,
            help=does,
            description=does[0].upper() + does[1:] + ".",
            epilog=f"example:\n  {NAME} {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        added.set_defaults(command=run)
        return added

    _serve_flags(command("serve", _serve, "run the gateway", "serve --config config/gateway.yaml"))
    checked = command(
        "check-config",
        _check_config,
        "report every mistake in a configuration as FILE:LINE: key.path: what is wrong",
        "check-config config/gateway.yaml",
    )
    checked.add_argument("file", nargs="?", type=Path, metavar="FILE", help=_CONFIG_HELP)
    command(
        "config-schema",
        _config_schema,
        "print the JSON Schema of the configuration",
        "config-schema > gateway.schema.json",
    )
    demo = command(
        "demo", _demo, "run local Cognito, a sample API and the gateway on loopback", "demo --port 8000"
    )
    demo.add_argument("--port", type=_port, default=8000, help="the gateway's port (default: 8000)")
    _local_flags(
        command(
            "local-cognito",
            _local_cognito,
            "run the local Cognito alone",
            "local-cognito --listen 127.0.0.1:9229",
        )
    )
    _token_flags(
        command(
            "token",
            _token,
            "sign in and print the access token",
            "token --username alice --header",
        )
    )
    command("version", _version, "print the versions of the gateway, Python and aiohttp", "version")
    return parser


_Flags = argparse.ArgumentParser
_CONFIG_HELP = f"default: ${_CONFIG_VARIABLE}, then {_CONFIG_FILE}"


def _serve_flags(parser: _Flags) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help=_CONFIG_HELP)
    parser.add_argument(
        "--workers", type=_workers, metavar="N|auto", help="beats listen.workers of the configuration"
    )


def _local_flags(parser: _Flags) -> None:
    parser.add_argument(
        "--listen",
        type=_address,
        default="127.0.0.1:9229",
        metavar="HOST:PORT",
        help="a loopback address (default: 127.0.0.1:9229)",
    )
    parser.add_argument(
        "--seed", type=Path, metavar="FILE", help="pools, clients and users to begin with (YAML)"
    )


def _token_flags(parser: _Flags) -> None:
    parser.add_argument("--username", metavar="U", help="default: asked for")
    parser.add_argument(
        "--flow",
        choices=("admin", "password"),
        default="password",
        help="password: as any user; admin: with AWS credentials (default: password)",
    )
    output = parser.add_mutually_exclusive_group()
    for name, shown in (
        ("id", "print the ID token"),
        ("json", "print the whole answer as JSON"),
        ("header", "print a ready Authorization header"),
    ):
        output.add_argument(f"--{name}", dest="output", action="store_const", const=name, help=shown)
    parser.set_defaults(output="access")
    parser.add_argument(
        "--password-file", type=Path, metavar="FILE", help="default: prompt, or standard input"
    )
    parser.add_argument("--user-pool-id", metavar="ID", help="default: the configuration's first pool")
    parser.add_argument("--client-id", metavar="ID", help="default: that pool's first client")
    parser.add_argument("--region", help="default: the pool's region")
    parser.add_argument("--profile", help="AWS profile, for --flow admin")
    parser.add_argument("--endpoint-url", metavar="URL", help="default: cognito.endpoint_url, then AWS")
    parser.add_argument("--config", type=Path, metavar="FILE", help=_CONFIG_HELP)


def _workers(text: str) -> str:
    from gateway.config.values import workers

    return _usage(workers, text)


def _address(text: str) -> str:
    from gateway.config.addresses import address

    return _usage(address, text)


def _port(text: str) -> int:
    from gateway.config.addresses import port_number

    _usage(port_number, text)
    return int(text)


def _usage(parse: Callable[[str], object], text: str) -> str:
    """The text itself, once `parse` has taken it; argparse shows its sentence and the usage."""
    try:
        parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
