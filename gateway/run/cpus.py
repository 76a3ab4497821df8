"""How many CPUs this container may use: what `workers: auto` becomes.

Invariant: at least 1, and never more than the scheduler's affinity; a quota is rounded down, because one
process more than the quota pays for is throttled for whole tenths of a second.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

_CGROUPS = "/sys/fs/cgroup"


def usable_cpus() -> int:
    """The CPUs of this process: affinity (cpusets, taskset) and the cgroups' quota, whichever is less."""
    # macOS has no affinity.
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cpus(_text, affinity)


def cpus(text: Callable[[str], str | None], affinity: int) -> int:
    """The decision; `text` gives the content of a file, None where there is none."""
    quotas = [quota for quota in _quotas(text) if quota is not None]
    return max(1, int(min([float(affinity), *quotas])))


def _quotas(text: Callable[[str], str | None]) -> Iterator[float | None]:
    """What each cgroup from ours to the root allows, in CPUs; None: no limit, or nothing known."""
    for line in (text("/proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            for folder in _upward(path):
                # cgroups(7): "$MAX $PERIOD" in microseconds, or "max $PERIOD".
                quota, _, period = (text(f"{_CGROUPS}{folder}/cpu.max") or "").partition(" ")
                yield _ratio(quota, period)
        elif "cpu" in controllers.split(","):
            # Version 1. -1: no limit. The mount is named after the controller, or after several.
            for mount in {"cpu", controllers}:
                for folder in _upward(path):
                    place = f"{_CGROUPS}/{mount}{folder}"
                    quota = text(f"{place}/cpu.cfs_quota_us") or ""
                    yield _ratio(quota, text(f"{place}/cpu.cfs_period_us") or "")


def _upward(path: str) -> Iterator[str]:
    """A cgroup and all above it, ending with the root ''; inside a container the root is often our own."""
    for folder in (PurePosixPath("/", path), *PurePosixPath("/", path).parents):
        yield str(folder).rstrip("/")


def _ratio(quota: str, period: str) -> float | None:
    try:
        allowed, per = int(quota), int(period)
    except ValueError:
        return None
    return allowed / per if allowed > 0 and per > 0 else None


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
