"""How many CPUs this container may use: what `workers: auto` becomes.

Invariant: at least 1, and never more than the scheduler's affinity; a quota is rounded down, because one
process more than the quota pays for is throttled for whole tenths of a second.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from gateway.config.model import Config
from gateway.serve.cgroups import Text, folders, read_text


def worker_count(config: Config) -> int:
    """The processes that serve."""
    return usable_cpus() if config.listen.workers == "auto" else config.listen.workers


def usable_cpus() -> int:
    """The CPUs of this process: affinity (cpusets, taskset) and the cgroups' quota, whichever is less."""
    # macOS has no affinity.
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cpus(read_text, affinity)


def cpus(text: Text, affinity: int) -> int:
    """The decision; `text` gives the content of a file, None where there is none."""
    quotas = [quota for quota in _quotas(text) if quota is not None]
    return max(1, int(min([float(affinity), *quotas])))


def _quotas(text: Text) -> Iterator[float | None]:
    """What each cgroup from ours to the root allows, in CPUs; None: no limit, or nothing known."""
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
