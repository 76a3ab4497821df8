"""The number of CPUs this container may use: the value of `workers: auto`.

Invariant: at least 1, and never more than the scheduler's affinity; a quota is rounded down, because a
process beyond the quota is throttled for tenths of a second.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from gateway.config.model import Config
from gateway.serve.cgroups import Text, folders, read_text


def worker_count(config: Config) -> int:
    """Return the number of worker processes."""
    return usable_cpus() if config.listen.workers == "auto" else config.listen.workers


def usable_cpus() -> int:
    """Return the CPUs of this process: the lesser of affinity (cpusets, taskset) and cgroup quota."""
    # macOS has no affinity.
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cpus(read_text, affinity)


def cpus(text: Text, affinity: int) -> int:
    """Return the CPUs for this affinity; `text` reads a file, None if it does not exist. Pure."""
    quotas = [quota for quota in _quotas(text) if quota is not None]
    return max(1, int(min([float(affinity), *quotas])))


def _quotas(text: Text) -> Iterator[float | None]:
    """Yield the quota of each cgroup up to the root, in CPUs; None: no limit, or unknown."""
    for version, folder in folders(text, "cpu"):
        if version == 2:
            # cgroups(7): "$MAX $PERIOD" in microseconds, or "max $PERIOD".
            quota, _, period = (text(f"{folder}/cpu.max") or "").partition(" ")
            yield _ratio(quota, period)
        else:
            # Version 1. -1: no limit.
            quota = text(f"{folder}/cpu.cfs_quota_us") or ""
            yield _ratio(quota, text(f"{folder}/cpu.cfs_period_us") or "")


def _ratio(quota: str, period: str) -> float | None:
    try:
        allowed, per = int(quota), int(period)
    except ValueError:
        return None
    return allowed / per if allowed > 0 and per > 0 else None
