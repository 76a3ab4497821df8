"""Processes of a run: start, wait, end.

Invariant: closing a `Process` ends it and its children; an interrupted run leaves neither processes nor files
behind. Only processes started here are signalled.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

# Long enough to drain requests in flight, short enough after a Ctrl-C.
STOP_SECONDS = 5.0
# A killed orphan disappears within milliseconds.
ORPHAN_SECONDS = 0.5

_handed_out: set[int] = set()


class BenchError(Exception):
    """The benchmark cannot continue; the message is for the user."""


def free_port() -> int:
    """Return a free loopback port, never the same twice in one run."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in _handed_out:
            _handed_out.add(port)
            return port


def split_cpus(available: Sequence[int]) -> tuple[frozenset[int], frozenset[int]]:
    """Return the proxy's CPU and the other CPUs. A single CPU is shared, and figures mean less."""
    if len(available) == 1:
        return frozenset(available), frozenset(available)
    ordered = sorted(available)
    return frozenset(ordered[-1:]), frozenset(ordered[:-1])


@contextlib.contextmanager
def on_cpus(cpus: frozenset[int]) -> Iterator[None]:
    """Start children on these CPUs during the block; the calling thread's own are restored."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def which(name: str) -> str | None:
    """Find a program on PATH and in Debian's sbin directories."""
    return shutil.which(name, path=os.pathsep.join([*os.get_exec_path(), "/usr/sbin", "/usr/local/sbin"]))


class Process:
    """One foreground process in its own session, with its output in a file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        cpus: frozenset[int],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output, on_cpus(cpus):
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def running(self) -> bool:
        return self._popen.poll() is None

    def wait_until(self, ready: Callable[[], bool], *, seconds: float = 120.0, pause: float = 0.002) -> None:
        """Wait for `ready()`. Raises BenchError if the process ends first or time runs out."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running():
                raise BenchError(f"{self.name} ended at start: {self.tail()}")
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name} was not ready within {seconds:g} s: {self.tail()}")
            time.sleep(pause)

    def tail(self, characters: int = 400) -> str:
        """Return the end of its output, for an error message."""
        text = self.log.read_text(errors="replace").strip()
        return text[-characters:] or "no output"

    def close(self) -> None:
        """Send SIGTERM, then SIGKILL to its whole session, so that no child outlives it."""
        if self.running():
            self._popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(STOP_SECONDS)
        # All processes of the session are ours: the group ID is that of the process started above.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait()
            # Its children die a moment later and are not ours to wait for; a zombie that nobody reaps (a
            # container without an init) stays in the group, hence the limit.
            deadline = time.monotonic() + ORPHAN_SECONDS
            while time.monotonic() < deadline:
                os.killpg(self._popen.pid, 0)
                time.sleep(0.005)
        self._popen.wait()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def communicate(process: subprocess.Popen[str], seconds: float) -> tuple[str, str]:
    """Return its output until its end. Raises BenchError, and kills it, if it is late."""
    try:
        return process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"the load generator did not end within {seconds:g} s") from error
    finally:
        if process.poll() is None:
            process.kill()
            # This also closes the pipes.
            process.communicate()


def fetch(
    port: int, path: str, headers: Mapping[str, str] | None = None, *, timeout: float = 5.0
) -> tuple[int, bytes]:
    """Send one GET on a new loopback connection; return status and body. Raises OSError or HTTPException."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def answers(port: int, path: str, headers: Mapping[str, str] | None = None, *, status: int = 200) -> bool:
    """Return whether a GET gets this status now."""
    try:
        return fetch(port, path, headers)[0] == status
    except (OSError, http.client.HTTPException):
        return False
