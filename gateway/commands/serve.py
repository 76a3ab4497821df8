"""The `serve` command: runs the gateway."""

from __future__ import annotations

import argparse
import sys

from gateway.commands.support.flag_parser import Parser
from gateway.commands.support.flags import Environ, config_flag, config_path, workers

EXAMPLE = "serve --config config/gateway.yaml"


def add_flags(parser: Parser) -> None:
    config_flag(parser)
    parser.add_argument(
        "--workers", type=workers, metavar="N|auto", help="overrides listen.workers from the configuration"
    )


def run(arguments: argparse.Namespace, environ: Environ) -> int:
    """Serve until a signal; return the exit code. Raises ConfigurationError and GatewayError."""
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
