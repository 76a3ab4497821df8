"""The `config-schema` command: prints the JSON Schema of the configuration, for editors."""

from __future__ import annotations

import argparse

from gateway.commands.support.flag_parser import Parser
from gateway.commands.support.flags import Environ

EXAMPLE = "config-schema > gateway.schema.json"


def add_flags(_: Parser) -> None:
    """Add nothing: the command has no flags."""


def run(_: argparse.Namespace, __: Environ) -> int:
    """Print the schema; return 0."""
    from gateway.config.generate import schema_text

    print(schema_text(), end="")
    return 0
