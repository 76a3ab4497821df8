"""The console: asks the user on the terminal, or reads answers line by line from standard input.

Invariant: prompts never go to standard output, a secret is not echoed, and an answer is never empty.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import sys
import termios
from collections.abc import Iterator, Sequence
from pathlib import Path

from gateway.errors import GatewayError, system_said

# Characters; Cognito's longest are tokens, of a few KB.
_LONGEST_SECRET = 65_536


class Console:
    """Reads standard input, a terminal or not. Error messages begin with `command`."""

    def __init__(self, command: str) -> None:
        self._command = command
        self.interactive = self._is_interactive()

    def _is_interactive(self) -> bool:
        return sys.stdin.isatty()

    def say(self, text: str) -> None:
        sys.stderr.write(text + "\n")

    def line(self, prompt: str, what: str) -> str:
        """Ask for a line; without a terminal there is no prompt. `what` names the answer in errors."""
        if self.interactive:
            sys.stderr.write(prompt)
            sys.stderr.flush()
        line = sys.stdin.readline().rstrip("\r\n")
        if not line:
            raise GatewayError(f"{self._command}: stdin has no {what}")
        return line

    def secret(self, prompt: str, what: str) -> str:
        if not self.interactive:
            return self.line("", what)
        try:
            return getpass.getpass(prompt, stream=sys.stderr)
        except EOFError:
            raise GatewayError(f"{self._command}: no {what} was entered") from None

    def choice(self, title: str, choices: Sequence[str]) -> str:
        """Return one of the choices, entered by number or name."""
        if self.interactive:
            self.say(title)
            for number, each in enumerate(choices, 1):
                self.say(f"  {number}  {each}")
        given = self.line("Which? ", f"choice of {', '.join(choices)}")
        if given.isdecimal() and 1 <= int(given) <= len(choices):
            return choices[int(given) - 1]
        if given in choices:
            return given
        raise GatewayError(
            f"{self._command}: invalid choice {given[:40]!r} (choose from {', '.join(choices)})"
        )


class TerminalConsole(Console):
    """Uses only the controlling terminal: for programs whose standard input belongs to another program.

    The AWS CLI runs `credential_process` with its own standard input, which may be the file of an upload, and
    shows our standard error only if we fail.
    """

    def __init__(self, command: str, *, waits_for: str) -> None:
        """`waits_for` is printed on standard error before the first question."""
        super().__init__(command)
        self._waits_for: str | None = waits_for

    def _is_interactive(self) -> bool:
        return True

    def say(self, text: str) -> None:
        with self._terminal() as terminal:
            os.write(terminal, f"{text}\n".encode())

    def line(self, prompt: str, what: str) -> str:
        return self._ask(prompt, what, echo=True)

    def secret(self, prompt: str, what: str) -> str:
        return self._ask(prompt, what, echo=False)

    def _ask(self, prompt: str, what: str, *, echo: bool) -> str:
        with self._terminal() as terminal:
            # The prompt after the flush, so that an answer to the prompt is not flushed.
            with _echo(terminal, on=echo):
                os.write(terminal, prompt.encode())
                typed = _read_line(terminal)
            if not echo:
                os.write(terminal, b"\n")
        try:
            line = typed.decode("utf-8")
        except UnicodeDecodeError:
            raise GatewayError(f"{self._command}: the {what} is not UTF-8 text") from None
        if not line:
            raise GatewayError(f"{self._command}: no {what} was entered")
        return line

    @contextlib.contextmanager
    def _terminal(self) -> Iterator[int]:
        try:
            terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            wanted = self._waits_for or "an answer"
            raise GatewayError(
                f"{self._command}: {wanted} is needed, but there is no terminal to ask on: run the same "
                "command once in a terminal with --cache, or pass --password-file"
            ) from None
        try:
            if self._waits_for is not None:
                sys.stderr.write(f"cognito-gateway: waiting at the terminal for {self._waits_for}\n")
                sys.stderr.flush()
                self._waits_for = None
            yield terminal
        finally:
            os.close(terminal)


@contextlib.contextmanager
def _echo(terminal: int, *, on: bool) -> Iterator[None]:
    """Set canonical mode, without echo for a secret; restore the settings afterwards."""
    before = termios.tcgetattr(terminal)
    wanted = termios.tcgetattr(terminal)
    wanted[3] |= termios.ICANON | termios.ISIG
    wanted[3] = wanted[3] | termios.ECHO if on else wanted[3] & ~termios.ECHO
    # TCSAFLUSH: what was typed before the question is not an answer to it.
    termios.tcsetattr(terminal, termios.TCSAFLUSH, wanted)
    try:
        yield
    finally:
        # Not TCSAFLUSH: the answer to the next question may already have been typed.
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _read_line(terminal: int) -> bytes:
    """Read a line. In canonical mode a read ends with the line, or returns nothing at Ctrl-D."""
    data = b""
    while not data.endswith(b"\n") and len(data) < _LONGEST_SECRET:
        piece = os.read(terminal, 4096)
        if not piece:
            break
        data += piece
    return data.rstrip(b"\r\n")


def first_line(path: Path, name: str) -> str:
    """Return the first line of a file with one secret; `name`: the flag or key that names the file."""
    try:
        # Bounded: it may be the wrong file, and endless.
        with path.open(encoding="utf-8") as file:
            text = file.readline(_LONGEST_SECRET + 1)
    except OSError as error:
        raise GatewayError(f"{name} {path}: cannot be read: {system_said(error)}") from error
    except UnicodeDecodeError as error:
        raise GatewayError(f"{name} {path}: is not UTF-8 text") from error
    line = text.removesuffix("\n")
    if len(line) > _LONGEST_SECRET:
        raise GatewayError(f"{name} {path}: the first line is longer than any password or token")
    if not line:
        raise GatewayError(f"{name} {path}: the first line is empty")
    return line
