"""help, completion and version: what the program says about itself."""

# ruff: noqa: PLC0415 - commands import what they need when they run

from __future__ import annotations

import argparse
import sys

from gateway.commands.adding import NAME, Commands, Environ
from gateway.commands.flag_parser import Parser, closest
from gateway.version import PYTHON, VERSION

_SHELLS = ("bash", "zsh", "fish")


def add(commands: Commands, parser: Parser) -> None:
    """Add the commands; `parser` is the one they are all in."""
    asked = commands.add(
        "help",
        lambda arguments, _: _help(arguments.about, commands, parser),
        "explain a command, as --help does",
        "help serve",
    )
    asked.add_argument("about", nargs="?", metavar="COMMAND")
    completion = commands.add(
        "completion",
        lambda arguments, _: _completion(arguments.shell, commands, parser),
        "print the completion script for a shell",
        "completion bash > /etc/bash_completion.d/cognito-gateway",
    )
    completion.add_argument("shell", choices=_SHELLS, metavar="|".join(_SHELLS))
    commands.add("version", _version, "print the versions of the gateway, Python and aiohttp", "version")


def _help(about: str | None, commands: Commands, parser: Parser) -> int:
    if about is None:
        parser.print_help()
        return 0
    if about not in commands.parsers:
        close = closest(about, commands.parsers)
        parser.error(f"unknown command: {about}" + (f" (did you mean {close}?)" if close else ""))
    commands.parsers[about].print_help()
    return 0


def _completion(shell: str, commands: Commands, parser: Parser) -> int:
    import shtab

    for each in commands.parsers.values():
        for action in each.files:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks for it
    sys.stdout.write(shtab.complete(parser, shell) + "\n")
    return 0


def _version(_: argparse.Namespace, __: Environ) -> int:
    from importlib.metadata import version

    print(f"{NAME} {VERSION}\nPython {PYTHON}\naiohttp {version('aiohttp')}")
    return 0
