"""The parts of a request's cost, in rounds of their own: system calls by strace, instructions by perf.

Both slow the contestant down, so these rounds are not timed. What cannot be counted here is named with the
reason.
"""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import which

# Calls below this share of a request are left out of the list, not out of the sum.
LISTED = 0.05
# strace attaches to each thread in turn; perf starts counting a moment after its own start.
ATTACH_SECONDS = 30.0
_ROW = re.compile(r"(?m)^ *[\d.]+ +[\d.]+ +\d+ +(\d+)(?: +\d+)? +(\w+)$")


@dataclass(slots=True)
class Parts:
    """What was counted of one contestant under one work, per request."""

    calls: dict[str, float] = field(default_factory=dict)
    instructions: dict[str, float] = field(default_factory=dict)
    # What was not counted → why.
    missing: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        said = []
        if self.calls:
            listed = [f"{name} {count:.1f}" for name, count in self.calls.items() if count >= LISTED]
            said.append(f"{sum(self.calls.values()):.1f} system calls ({', '.join(listed)})")
        if self.instructions:
            each = (f"{count:,.0f} in {where} mode" for where, count in self.instructions.items())
            said.append(f"instructions: {', '.join(each)}")
        said += [f"{what} not counted here: {why}" for what, why in self.missing.items()]
        return "; ".join(said)


def system_calls(table: str) -> dict[str, int]:
    """Return the calls in a table of `strace -c`, the most frequent first."""
    found = {name: int(calls) for calls, name in _ROW.findall(table) if name != "total"}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def instructions(table: str) -> dict[str, int]:
    """Return the counts in the output of `perf stat -x ,` by mode; empty if the CPU has no counters here."""
    found = {}
    for line in table.splitlines():
        value, _, rest = line.partition(",")
        for event, where in (("instructions:u", "user"), ("instructions:k", "kernel")):
            if event in rest and value.isdigit():
                found[where] = int(value)
    return found


def count(pids: Sequence[int], directory: Path, load: Callable[[int], float]) -> Parts:
    """Count what the requests of a load cost these processes; `load` runs a load, the first or the
    second, and returns the number of its requests."""
    parts = Parts()
    output = directory / "counted"
    try:
        with strace(pids, output):
            requests = load(0)
        parts.calls = {name: calls / requests for name, calls in system_calls(output.read_text()).items()}
    except NotCounted as reason:
        parts.missing["system calls"] = str(reason)
    try:
        with perf(pids, output):
            requests = load(1)
        parts.instructions = {
            name: each / requests for name, each in instructions(output.read_text()).items()
        }
    except NotCounted as reason:
        parts.missing["instructions"] = str(reason)
    return parts


class NotCounted(Exception):
    """A counter is not available; the message says why."""


@contextlib.contextmanager
def strace(pids: Sequence[int], output: Path) -> Iterator[None]:
    """Count the system calls of these processes and their threads during the block, into a file."""
    if which("strace") is None:
        raise NotCounted("strace is not installed")
    command = ["strace", "-c", "-f", "-o", str(output)]
    with _attached([*command, *(part for pid in pids for part in ("-p", str(pid)))], len(pids)):
        yield


@contextlib.contextmanager
def perf(pids: Sequence[int], output: Path) -> Iterator[None]:
    """Count the instructions of these processes during the block, into a file."""
    if which("perf") is None:
        raise NotCounted("perf is not installed")
    command = ["perf", "stat", "-x", ",", "-e", "instructions:u,instructions:k", "-o", str(output)]
    probe = subprocess.run(
        ["perf", "stat", "-x", ",", "-e", "instructions:u", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    if not instructions(probe.stderr):
        raise NotCounted("the CPU's counters are not available to perf")
    with _attached([*command, "-p", ",".join(map(str, pids))], 0):
        yield


@contextlib.contextmanager
def _attached(command: Sequence[str], announced: int) -> Iterator[None]:
    """Run a tracer during the block, and end it as Ctrl-C does, on which it writes its table.

    `announced`: the lines it says once it is attached.
    """
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for _ in range(announced):
            said = process.stderr.readline()
            if "attached" not in said:
                raise NotCounted(said.strip() or f"{command[0]} ended")
        if not announced:
            time.sleep(0.2)
        yield
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=ATTACH_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
