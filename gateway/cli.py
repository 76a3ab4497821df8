"""The console script: argv in, exit code out; the only reader of the environment and of argv.

0: done, 1: it failed or the input is invalid, 2: wrong usage. What a user can cause ends in one sentence on
stderr, never in a traceback. The commands are those of gateway/commands/registry.py.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

from gateway.commands.registry import CommandLine
from gateway.commands.support.flags import NAME
from gateway.errors import ConfigurationError, GatewayError, system_said
from gateway.terminal import show_in_its_encoding

# 128 + SIGINT, as shells report it.
_INTERRUPTED = 130
# What is opened in place of a stream that was closed. Stdout so that writing fails: what a command has to say
# must not get lost and be called done.
_CLOSED = (("stdin", os.O_RDONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w"))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    closed = _open_streams()
    for stream in (sys.stdout, sys.stderr):
        show_in_its_encoding(stream)
    code = _run(argv, closed)
    if "stdout" in closed:
        _let_go()
    return code


def _run(argv: Sequence[str] | None, closed: set[str]) -> int:
    words = sys.argv[1:] if argv is None else argv
    line = CommandLine()
    if not words:
        line.parser.print_help(sys.stderr)
        return 2
    if list(words) in (["-V"], ["--version"]):
        words = ["version"]
    try:
        arguments = line.parse(words)
    except SystemExit as exited:  # argparse: --help (0) or wrong usage (2), said already
        return exited.code if isinstance(exited.code, int) else 2
    try:
        code: int = arguments.run(arguments, os.environ)
        sys.stdout.flush()
    except ConfigurationError as error:
        return _fail(str(error))  # lines of FILE:LINE
    except GatewayError as error:
        return _fail(f"{NAME}: {error}")
    except SystemExit as exited:  # wrong usage that only the command could see (Parser.error)
        return exited.code if isinstance(exited.code, int) else 2
    except KeyboardInterrupt:
        # On a terminal what the shell writes next begins a line: no echo ended that of a password's prompt.
        sys.stderr.write("\n" * sys.stderr.isatty())
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has enough.
        _let_go()
        return 1
    except OSError as error:
        if error.errno == errno.EBADF and "stdout" in closed:
            return _fail(f"{NAME}: standard output is closed: lead it into a file, or to /dev/null")
        # The machine's refusals (no space, no permission, port taken) are the user's to fix, not our bugs.
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{NAME}: {where}{system_said(error)}")
    return code


def _open_streams() -> set[str]:
    """Open what of stdin, stdout and stderr was closed (`2>&-`) on /dev/null, and name it.

    The next file or socket would get the number otherwise: errors would go to stdout, where a token is
    expected, and libuv ends the process over it.
    """
    closed = set()
    for name, flags, mode in _CLOSED:
        if getattr(sys, name) is None:
            closed.add(name)
            # The lowest free number, which is this stream's own. For workers as well.
            number = os.open(os.devnull, flags)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    return closed


def _let_go() -> None:
    """Python flushes stdout once more at exit, and complains: let it go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(text: str) -> int:
    print(text, file=sys.stderr)
    return 1
