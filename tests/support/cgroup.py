"""A memory cgroup for one test: a memory limit as for a container, its usage, and the kernel's kills.

Version 1 (a directory of the `memory` controller) or 2, whichever is mounted and writable. Version 2
counts the kernel's socket buffers as well.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

_ROOT = Path("/sys/fs/cgroup")
# A cgroup may be busy briefly after its last process has ended (seconds).
_MOMENT = 10.0


@dataclass(frozen=True)
class MemoryGroup:
    folder: Path
    version: int

    def command(self, *command: str | Path) -> Sequence[str | Path]:
        """Return the command that starts `command` inside the cgroup."""
        enter = 'echo $$ > "$0" && exec "$@"'
        return ("sh", "-c", enter, self.folder / "cgroup.procs", *command)

    def _read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="ascii")

    @property
    def used(self) -> int:
        return int(self._read("memory.usage_in_bytes" if self.version == 1 else "memory.current"))

    @property
    def peak(self) -> int:
        """The peak usage in bytes; page cache counts until it is reclaimed."""
        return int(self._read("memory.max_usage_in_bytes" if self.version == 1 else "memory.peak"))

    @property
    def killed(self) -> int:
        """The number of processes killed by the kernel for lack of memory."""
        text = self._read("memory.oom_control" if self.version == 1 else "memory.events")
        return int(dict(line.split() for line in text.splitlines())["oom_kill"])


@contextlib.contextmanager
def memory_group(limit: int) -> Iterator[MemoryGroup]:
    """Create a cgroup with this limit in bytes; skips the test if that is not possible."""
    group = _made()
    try:
        if group.version == 1:
            (group.folder / "memory.limit_in_bytes").write_text(str(limit))
            with contextlib.suppress(OSError):  # the file is missing without swap accounting
                (group.folder / "memory.memsw.limit_in_bytes").write_text(str(limit))
        else:
            (group.folder / "memory.max").write_text(str(limit))
            with contextlib.suppress(OSError):
                (group.folder / "memory.swap.max").write_text("0")
        yield group
    finally:
        end = time.monotonic() + _MOMENT
        while True:
            try:
                group.folder.rmdir()
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)


def _made() -> MemoryGroup:
    name = f"cognito-gateway-test-{os.getpid()}"
    if (_ROOT / "memory" / "memory.limit_in_bytes").exists() or (_ROOT / "memory" / "tasks").exists():
        version, folder = 1, _ROOT / "memory" / name
    elif "memory" in _text(_ROOT / "cgroup.subtree_control").split():
        version, folder = 2, _ROOT / name
    else:
        pytest.skip("no memory cgroup here: neither version 1, nor version 2 with memory for children")
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"cannot create a memory cgroup here: {error}")
    return MemoryGroup(folder, version)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""
