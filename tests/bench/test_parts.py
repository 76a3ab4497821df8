"""What a request consists of: the tables of strace and perf read back, and a real process counted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.parts import Parts, count, instructions, system_calls
from tests.support.engines import engine

STRACE = """strace: Process 7 detached
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000600           6       100           read
 40.00    0.000400           2       200        10 write
------ ----------- ----------- --------- --------- ----------------
100.00    0.001000           3       300        10 total
"""


def test_the_calls_are_read_without_their_sum() -> None:
    assert system_calls(STRACE) == {"write": 200, "read": 100}


def test_counters_that_are_not_there_count_nothing() -> None:
    assert instructions("123,,instructions:u,1,100.00,,\n45,,instructions:k,1,100.00,,\n") == {
        "user": 123,
        "kernel": 45,
    }
    assert instructions("<not supported>,,instructions:u,0,100.00,,\n") == {}


def test_parts_are_said_in_one_line() -> None:
    parts = Parts({"write": 2.0, "read": 1.96, "mmap": 0.01}, {"user": 1234.5}, {"the rest": "why"})
    calls = "4.0 system calls (write 2.0, read 2.0)"
    assert str(parts) == f"{calls}; instructions: 1,234 in user mode; the rest not counted here: why"


@pytest.mark.engine
def test_the_system_calls_of_a_process_are_counted(tmp_path: Path) -> None:
    engine("strace")
    echo = "import os\nwhile data := os.read(0, 9): os.write(1, data)"
    with subprocess.Popen(
        [sys.executable, "-c", echo], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def load(number: int) -> float:
            for _ in range(50):
                stdin.write(b"x")
                assert stdout.read(1) == b"x"
            return 50

        load(0)
        parts = count([process.pid], tmp_path, load)
        stdin.close()
    if "system calls" in parts.missing:
        # Containers may forbid it.
        assert "not permitted" in parts.missing["system calls"]
    else:
        assert parts.calls["write"] == pytest.approx(1, abs=0.05)
        assert parts.calls["read"] == pytest.approx(1, abs=0.05)
    assert parts.instructions or parts.missing["instructions"]
