"""The command `local-cognito`.

Invariant: an error that the user can fix is one sentence on stderr and exit code 1, never a traceback.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from local_cognito.errors import CannotRun
from local_cognito.seed import DEMO
from local_cognito.server import run
from local_cognito.version import VERSION


def make_parser() -> argparse.ArgumentParser:
    """Return the command-line parser."""
    parser = argparse.ArgumentParser(
        prog="local-cognito", description="A strict emulator of Amazon Cognito, on loopback."
    )
    parser.add_argument("-V", "--version", action="version", version=f"local-cognito {VERSION}")
    parser.add_argument(
        "--listen",
        default="127.0.0.1:9229",
        metavar="HOST:PORT",
        help="loopback address to listen on (default: 127.0.0.1:9229)",
    )
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument(
        "--seed", type=Path, metavar="FILE", help="pools, clients and users to create at start (YAML)"
    )
    begin.add_argument(
        "--demo", action="store_const", const=DEMO, dest="seed", help="start with the demo's pool and user"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the local Cognito until SIGINT or SIGTERM; return the exit code."""
    arguments = make_parser().parse_args(argv)
    try:
        return run(arguments.listen, arguments.seed)
    except CannotRun as error:
        sys.stderr.write(f"{error}\n")
        return 1
