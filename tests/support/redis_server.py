"""A real redis-server on its own loopback port, which can be killed, paused and restarted."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.redis.redis_client import Redis
from tests.support.ports import free_port

PROGRAM = shutil.which("redis-server")


class RedisServer:
    """Without persistence: its data ends with it."""

    def __init__(self, folder: Path, *, password: str | None = None, arguments: tuple[str, ...] = ()) -> None:
        self.port = free_port()
        self._folder = folder
        self._password = password
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        credentials = f":{self._password}@" if self._password else ""
        return f"redis://{credentials}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it on the same port as before; returns once it answers."""
        assert PROGRAM is not None
        command = [
            PROGRAM,
            "--bind",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        command += ["--dir", str(self._folder), "--loglevel", "warning", *self._arguments]
        if self._password:
            command += ["--requirepass", self._password]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, f"redis-server ended with {self._process.returncode}"
            assert time.monotonic() < until, "redis-server does not answer"
            time.sleep(0.01)

    def ask(self, line: str) -> bytes:
        """Return the first bytes of the answer to one inline command."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as sock:
            if self._password:
                sock.sendall(f"AUTH {self._password}\r\n".encode())
                assert sock.recv(64) == b"+OK\r\n"
            sock.sendall(f"{line}\r\n".encode())
            return sock.recv(65536)

    def _answers(self) -> bool:
        try:
            return self.ask("PING") == b"+PONG\r\n"
        except OSError:
            return False

    def kill(self) -> None:
        """Kill it, as in a crash."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        self.kill()
        self.start()

    def leave(self) -> None:
        """Shut it down with its data on disk: until `start`, connections to it are refused."""
        assert self._process is not None
        process, self._process = self._process, None
        # Redis closes the connection instead of answering.
        with contextlib.suppress(OSError):
            self.ask("SHUTDOWN SAVE")
        assert process.wait(60) == 0

    def pause(self) -> None:
        """Stop the process: it accepts connections and does not answer."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        # The signal is asynchronous: on another CPU the process may still answer meanwhile.
        stat = Path(f"/proc/{self._process.pid}/stat")
        while stat.read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.001)

    def resume(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(how)
            process.wait(60)


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Change the default time the gateway in this process waits for Redis.

    The usual 0.2 s suit a request; a busy test machine may pause for longer, and Redis would count as down.
    """
    defaults = Redis.__init__.__kwdefaults__
    assert defaults is not None
    before = defaults["timeout"]
    defaults["timeout"] = seconds
    try:
        yield
    finally:
        defaults["timeout"] = before


@contextmanager
def redis_server(
    folder: Path, *, password: str | None = None, arguments: tuple[str, ...] = ()
) -> Iterator[RedisServer]:
    """Run a redis-server; without the program the test is skipped, or fails if CI is set."""
    if PROGRAM is None:
        message = "redis-server is not installed: apt-get install redis-server"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    server = RedisServer(folder, password=password, arguments=arguments)
    server.start()
    try:
        with patience(20.0):
            yield server
    finally:
        server.kill()
