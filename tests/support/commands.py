"""Our commands, each in a process forked from one that has imported everything.

Starting Python and importing boto3 costs half a second of CPU each time. Tests about the start itself
(imports, closed streams, signals) belong to tests/commands/test_cli.py, which starts the script.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

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
    "gateway.tokens.explain",
)


def run(
    *arguments: str | Path, cwd: Path = ROOT, environ: Mapping[str, str], given: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command with exactly this environment; without `given` its standard input is empty."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "stdin").write_text(given or "", newline="")
        words = [*map(str, arguments)]
        code = _server().run({"words": words, "cwd": str(cwd), "environ": dict(environ), "folder": name})
        out, err = ((folder / stream).read_text() for stream in ("stdout", "stderr"))
    return subprocess.CompletedProcess(words, code, out, err)


def run_here(
    *arguments: str | Path, cwd: Path = ROOT, given: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command with the environment of the tests."""
    return run(*arguments, cwd=cwd, environ=os.environ, given=given)


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

    def run(self, job: Mapping[str, object]) -> int:
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
    """Fork a process for each job on standard input, and print its exit code."""
    from gateway.cli import main

    for name in PRELOADED:
        import_module(name)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(job)
            _end(main, job["words"])
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _end(main: Callable[[Sequence[str]], int], words: Sequence[str]) -> NoReturn:
    """End with the command's exit code; Python's own way to end takes a quarter of a second of CPU."""
    try:
        code = main(words)
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else exit_.code is not None
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _become(job: Mapping[str, object]) -> None:
    folder = Path(str(job["folder"]))
    environ = job["environ"]
    assert isinstance(environ, dict)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(str(job["cwd"]))
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        found = os.open(folder / name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT)
        os.dup2(found, number)
        os.close(found)
        setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))
