from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.procfs import TICK_NS, CpuReading, cpu, memory, spent_ns, system_share, tree

SPIN = """
import time
end = time.process_time() + 0.3
while time.process_time() < end:
    pass
print(flush=True)
input()
"""


def write_process(
    proc: Any, pid: Any, parent: Any, *, ticks: Any = (0, 0, 0, 0), threads: Any = None, rss: Any = None
) -> None:
    directory = proc / str(pid)
    for thread, nanoseconds in (threads or {pid: 0}).items():
        (directory / "task" / str(thread)).mkdir(parents=True)
        (directory / "task" / str(thread) / "schedstat").write_text(f"{nanoseconds} 5 1\n")
    fields = [str(parent), *["0"] * 9, *map(str, ticks)]
    (directory / "stat").write_text(f"{pid} (a ) b) S {' '.join(fields)} 0 0\n")
    lines = [] if rss is None else [f"VmHWM:\t{rss * 2} kB", f"VmRSS:\t{rss} kB"]
    (directory / "status").write_text("Name:\ta\n" + "\n".join(lines) + "\n")


@pytest.fixture
def proc(tmp_path: Path) -> Any:
    write_process(tmp_path, 1, 0, threads={1: 7_000_000})
    write_process(tmp_path, 10, 1, ticks=(3, 2, 1, 0), threads={10: 1_000, 11: 2_000}, rss=100)
    write_process(tmp_path, 20, 10, ticks=(1, 0, 0, 0), threads={20: 30_000}, rss=50)
    write_process(tmp_path, 30, 20, threads={30: 500_000})
    (tmp_path / "self").mkdir()
    return tmp_path


def test_the_tree_is_the_process_and_its_descendants(proc: Any) -> None:
    assert tree(10, proc) == [10, 20, 30]
    assert tree(30, proc) == [30]


def test_a_process_that_is_gone_is_an_error(proc: Any) -> None:
    with pytest.raises(ProcessLookupError):
        tree(99, proc)


def test_cpu_sums_threads_and_children(proc: Any) -> None:
    reading = cpu(10, proc)
    assert reading.scheduled_ns == 533_000
    assert reading.ticks_ns == 7 * TICK_NS
    assert reading.threads == {10, 11, 20, 30}
    assert reading.system_ns == 2 * TICK_NS


def test_memory_sums_the_tree_and_takes_a_zombie_as_nothing(proc: Any) -> None:
    assert memory(10, proc).resident == 150 * 1024
    assert memory(10, proc).peak == 300 * 1024


def test_spent_uses_the_precise_clock_while_every_thread_lives() -> None:
    before = CpuReading(1_000, 0, frozenset({1}))
    assert spent_ns(before, CpuReading(5_500, TICK_NS, frozenset({1, 2}))) == 4_500


def test_spent_falls_back_to_ticks_when_a_thread_took_its_count_along() -> None:
    before = CpuReading(9_000, 2 * TICK_NS, frozenset({1, 2}))
    assert spent_ns(before, CpuReading(1_000, 5 * TICK_NS, frozenset({1}))) == 3 * TICK_NS


def test_the_kernels_share_is_that_of_the_ticks() -> None:
    before = CpuReading(0, 2 * TICK_NS, frozenset({1}), TICK_NS)
    assert system_share(before, CpuReading(9, 6 * TICK_NS, frozenset({1}), 2 * TICK_NS)) == 0.25
    assert system_share(before, before) == 0


def test_a_real_process_is_read_as_it_measures_itself() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SPIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        before = cpu(process.pid)
        process.stdout.readline()
        spent = spent_ns(before, cpu(process.pid)) / 1e9
        resident = memory(process.pid)
        process.stdin.close()
    assert 0.25 < spent < 3
    assert resident.peak >= resident.resident > 1_000_000


def test_own_cpu_time_grows_with_work() -> None:
    before = cpu(os.getpid())
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    assert spent_ns(before, cpu(os.getpid())) >= 30_000_000  # to the tick, where a thread has ended meanwhile
