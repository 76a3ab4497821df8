"""Starting, watching and ending the processes of a run.

Invariant: whatever is started here is ended, with its children, when the `Process` is closed; a run that is
interrupted leaves neither processes nor files behind. Only processes started here are ever signalled.
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

# Long enough for a drain that finishes what is in flight, short enough for somebody who pressed Ctrl-C.
STOP_SECONDS = 5.0
# What a killed orphan needs to disappear is milliseconds.
ORPHAN_SECONDS = 0.5

_handed_out: set[int] = set()


class BenchError(Exception):
    """The benchmark cannot go on: one sentence for the user."""


def free_port() -> int:
    """A loopback port nobody listens on, never the same twice in one run."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in _handed_out:
            _handed_out.add(port)
            return port


def split_cpus(available: Sequence[int]) -> tuple[frozenset[int], frozenset[int]]:
    """(the proxy's CPU, everything else's). On a single CPU they share, and figures mean less."""
    if len(available) == 1:
        return frozenset(available), frozenset(available)
    ordered = sorted(available)
    return frozenset(ordered[-1:]), frozenset(ordered[:-1])


@contextlib.contextmanager
def on_cpus(cpus: frozenset[int]) -> Iterator[None]:
    """Children started inside inherit these CPUs; the calling thread gets its own back."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def which(name: str) -> str | None:
    """Like the shell, with the sbin directories where Debian puts servers and a user's PATH does not look."""
    return shutil.which(name, path=os.pathsep.join([*os.get_exec_path(), "/usr/sbin", "/usr/local/sbin"]))


class Process:
    """One foreground process in its own session, its output in a file."""

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

    def wait_until(self, ready: Callable[[], bool], *, seconds: float = 60.0, pause: float = 0.002) -> None:
        """Returns as soon as `ready()`; raises BenchError when the process ends first or the time is over."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running():
                raise BenchError(f"{self.name} ended at start: {self.tail()}")
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name} was not ready within {seconds:g} s: {self.tail()}")
            time.sleep(pause)

    def tail(self, characters: int = 400) -> str:
        """The end of what it said, for an error message."""
        text = self.log.read_text(errors="replace").strip()
        return text[-characters:] or "it said nothing"

    def close(self) -> None:
        """SIGTERM, then SIGKILL to its whole session, so that no child outlives it."""
        if self.running():
            self._popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(STOP_SECONDS)
        # The session's processes are all ours: the group's id is that of the process started above.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait()
            # Its children die a moment later and are not ours to wait for; a zombie that nobody collects
            # (a container without an init) stays in the group, hence the bound.
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
    """What it wrote to stdout and stderr until its end. Raises BenchError, and kills it, when late."""
    try:
        return process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"the load generator did not end within {seconds:g} s") from error
    finally:
        if process.poll() is None:
            process.kill()
            # Closes the pipes, too.
            process.communicate()


def fetch(
    port: int, path: str, headers: Mapping[str, str] | None = None, *, timeout: float = 5.0
) -> tuple[int, bytes]:
    """One GET on a fresh loopback connection: status and body. Raises OSError or HTTPException."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def answers(port: int, path: str, headers: Mapping[str, str] | None = None, *, status: int = 200) -> bool:
    """Whether a GET brings this status now."""
    try:
        return fetch(port, path, headers)[0] == status
    except (OSError, http.client.HTTPException):
        return False
