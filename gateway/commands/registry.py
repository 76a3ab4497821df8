"""The commands with one line about each: `--help` prints them without importing any."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType

from gateway.commands.support.flag_parser import Parser, closest
from gateway.commands.support.flags import NAME
from gateway.version import DOCUMENTATION, VERSION

# In the order of the help. The module has the command's name, with _ for -.
COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "serve": "run the gateway",
        "check-config": "report every mistake in a configuration as FILE:LINE: key.path: what is wrong",
        "config-schema": "print the JSON Schema of the configuration",
        "demo": "run local Cognito, a sample API and the gateway on loopback",
        "local-cognito": "run the local Cognito alone",
        "token": "sign in and print the access token",
        "credentials": "exchange a user's ID token at the identity pool for temporary AWS credentials",
        "explain": "show every check of a token, and why it passes or fails",
        "setup": "create the user pool, app client and identity pool, or complete existing ones",
        "doctor": "compare the configuration with the actual pool, client, keys, clock and upstream",
        "sign-up": "turn self-service sign-up of the user pool on or off",
        "help": "explain a command, as --help does",
        "completion": "print the completion script for a shell",
        "version": "print the versions of the gateway, Python and aiohttp",
    }
)


class CommandLine:
    """The parser of argv: it knows all commands' names, and loads the flags of a command on demand."""

    def __init__(self) -> None:
        self.parser = Parser(
            prog=NAME,
            description="Amazon Cognito in front of any HTTP API.",
            epilog=f"'{NAME} help COMMAND' explains one command.\nDocumentation: {DOCUMENTATION}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.parser.add_argument(
            "-V", "--version", action="version", version=VERSION, help="the same as version"
        )
        added = self.parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)
        self._parsers: dict[str, Parser] = {
            name: added.add_parser(name, help=does) for name, does in COMMANDS.items()
        }

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Return the arguments, with the command's function as `run`.

        Raises SystemExit: --help (0) or wrong usage (2), already printed.
        """
        name = next((word for word in words if not word.startswith("-")), None)
        if name is not None:
            self.command(name)
        arguments = self.parser.parse_args(words)
        if name is None:
            self.parser.error("no command")
        return arguments

    def command(self, name: str) -> Parser:
        """Return the parser of one command, with its flags. Raises SystemExit (2) if there is none."""
        if name not in self._parsers:
            close = closest(name, self._parsers)
            self.parser.error(f"unknown command: {name}" + (f" (did you mean {close}?)" if close else ""))
        parser = self._parsers[name]
        if parser.get_default("run") is None:
            module = import_module(f"{__package__}.{name.replace('-', '_')}")
            does = COMMANDS[name]
            parser.description = f"{does[0].upper()}{does[1:]}."
            parser.epilog = f"example:\n  {NAME} {module.EXAMPLE}"
            parser.formatter_class = argparse.RawDescriptionHelpFormatter
            module.add_flags(parser)
            parser.set_defaults(run=module.run)
        return parser

    def commands(self) -> Mapping[str, Parser]:
        """Return the parsers of all commands, with their flags."""
        return {name: self.command(name) for name in self._parsers}
