"""Control groups of this process: the folders from its own cgroup up to the root.

Invariant: nothing here raises; a file that cannot be read counts as missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

# Reads a file; None if it does not exist.
Text = Callable[[str], str | None]

_CGROUPS = "/sys/fs/cgroup"


def folders(text: Text, controller: str) -> Iterator[tuple[int, str]]:
    """Yield the version and folder of each cgroup of this process with this controller."""
    for line in (text("/proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            for folder in _upward(path):
                yield 2, f"{_CGROUPS}{folder}"
        elif controller in controllers.split(","):
            # The mount point is named after the controller, or after several.
            for mount in {controller, controllers}:
                for folder in _upward(path):
                    yield 1, f"{_CGROUPS}/{mount}{folder}"


def read_text(path: str) -> str | None:
    """Return the content of a kernel file; None if it does not exist."""
    try:
        return Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return None


def _upward(path: str) -> Iterator[str]:
    """Yield a cgroup and all above it, ending with the root ''; in a container the root is often its own."""
    for folder in (PurePosixPath("/", path), *PurePosixPath("/", path).parents):
        yield str(folder).rstrip("/")
