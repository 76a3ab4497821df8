"""CPU time and memory of a process and its children, read from /proc.

CPU time comes from schedstat (nanoseconds counted by the scheduler), because the ticks in stat are 10 ms, too
coarse for a short round. Threads and children that ended between two readings lose their schedstat; only then
the ticks, which survive them, are used.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class CpuReading:
    """CPU time of a process tree so far, by scheduler and by ticks, and its threads."""

    scheduled_ns: int
    ticks_ns: int
    threads: frozenset[int]
    # The kernel's part of `ticks_ns`.
    system_ns: int = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of a process tree in bytes, now and at the peak (each process at its own peak)."""

    resident: int
    peak: int


def tree(pid: int, proc: Path = PROC) -> list[int]:
    """Return the process and all its living descendants. Raises ProcessLookupError if it is gone."""
    children: dict[int, list[int]] = {}
    seen = set()
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int(_stat(entry)[1])
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile
        seen.add(int(entry.name))
        children.setdefault(parent, []).append(int(entry.name))
    if pid not in seen:
        raise ProcessLookupError(pid)
    found = [pid]
    for each in found:
        found.extend(sorted(children.get(each, ())))
    return found


def cpu(pid: int, proc: Path = PROC) -> CpuReading:
    """Read the CPU time of a process tree. Raises ProcessLookupError if the process is gone."""
    scheduled = ticks = system = 0
    threads = set()
    for member in tree(pid, proc):
        try:
            fields = _stat(proc / str(member))
            tasks = list((proc / str(member) / "task").iterdir())
            # utime, stime, cutime, cstime: proc(5) fields 14 to 17; _stat starts at field 3.
            spent = [int(field) for field in fields[11:15]]
            ticks += sum(spent)
            system += spent[1] + spent[3]
            for task in tasks:
                scheduled += int((task / "schedstat").read_text().split()[0])
                threads.add(int(task.name))
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile
    return CpuReading(scheduled, ticks * TICK_NS, frozenset(threads), system * TICK_NS)


def spent_ns(before: CpuReading, after: CpuReading) -> int:
    """Return the CPU time in nanoseconds between two readings of the same tree."""
    if before.threads <= after.threads:
        return after.scheduled_ns - before.scheduled_ns
    return after.ticks_ns - before.ticks_ns


def system_share(before: CpuReading, after: CpuReading) -> float:
    """Return the kernel's share of the CPU time between two readings; 0 if no tick fell between them."""
    ticks = after.ticks_ns - before.ticks_ns
    return (after.system_ns - before.system_ns) / ticks if ticks else 0.0


def memory(pid: int, proc: Path = PROC) -> Memory:
    """Sum VmRSS and VmHWM over the tree; pages shared between processes count for each."""
    resident = peak = 0
    for member in tree(pid, proc):
        try:
            status = (proc / str(member) / "status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        resident += _kib(fields.get("VmRSS"))
        peak += _kib(fields.get("VmHWM"))
    return Memory(resident, peak)


def _kib(value: str | None) -> int:
    return int(value.split()[0]) * 1024 if value else 0  # absent for a zombie


def _stat(directory: Path) -> list[str]:
    """Return the fields of stat from the third on; the second, the command, may contain anything."""
    return (directory / "stat").read_text().rpartition(")")[2].split()
