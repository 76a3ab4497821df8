"""The `help` command: explains the program or one command, as `--help` does."""

from __future__ import annotations

import argparse

from gateway.commands.registry import CommandLine
from gateway.commands.support.flag_parser import Parser
from gateway.commands.support.flags import Environ

EXAMPLE = "help serve"


def add_flags(parser: Parser) -> None:
    parser.add_argument("about", nargs="?", metavar="COMMAND")


def run(arguments: argparse.Namespace, _: Environ) -> int:
    """Print the help; return 0. Raises SystemExit (2) for an unknown command."""
    line = CommandLine()
    about = line.parser if arguments.about is None else line.command(arguments.about)
    about.print_help()
    return 0
