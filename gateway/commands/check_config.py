"""The `check-config` command: reports every mistake in a configuration with its line."""

from __future__ import annotations

import argparse
import sys

from gateway.commands.support.flag_parser import Parser
from gateway.commands.support.flags import Environ, config_flag, config_path

EXAMPLE = "check-config config/gateway.yaml"


def add_flags(parser: Parser) -> None:
    config_flag(parser)


def run(arguments: argparse.Namespace, environ: Environ) -> int:
    """Print mistakes and warnings; return 1 if there is a mistake, else 0."""
    from gateway.config.load import STANDARD_INPUT, examine
    from gateway.serve.file_checks import check_contents

    path = config_path(arguments, environ, standard_input=True)
    if path == STANDARD_INPUT and sys.stdin.isatty():
        sys.stderr.write("Paste the configuration, then press Enter and Ctrl-D:\n")
    config, report = examine(path, environ, contents=check_contents)
    for line in report.lines:
        print(line, file=sys.stderr)
    if config is None:
        return 1
    pools, routes = len(config.cognito.user_pools), len(config.routes)
    found = f"user pools: {pools}, routes: {routes}"
    if not pools:
        found = "not configured yet, cognito.user_pools is empty"
    print(f"{path}: valid ({found})")
    return 0
