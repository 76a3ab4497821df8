"""Our commands, each in a process forked from one that has imported everything.

Starting Python and importing boto3 or the gateway costs half a second of CPU each time. Tests about the start
itself (imports, closed streams, signals) belong to tests/commands/test_cli.py, which starts the script.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tests.support.waiting import readable

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[2]
PRELOADED = (
    "boto3",
    "botocore.session",
    "encodings.idna",
    "gateway.aws.clients",
    "gateway.aws.renewal",
    "gateway.aws.user_pool",
    "gateway.commands.checkup.look",
    "gateway.commands.credentials",
    "gateway.commands.doctor",
    "gateway.commands.explain",
    "gateway.commands.setup",
    "gateway.commands.sign_up",
    "gateway.commands.support.unsealing",
    "gateway.commands.token",
    "gateway.config.load",
    "gateway.gate.dry_run",
    "gateway.serve.reload",
    "gateway.serve.run",
    "gateway.serve.supervisor",
    "gateway.serve.worker",
    "gateway.tokens.explain",
)


# What Python reads of the environment only when it starts.
_AT_START = ("PYTHON", "LANG", "LC_", "TZ")
_running: list[pytest.Item] = []


def begins(item: pytest.Item) -> None:
    """Remember the running test (tests/conftest.py calls this)."""
    _running[:] = [item]


def forks(environ: Mapping[str, str]) -> bool:
    """Whether a forked process is like one that starts with this environment.

    Not for slow tests: they measure memory and time.
    """
    ours, theirs = (
        {name: value for name, value in each.items() if name.startswith(_AT_START)}
        for each in (os.environ, environ)
    )
    return ours == theirs and not any(item.get_closest_marker("slow") for item in _running)


def run(
    *arguments: str | Path, cwd: Path = ROOT, environ: Mapping[str, str], given: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command with exactly this environment; without `given` its standard input is empty."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "stdin").write_text(given or "", newline="")
        words = [*map(str, arguments)]
        streams = [str(folder / stream) for stream in ("stdin", "stdout", "stderr")]
        job = {"words": words, "cwd": str(cwd), "environ": dict(environ), "streams": streams}
        code = _server().ask({**job, "ended": None})
        out, err = ((folder / stream).read_text() for stream in ("stdout", "stderr"))
    return subprocess.CompletedProcess(words, code, out, err)


def run_here(
    *arguments: str | Path, cwd: Path = ROOT, given: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command with the environment of the tests."""
    return run(*arguments, cwd=cwd, environ=os.environ, given=given)


class Forked:
    """A command that goes on, in its own session; with the methods of subprocess.Popen that tests need."""

    def __init__(
        self, words: Sequence[str | Path], *, cwd: Path, environ: Mapping[str, str], out: Path, err: Path
    ) -> None:
        self.args = [*map(str, words)]
        self._ended = out.with_name(f"{out.name}.ended")
        self._ended.unlink(missing_ok=True)
        streams = [os.devnull, str(out), str(err)]
        job = {"words": self.args, "cwd": str(cwd), "environ": dict(environ), "streams": streams}
        self.pid = _server().ask({**job, "ended": str(self._ended)})
        self.returncode: int | None = None
        try:
            self._process: int | None = os.pidfd_open(self.pid)
        except ProcessLookupError:
            self._process = None

    def poll(self) -> int | None:
        """Return the exit code, as Popen does; None while it runs."""
        with contextlib.suppress(FileNotFoundError):
            self.returncode = int(self._ended.read_text())
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait until it has ended; return its exit code. Raises subprocess.TimeoutExpired."""
        if self._process is not None:
            if not readable(self._process, timeout):
                raise subprocess.TimeoutExpired(self.args, timeout)
            os.close(self._process)
            self._process = None
        # Its parent is about to write the code.
        while (code := self.poll()) is None:
            time.sleep(0.001)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


class _Server:
    def __init__(self) -> None:
        self.pid = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import serve; serve()"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self.stop)

    def ask(self, job: Mapping[str, object]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        said = self._process.stdout.readline()
        assert said, "the process that forks commands has ended"
        return int(said)

    def stop(self) -> None:
        if self.pid == os.getpid():
            self._process.communicate(timeout=60)


_started: list[_Server] = []


def _server() -> _Server:
    if not _started:
        _started.append(_Server())
    return _started[0]


def serve() -> None:
    """Fork a process for each job on standard input, and print its exit code.

    Of a job that goes on it prints the process ID; another process waits and writes down how it ended.
    """
    from gateway.cli import main

    for name in PRELOADED:
        import_module(name)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if pid == 0 and job["ended"]:
            _watch(main, job)
        if pid == 0:
            _become(job)
            _end(main, job["words"])
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if not job["ended"]:
            print(code, flush=True)


def _watch(main: Callable[[Sequence[str]], int], job: Mapping[str, Any]) -> None:
    """Fork again: the parent ends, the child starts the job, says its ID, and writes down how it ended."""
    if os.fork():
        os._exit(0)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        _become(job)
        _end(main, job["words"])
    print(pid, flush=True)
    # The reader of the tests' output waits until every process that holds it has closed it.
    for number in range(3):
        os.close(number)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    ended = Path(job["ended"])
    ended.with_suffix(".new").write_text(str(code))
    ended.with_suffix(".new").rename(ended)
    os._exit(0)


def _end(main: Callable[[Sequence[str]], int], words: Sequence[str]) -> NoReturn:
    """End with the command's exit code; Python's own way to end takes a quarter of a second of CPU."""
    try:
        code = main(words)
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else exit_.code is not None
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _become(job: Mapping[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(job["environ"])
    os.chdir(job["cwd"])
    for number, (name, path) in enumerate(zip(("stdin", "stdout", "stderr"), job["streams"], strict=True)):
        found = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT)
        os.dup2(found, number)
        os.close(found)
        setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))
