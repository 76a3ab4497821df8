"""A private container engine, and a base image built from Debian packages: no registry is needed.

The engine is in a temporary directory and removed with it, except for its iptables chains and bridge, which
any engine leaves behind.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.debian import make_debian
from tests.support.engines import find, missing

ROOT = Path(__file__).parents[2]
PROGRAMS = ("dockerd", "docker", "docker-compose", "mmdebstrap", "iptables")
BASE_IMAGE = "python:3.11-slim"
IMAGE = "cognito-gateway:local"
EMULATOR_IMAGE = "local-cognito:local"

# As in official images: `python` and `pip`, and pip may install anywhere.
_HOOKS = (
    'rm -f "$1"/usr/lib/python3.11/EXTERNALLY-MANAGED',
    'ln -s /usr/bin/python3 "$1"/usr/local/bin/python; ln -s /usr/bin/pip3 "$1"/usr/local/bin/pip',
)


def require_programs(*names: str) -> None:
    """Skip the test if they are missing; fail it in CI, where .ci/programs installs them."""
    gone = [name for name in names if find(name) is None]
    if not gone and os.geteuid() == 0:
        return
    missing(f"needs root and {', '.join(gone or names)}: apt-get install docker.io docker-compose mmdebstrap")


class Engine:
    """A running engine, used through its command-line client."""

    def __init__(self, directory: Path) -> None:
        self.host = f"unix://{directory}/docker.sock"
        self._environ = {**os.environ, "DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "0"}

    def run(self, *words: str | Path, seconds: float = 300, check: bool = True, **environ: str) -> str:
        """Return standard output. Raises AssertionError with both streams if the command fails."""
        done = subprocess.run(
            words,
            cwd=ROOT,
            env={**self._environ, **environ},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(
                f"{' '.join(map(str, words))}: {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done.stdout

    def docker(self, *words: str | Path, seconds: float = 300, check: bool = True) -> str:
        return self.run("docker", *words, seconds=seconds, check=check)

    def inspect(self, name: str) -> dict[str, object]:
        (found,) = json.loads(self.docker("inspect", name))
        assert isinstance(found, dict)
        return found

    def ready(self) -> bool:
        return bool(self.docker("version", "--format", "{{.Server.Version}}", check=False).strip())


@contextmanager
def running(directory: Path) -> Iterator[Engine]:
    """Run an engine with all its files under `directory`; a short path, since a socket's has at most 108
    bytes."""
    engine = Engine(directory)
    log = (directory / "dockerd.log").open("wb")
    process = subprocess.Popen(
        [
            *("dockerd", "-H", engine.host, "--pidfile", directory / "pid"),
            *("--data-root", directory / "data", "--exec-root", directory / "exec"),
        ],
        stdout=log,
        stderr=log,
        # Ctrl-C at the terminal is for pytest, which then stops the engine in order.
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 180
        while not engine.ready():
            assert process.poll() is None, (directory / "dockerd.log").read_text()[-3000:]
            assert time.monotonic() < until, "the engine was not ready within 180 s"
            time.sleep(0.2)
        yield engine
    finally:
        process.terminate()
        process.wait(180)
        log.close()
        # It leaves its network mounted, and a folder with a mount in it cannot be removed.
        for left in (directory / "exec" / "netns").glob("*"):
            subprocess.run(["umount", left], check=True)


def make_base_image(engine: Engine, directory: Path) -> None:
    archive = directory / "base.tar"
    make_debian(archive, ("python3", "python3-pip", "python3-venv", "ca-certificates"), _HOOKS)
    engine.docker("import", archive, BASE_IMAGE, seconds=300)
    archive.unlink()
