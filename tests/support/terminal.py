"""A program at a terminal: its output, and the keys typed."""

from __future__ import annotations

import os
import pty
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.programs import environment
from tests.support.waiting import readable

_SECONDS = 90.0


class Terminal:
    """A context manager: the program is killed at its end unless it has ended."""

    def __init__(self, command: Sequence[str | Path], *, cwd: Path) -> None:
        words = [str(word) for word in command]
        environ = environment(TERM="xterm")
        self._said = b""
        self._code: int | None = None
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            try:
                os.chdir(cwd)
                os.execve(words[0], words, environ)
            finally:
                os._exit(127)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        # Closing the terminal sends SIGHUP.
        os.close(self._terminal)
        if self._code is None:
            os.kill(self._pid, 9)
            os.waitpid(self._pid, 0)

    def write(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def says(self, text: str) -> str:
        """Wait until its output contains the text; return the output."""
        until = time.monotonic() + _SECONDS
        while text.encode() not in self._said:
            if time.monotonic() > until or not self._read(until - time.monotonic()):
                raise AssertionError(f"no {text!r} in {self._said!r}")
        return self._said.decode()

    def rest(self) -> str:
        """Wait until it has ended; return its output."""
        until = time.monotonic() + _SECONDS
        while self._read(until - time.monotonic()):
            pass
        return self._said.decode()

    def code(self) -> int:
        """Wait for the exit code; negative for a signal."""
        _, status = os.waitpid(self._pid, 0)
        self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def _read(self, seconds: float) -> bool:
        if not readable(self._terminal, seconds):
            return False
        try:
            piece = os.read(self._terminal, 4096)
        except OSError:  # EIO: the other end is closed
            return False
        self._said += piece
        return bool(piece)
