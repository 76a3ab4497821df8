"""A memory cgroup for one test: a limit as a container has it, what was used, whom the kernel killed.

Version 1 (a folder of the `memory` controller) or 2, whichever is mounted and may be written to. Version 2
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
# A cgroup whose last process has just ended is busy for a moment (seconds).
_MOMENT = 10.0


@dataclass(frozen=True)
class MemoryGroup:
    folder: Path
    version: int

    def command(self, *command: str | Path) -> Sequence[str | Path]:
        """The same command, started inside."""
        enter = 'echo $$ > "$0" && exec "$@"'
        return ("sh", "-c", enter, self.folder / "cgroup.procs", *command)

    def _read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="ascii")

    @property
    def used(self) -> int:
        return int(self._read("memory.usage_in_bytes" if self.version == 1 else "memory.current"))

    @property
    def peak(self) -> int:
        """The most that was used, in bytes; files that were read count until their memory is wanted."""
        return int(self._read("memory.max_usage_in_bytes" if self.version == 1 else "memory.peak"))

    @property
    def killed(self) -> int:
        """How many processes the kernel killed for want of memory."""
        text = self._read("memory.oom_control" if self.version == 1 else "memory.events")
        return int(dict(line.split() for line in text.splitlines())["oom_kill"])


@contextlib.contextmanager
def memory_group(limit: int) -> Iterator[MemoryGroup]:
    """Skips the test where there is none to be made."""
    group = _made()
    try:
        if group.version == 1:
            (group.folder / "memory.limit_in_bytes").write_text(str(limit))
            with contextlib.suppress(OSError):  # without accounting of swap there is no such file
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
        pytest.skip(f"no memory cgroup can be made here: {error}")
    return MemoryGroup(folder, version)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""
