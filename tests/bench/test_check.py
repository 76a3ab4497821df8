"""The regression check: what it says of a release, and that it judges only on a quiet machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench import check
from bench.check import judge, judged
from bench.control import Control, Spread
from bench.processes import BenchError
from bench.report import Column, Entry, Outcome

QUIET, NOISY = Control(Spread(0.99, 1.0, 1.02), 7), Control(Spread(0.8, 1.0, 1.4), 7)


@pytest.mark.parametrize(
    ("middle", "control", "said", "fails"),
    [
        (1.04, QUIET, "at most 1.05", False),
        (1.06, QUIET, "MORE than 1.05", True),
        (1.06, NOISY, "not judged: control: nginx ÷ nginx 1.00 (0.80 – 1.40): TOO NOISY", False),
        (1.06, None, "not judged: no nginx", False),
    ],
)
def test_only_a_quiet_machine_judges(middle: float, control: Control | None, said: str, fails: bool) -> None:
    line, slower = judged("warm", Spread(1.0, middle, 1.1), control)
    assert f"warm: this commit ÷ before {middle:.2f} (1.00 – 1.10)" in line
    assert said in line
    assert slower is fails


def test_the_ratio_is_taken_round_by_round() -> None:
    cpu = Column("cpu_us", "CPU")
    outcome = Outcome("warm", "warm", (cpu,), cpu, 3)
    for name, costs in (("gateway", (12, 24, 36)), ("before", (10, 20, 30)), ("nginx", (5, 5, 5))):
        outcome.entries.append(Entry(name, name, "", [], [{"cpu_us": float(cost)} for cost in costs]))
    outcome.again = Entry("control", "nginx", "", [], [{"cpu_us": 5.0}] * 3)
    line, slower = judge(outcome)
    assert "1.20 (1.20 – 1.20): MORE" in line
    assert slower
    outcome.entries[1].failed = "3 of 9 requests failed"
    assert judge(outcome) == ("warm: not measured", True)


def test_without_a_release_a_commit_has_to_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BenchError, match="--against"):
        check.last_release()
    with pytest.raises(BenchError, match="no commit"):
        check.build("v0")
    assert check.main(["--against=--output"]) == 1
