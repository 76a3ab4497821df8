"""Asks whoever runs a command: on the terminal, or line by line from standard input.

Invariant: prompts go to stderr, a secret is not echoed, and an answer is never empty.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence
from pathlib import Path

from gateway.errors import GatewayError

# Characters; Cognito's longest are tokens, of some KB.
_LONGEST_SECRET = 65_536


class Console:
    """`command` stands before what goes wrong."""

    def __init__(self, command: str) -> None:
        self._command = command
        self.interactive = sys.stdin.isatty()

    def say(self, text: str) -> None:
        sys.stderr.write(text + "\n")

    def line(self, prompt: str, what: str) -> str:
        """`what` names the answer where there is none. Without a terminal there is no prompt."""
        if self.interactive:
            sys.stderr.write(prompt)
            sys.stderr.flush()
        line = sys.stdin.readline().rstrip("\r\n")
        if not line:
            raise GatewayError(f"{self._command}: stdin holds no {what}")
        return line

    def secret(self, prompt: str, what: str) -> str:
        if not self.interactive:
            return self.line("", what)
        try:
            return getpass.getpass(prompt, stream=sys.stderr)
        except EOFError:
            raise GatewayError(f"{self._command}: no {what} was given") from None

    def choice(self, title: str, choices: Sequence[str]) -> str:
        """One of these, by its number or its name."""
        if self.interactive:
            self.say(title)
            for number, each in enumerate(choices, 1):
                self.say(f"  {number}  {each}")
        given = self.line("Which? ", f"choice of {', '.join(choices)}")
        if given.isdecimal() and 1 <= int(given) <= len(choices):
            return choices[int(given) - 1]
        if given in choices:
            return given
        raise GatewayError(f"{self._command}: {given[:40]!r} is none of {', '.join(choices)}")


def first_line(path: Path, name: str) -> str:
    """Of a file that holds one secret; `name` is the flag or key that names it."""
    try:
        # No more than that: it may be the wrong file, and that may have no end.
        with path.open(encoding="utf-8") as file:
            text = file.readline(_LONGEST_SECRET + 1)
    except OSError as error:
        raise GatewayError(f"{name} {path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise GatewayError(f"{name} {path}: is not UTF-8 text") from error
    line = text.removesuffix("\n")
    if len(line) > _LONGEST_SECRET:
        raise GatewayError(f"{name} {path}: the first line is longer than any password or token")
    if not line:
        raise GatewayError(f"{name} {path}: the first line is empty")
    return line
