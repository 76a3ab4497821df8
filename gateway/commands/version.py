"""The `version` command: prints the versions for a bug report."""

from __future__ import annotations

import argparse
from importlib.metadata import version

from gateway.commands.support.flag_parser import Parser
from gateway.commands.support.flags import NAME, Environ
from gateway.version import PYTHON, VERSION

EXAMPLE = "version"


def add_flags(_: Parser) -> None:
    """Add nothing: the command has no flags."""


def run(_: argparse.Namespace, __: Environ) -> int:
    """Print the versions; return 0."""
    print(f"{NAME} {VERSION}\nPython {PYTHON}\naiohttp {version('aiohttp')}")
    return 0
