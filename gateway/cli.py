"""The console script: argv in, exit code out; the only reader of the environment and of argv.

0: done, 1: it failed or the input is invalid, 2: wrong usage. What a user can cause ends in one sentence on
stderr, never in a traceback. The commands are those of gateway/commands/.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from gateway.commands import pools, serving, tokens
from gateway.commands.adding import NAME, Commands, Run
from gateway.errors import ConfigurationError, GatewayError
from gateway.version import VERSION

# 128 + SIGINT, as shells report it.
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as exited:  # argparse: --help (0) or wrong usage (2), said already
        return exited.code if isinstance(exited.code, int) else 2
    command: Run = arguments.command
    try:
        code = command(arguments, os.environ)
        sys.stdout.flush()
    except ConfigurationError as error:
        return _fail(str(error))  # lines of FILE:LINE
    except GatewayError as error:
        return _fail(f"{NAME}: {error}")
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has enough. Python flushes stdout once more at exit: let it go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        # The machine's refusals (no space, no permission, port taken) are the user's to mend, not our bugs.
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{NAME}: {where}{(error.strerror or str(error)).lower()}")
    return code


def _fail(text: str) -> int:
    print(text, file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=NAME, description="Amazon Cognito in front of any HTTP API.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"{NAME} {VERSION}")
    commands = Commands(parser)
    serving.add(commands)
    tokens.add(commands)
    pools.add(commands)
    return parser
