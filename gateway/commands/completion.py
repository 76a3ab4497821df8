"""The `completion` command: prints the completion script for a shell."""

from __future__ import annotations

import argparse
import sys

from gateway.commands.registry import CommandLine
from gateway.commands.support.flag_parser import Parser
from gateway.commands.support.flags import Environ

EXAMPLE = "completion bash > /etc/bash_completion.d/cognito-gateway"
_SHELLS = ("bash", "zsh", "fish")


def add_flags(parser: Parser) -> None:
    parser.add_argument("shell", choices=_SHELLS, metavar="|".join(_SHELLS))


def run(arguments: argparse.Namespace, _: Environ) -> int:
    """Print the script for this shell; return 0."""
    import shtab

    line = CommandLine()
    for command in line.commands().values():
        for action in command.files:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks for it
    sys.stdout.write(shtab.complete(line.parser, arguments.shell) + "\n")
    return 0
