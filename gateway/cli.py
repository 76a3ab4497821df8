"""The console script: argv in, exit code out; the only code that reads the environment and argv.

Exit codes: 0 success, 1 failure or invalid input, 2 wrong usage. An error that a user can cause is one
sentence on stderr, never a traceback. The commands are listed in gateway/commands/registry.py.
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
# Replacements for streams that were closed. Stdout is opened for reading, so that writing to it fails: a
# command must not lose its output and report success.
_CLOSED = (("stdin", os.O_RDONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
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
    except SystemExit as exited:  # argparse: --help (0) or wrong usage (2), already printed
        return exited.code if isinstance(exited.code, int) else 2
    try:
        code: int = arguments.run(arguments, os.environ)
        sys.stdout.flush()
    except ConfigurationError as error:
        return _fail(str(error))  # lines of FILE:LINE
    except GatewayError as error:
        return _fail(f"{NAME}: {error}")
    except SystemExit as exited:  # wrong usage that only the command can detect (Parser.error)
        return exited.code if isinstance(exited.code, int) else 2
    except KeyboardInterrupt:
        # End the line of a password prompt, which had no echo, before the shell's prompt.
        sys.stderr.write("\n" * sys.stderr.isatty())
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has closed the pipe.
        _let_go()
        return 1
    except OSError as error:
        if error.errno == errno.EBADF and "stdout" in closed:
            return _fail(f"{NAME}: standard output is closed: redirect it to a file or /dev/null")
        # The system's errors (no space, no permission, port in use) are the user's to fix, not bugs.
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{NAME}: {where}{system_said(error)}")
    return code


def _open_streams() -> set[str]:
    """Open those of stdin, stdout and stderr that were closed (`2>&-`) on /dev/null; return their names.

    Otherwise the next file or socket would get their number: errors would go to stdout, where a token is
    expected, and libuv aborts the process.
    """
    closed = set()
    for name, flags, mode in _CLOSED:
        if getattr(sys, name) is None:
            closed.add(name)
            # The lowest free number, which is this stream's. Inheritable for workers.
            number = os.open(os.devnull, flags)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    return closed


def _let_go() -> None:
    """Redirect stdout to /dev/null, because Python flushes it again at exit, and would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(text: str) -> int:
    print(text, file=sys.stderr)
    return 1
