"""serve, check-config, config-schema, demo, local-cognito: what runs, and what it is run with."""

# ruff: noqa: PLC0415 - commands import what they need when they run

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.commands import adding
from gateway.commands.adding import Commands, Environ, config_path
from gateway.errors import ConfigurationError, GatewayError


def add(commands: Commands) -> None:
    serve = commands.add("serve", _serve, "run the gateway", "serve --config config/gateway.yaml")
    adding.config_flag(serve)
    serve.add_argument(
        "--workers",
        type=adding.workers,
        metavar="N|auto",
        help="overrides listen.workers of the configuration",
    )
    checked = commands.add(
        "check-config",
        _check_config,
        "report every mistake in a configuration as FILE:LINE: key.path: what is wrong",
        "check-config config/gateway.yaml",
    )
    adding.config_flag(checked)
    commands.add(
        "config-schema",
        _config_schema,
        "print the JSON Schema of the configuration",
        "config-schema > gateway.schema.json",
    )
    demo = commands.add(
        "demo", _demo, "run local Cognito, a sample API and the gateway on loopback", "demo --port 8000"
    )
    demo.add_argument("--port", type=adding.port, default=8000, help="the gateway's port (default: 8000)")
    local = commands.add(
        "local-cognito",
        _local_cognito,
        "run the local Cognito alone",
        "local-cognito --listen 127.0.0.1:9229",
    )
    local.add_argument(
        "--listen",
        type=adding.address,
        default="127.0.0.1:9229",
        metavar="HOST:PORT",
        help="a loopback address (default: 127.0.0.1:9229)",
    )
    local.add_argument(
        "--seed", type=Path, metavar="FILE", help="pools, clients and users to begin with (YAML)"
    )


def _serve(arguments: argparse.Namespace, environ: Environ) -> int:
    from gateway.config.load import load
    from gateway.serve.reload import ConfigurationSource
    from gateway.serve.run import serve

    flags = {} if arguments.workers is None else {"listen.workers": arguments.workers}
    path = config_path(arguments, environ)
    source = ConfigurationSource(path, lambda: load(path, environ, flags))
    loaded = source.load()
    for warning in loaded.warnings:
        print(warning, file=sys.stderr)
    return serve(loaded.config, source)


def _check_config(arguments: argparse.Namespace, environ: Environ) -> int:
    from gateway.config.load import examine
    from gateway.serve.file_checks import check_contents

    path = config_path(arguments, environ, standard_input=True)
    config, report = examine(path, environ, contents=check_contents)
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


def _config_schema(_: argparse.Namespace, __: Environ) -> int:
    from gateway.config.generate import schema_text

    print(schema_text(), end="")
    return 0


def _demo(arguments: argparse.Namespace, _: Environ) -> int:
    with _local_cognito_installed("demo"):
        from gateway.commands.demo import demo
    return demo(port=arguments.port)


def _local_cognito(arguments: argparse.Namespace, _: Environ) -> int:
    with _local_cognito_installed("local-cognito"):
        from local_cognito.errors import CannotRun, SeedRefused
        from local_cognito.server import run
    try:
        return run(arguments.listen, arguments.seed)
    except SeedRefused as error:
        raise ConfigurationError(str(error)) from error
    except CannotRun as error:
        raise GatewayError(str(error)) from error


@contextmanager
def _local_cognito_installed(command: str) -> Iterator[None]:
    """Raise GatewayError, with the command that installs it, where an import of local_cognito fails.

    It is a distribution apart: neither the gateway's wheel nor its image holds it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "local_cognito":
            raise
        raise GatewayError(
            f"{command}: local-cognito is not installed: in a checkout of cognito-gateway run "
            f"{shlex.quote(sys.executable)} -m pip install ./local_cognito"
        ) from error
