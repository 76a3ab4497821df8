"""What the kernel's control groups say of this container: which folders are ours, from us up to the root.

Invariant: nothing here raises; what cannot be read says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

# The content of a file; None where there is none.
Text = Callable[[str], str | None]

_CGROUPS = "/sys/fs/cgroup"


def folders(text: Text, controller: str) -> Iterator[tuple[int, str]]:
    """The version and the folder of each cgroup of this process that has this controller."""
    for line in (text("/proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            for folder in _upward(path):
                yield 2, f"{_CGROUPS}{folder}"
        elif controller in controllers.split(","):
            # The mount is named after the controller, or after several.
            for mount in {controller, controllers}:
                for folder in _upward(path):
                    yield 1, f"{_CGROUPS}/{mount}{folder}"


def read_text(path: str) -> str | None:
    """The content of a file of the kernel's; None where there is none."""
    try:
        return Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return None


def _upward(path: str) -> Iterator[str]:
    """A cgroup and all above it, ending with the root ''; inside a container the root is often our own."""
    for folder in (PurePosixPath("/", path), *PurePosixPath("/", path).parents):
        yield str(folder).rstrip("/")
