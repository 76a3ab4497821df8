"""The base class of contestants: renders its configuration, starts, is checked, stops.

Invariant: only a process that has accepted the valid token and refused each of the bad ones is measured; a
proxy that skips a check would otherwise win by it.
"""

from __future__ import annotations

import http.client
import re
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bench import tokens, upstream
from bench.processes import BenchError, Process, answers, fetch


@dataclass(frozen=True, slots=True)
class Setup:
    """The parameters of a configuration: directory, ports, user pool."""

    directory: Path
    port: int
    probe_port: int
    upstream_port: int
    jwks_url: str
    public_key_file: Path
    issuer: str = tokens.ISSUER
    client_id: str = tokens.CLIENT_ID
    pool_id: str = tokens.POOL_ID
    # Paths that need a token, in order; none: all paths do, without a route.
    routes: tuple[str, ...] = ()
    # Another proxy asks for decisions and forwards requests itself (forward auth).
    asked: bool = False
    # Certificate and key in one file: TLS towards clients. None: plain HTTP.
    pem: Path | None = None


# Seconds in which a program says its version, also on a busy machine.
VERSION_SECONDS = 120

# The headers with which nginx names the original request.
ORIGINAL = {"X-Original-URL": upstream.PATH, "X-Original-Method": "GET"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class Contestant(ABC):
    """One proxy under test: a foreground process with one worker and its logs off."""

    name: ClassVar[str]
    title: ClassVar[str]
    # False for the baseline, which only relays.
    authenticates: ClassVar[bool] = True
    # False if keys are not fetched: there is none, or it is a file.
    fetches_keys: ClassVar[bool] = False
    # Faults of a token (as named by Mint.hostile) that it cannot check; shown in the report.
    cannot_check: ClassVar[frozenset[str]] = frozenset()
    # The path of its decisions for other proxies; None if it makes none.
    decision_path: ClassVar[str | None] = None
    # The status of a positive decision.
    decision_status: ClassVar[int] = 200

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._process: Process | None = None

    @classmethod
    @abstractmethod
    def missing(cls) -> str | None:
        """Return why it cannot run on this machine; None if it can."""

    @abstractmethod
    def render(self) -> Mapping[str, str]:
        """Return its configuration: file name → content. Pure."""

    @abstractmethod
    def command(self) -> Sequence[str]: ...

    @classmethod
    @abstractmethod
    def version_command(cls) -> Sequence[str]: ...

    @classmethod
    def version(cls) -> str:
        """Return the first version number in its output; empty if there is none."""
        found = re.search(r"\d+\.\d+[0-9A-Za-z.]*", cls.said_version())
        return found.group() if found else ""

    @classmethod
    def said_version(cls) -> str:
        """Return what it prints about its version."""
        said = subprocess.run(
            cls.version_command(), capture_output=True, text=True, timeout=VERSION_SECONDS, check=False
        )
        return said.stdout + said.stderr

    @property
    def pid(self) -> int:
        if self._process is None:
            raise BenchError(f"{self.name} is not running")
        return self._process.pid

    @property
    def decides(self) -> bool:
        """Whether it is asked for decisions, and makes them."""
        return self.setup.asked and self.decision_path is not None

    @property
    def allowed(self) -> int:
        """Its status for an allowed request."""
        return self.decision_status if self.decides else 200

    def target(self) -> str:
        return self.decision_path if self.decides and self.decision_path else upstream.PATH

    def naming(self) -> dict[str, str]:
        """Return the headers that name the request to decide about."""
        return dict(ORIGINAL) if self.decides else {}

    def start(self, cpus: frozenset[int]) -> None:
        """Start it without waiting; `wait_ready` waits. Raises BenchError if it cannot be executed."""
        directory = self.setup.directory
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in self.render().items():
            (directory / name).write_text(content)
        try:
            self._process = Process(self.name, self.command(), cpus=cpus, log=directory / "log")
        except OSError as error:
            raise BenchError(f"cannot start {self.name}: {error}") from error

    def ready(self, token: str) -> bool:
        """Return whether it reports to be ready; by default, whether it serves."""
        return self.serves(token)

    def serves(self, token: str) -> bool:
        return answers(self.setup.port, self.target(), bearer(token) | self.naming(), status=self.allowed)

    def wait_ready(self, token: str) -> None:
        assert self._process is not None
        self._process.wait_until(lambda: self.ready(token))

    def wait_serving(self, token: str) -> None:
        assert self._process is not None
        self._process.wait_until(lambda: self.serves(token))

    def check(self, mint: tokens.Mint) -> list[str]:
        """Return what it does wrong, a phrase each; empty if it may be measured."""
        try:
            return self._check(mint)
        except (OSError, http.client.HTTPException) as error:
            return [f"no answer: {error!r}"]

    def _check(self, mint: tokens.Mint) -> list[str]:
        wrong = []
        path, naming = self.target(), self.naming()
        status, body = fetch(self.setup.port, path, bearer(mint.valid()) | naming)
        if (status, body) != (self.allowed, b"" if self.decides else upstream.body()):
            wrong.append(f"a valid token got {status} and {len(body)} bytes")
        if not self.authenticates:
            return wrong
        status, _ = fetch(self.setup.port, path, naming)
        if status != 401:
            wrong.append(f"no token got {status}")
        for fault, token in mint.hostile().items():
            if fault in self.cannot_check:
                continue
            status, _ = fetch(self.setup.port, path, bearer(token) | naming)
            if status not in (401, 403):
                wrong.append(f"{fault} got {status}")
        return wrong

    def last_words(self) -> str:
        return "" if self._process is None else self._process.tail()

    def stop(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None
