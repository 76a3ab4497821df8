"""A bare Debian with what README has people install, and a clone of this checkout.

`make test` runs there by hand, several times, beside processes that keep the processors busy:

    python -m tests.support.bare_machine --runs 3 --beside 2

It needs root and mmdebstrap. The tests are those of the last commit.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.debian import Machine
from tests.support.page_commands import commands_of
from tests.support.programs import ROOT

INSTALL, CLONE, ENTER = commands_of(ROOT / "README.md")[:3]
HERE = f"/root/{ENTER.split()[1]}"
BUSY = (sys.executable, "-c", "while True: pass")


@contextlib.contextmanager
def bare_machine() -> Iterator[Machine]:
    """Create the machine, and remove it at the end. README's `git clone` gets this checkout's last commit."""
    directory = Path(tempfile.mkdtemp(prefix="bare-", dir="/tmp"))
    try:
        # git and curl recommend the certificates, which apt-get then installs as well.
        packages = [word for word in INSTALL.split()[2:] if not word.startswith("-")]
        machine = Machine(directory / "root", [*packages, "ca-certificates"])
        source = CLONE.split()[-1]
        # Somebody else may own the checkout.
        trusting = directory / "gitconfig"
        trusting.write_text("[safe]\n  directory = *\n")
        clone: list[str | Path] = ["git", "clone", "-q", "--bare", "--depth", "1", f"file://{ROOT}"]
        subprocess.run(
            [*clone, directory / "root/srv/clone.git"],
            env={**os.environ, "GIT_CONFIG_GLOBAL": str(trusting)},
            check=True,
            timeout=300,
        )
        (directory / "root/root/.gitconfig").write_text(
            f'[url "file:///srv/clone.git"]\n  insteadOf = {source}\n'
        )
        machine.run(CLONE)
        yield machine
    finally:
        shutil.rmtree(directory)


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep as many processors busy."""
    loops = [subprocess.Popen(BUSY) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def timed(machine: Machine, script: str, output: Path) -> tuple[int, float]:
    """Run a command there, with its output in a file; return its exit code and its seconds."""
    begun = time.monotonic()
    with output.open("wb") as file:
        done = subprocess.run(
            machine.command(script, cwd=HERE),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    return done.returncode, time.monotonic() - begun


def main(argv: Sequence[str]) -> int:
    """Print each run's result and duration; return 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.bare_machine", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="how many times (default: 3)")
    parser.add_argument("--beside", type=int, default=2, help="busy loops beside it (default: 2)")
    parser.add_argument(
        "--args", default="", help="ARGS of make test, e.g. tests/policy (default: all tests)"
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "build/bare-machine", help="for what make prints"
    )
    given = parser.parse_args(argv)
    given.output.mkdir(parents=True, exist_ok=True)
    test = f"make test ARGS={shlex.quote(given.args)}"
    steps = [("install", "make .venv/.test"), *((f"run-{n}", test) for n in range(1, given.runs + 1))]
    failed = 0
    with bare_machine() as machine:
        for name, script in steps:
            output = given.output / f"{name}.txt"
            with busy(0 if name == "install" else given.beside):
                code, seconds = timed(machine, script, output)
            lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
            said = lines[-1].strip("= ") if lines else ""
            passed = f"failed with {code}, see {output}" if code else "passed"
            print(f"{name}: {passed}, {seconds // 60:.0f}:{seconds % 60:02.0f}  {said}", flush=True)
            failed += code != 0
            if failed and name == "install":
                break
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
