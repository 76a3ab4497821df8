"""The whole harness on a stand-in: what it finds out, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.options import parse
from bench.processes import Process, free_port, split_cpus

# Whole runs of the benchmark.
pytestmark = pytest.mark.engine

STANDIN = Path(__file__).with_name("standin.py")
ROOT = Path(__file__).parents[2]


def command(*options: Any, skip: Any = None) -> Any:
    gateway = [sys.executable, str(STANDIN), *(["--skip", skip] if skip else [])]
    return [sys.executable, "-m", "bench", "--only", "gateway", "--gateway", shlex.join(gateway), *options]


def run(*options: Any, environment: Any, skip: Any = None) -> Any:
    return subprocess.run(
        command(*options, skip=skip),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


@pytest.fixture
def environment(tmp_path: Path) -> Any:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return {**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT)}


def left_behind(scratch: Any) -> Any:
    """Processes whose command line names the scratch directory, and what is still in it."""
    processes = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes().decode(errors="replace") if entry.name.isdigit() else ""
        except OSError:
            continue
        if scratch in line:
            processes.append(line)
    return processes, list(Path(scratch).iterdir())


def nothing_is_left(scratch: Any) -> Any:
    """What was killed is gone as soon as it gets the time to die."""
    deadline = time.monotonic() + 20
    while left_behind(scratch)[0] and time.monotonic() < deadline:
        time.sleep(0.05)
    return left_behind(scratch) == ([], [])


def test_a_quick_run_measures_reports_and_cleans_up(environment: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    written = ["--json", str(out / "run.json"), "--svg", str(out / "run.svg")]
    done = run("--work", "warm,start", "--rounds", "1", "--seconds", "1", *written, environment=environment)
    assert done.returncode == 0, done.stderr
    assert "cognito-gateway 0.1" in done.stdout
    works = json.loads((out / "run.json").read_text())["works"]
    warm = works["warm"]["contestants"]["gateway"]["medians"]
    assert warm["requests"] > 20
    # The stand-in decodes and verifies every time: less than 30 µs would be a miscount, so would 30 ms.
    assert 30 < warm["cpu_us"] < 30_000
    assert 10 < warm["rss_mib"] <= warm["peak_mib"] < 500
    assert works["start"]["contestants"]["gateway"]["medians"]["ready_ms"] > 50
    assert (out / "run.svg").read_text().startswith("<svg")
    assert nothing_is_left(environment["TMPDIR"])


@pytest.mark.parametrize(
    ("skip", "fault"), [("client_id", "wrong client_id"), ("exp", "expired"), ("signature", "bad signature")]
)
def test_a_gateway_that_forgets_a_check_is_reported_and_not_measured(
    environment: Any, skip: Any, fault: Any
) -> None:
    done = run("--quick", environment=environment, skip=skip)
    assert done.returncode == 1
    assert f"fails its check: {fault} got 200" in done.stdout
    assert "cognito-gateway 0.1 not measured" in done.stdout


def test_a_gateway_that_ends_at_start_is_reported_with_its_words(environment: Any) -> None:
    said = "raise SystemExit('no such key: listn')"
    gateway = shlex.join([sys.executable, "-c", said])
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--only", "gateway", "--gateway", gateway],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 1
    assert "gateway ended at start: no such key: listn" in done.stdout
    assert nothing_is_left(environment["TMPDIR"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing_behind(environment: Any, number: int) -> None:
    with subprocess.Popen(
        command("--seconds", "30"), cwd=ROOT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        deadline = time.monotonic() + 90
        while not any("standin" in line for line in left_behind(environment["TMPDIR"])[0]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(number)
        _, said = process.communicate(timeout=90)
    assert process.returncode == 130
    assert b"interrupted" in said
    assert b"Traceback" not in said
    assert nothing_is_left(environment["TMPDIR"])


def test_a_process_takes_its_children_along(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    child = f"[sys.executable, '-c', 'import time; time.sleep(300)', {str(scratch)!r}]"
    parent = [sys.executable, "-c", f"import subprocess, sys; subprocess.run({child})"]
    with Process("parent", parent, cpus=frozenset({0}), log=tmp_path / "log") as process:
        deadline = time.monotonic() + 60
        while len(left_behind(str(scratch))[0]) < 2:
            assert process.running()
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert nothing_is_left(str(scratch))


def test_cpus_are_split_between_proxy_and_everything_else() -> None:
    assert split_cpus([0, 1]) == (frozenset({1}), frozenset({0}))
    assert split_cpus([3, 0, 2]) == (frozenset({3}), frozenset({0, 2}))
    assert split_cpus([5]) == (frozenset({5}), frozenset({5}))


def test_ports_are_never_handed_out_twice() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50


def test_options_have_defaults_and_refuse_unknown_names(capsys: pytest.CaptureFixture[str]) -> None:
    options = parse([], ["warm", "new"], ["gateway", "nginx"])
    assert (options.works, options.only, options.rounds, options.seconds) == (
        ("warm",),
        ("gateway", "nginx"),
        5,
        5,
    )
    quick = parse(["--quick", "--work", "all"], ["warm", "new"], ["gateway"])
    assert (quick.works, quick.rounds, quick.seconds) == (("warm", "new"), 2, 1)
    for wrong in (["--work", "hot"], ["--only", "squid"], ["--rounds", "0"]):
        with pytest.raises(SystemExit) as stopped:
            parse(wrong, ["warm"], ["gateway"])
        assert stopped.value.code == 2
    assert "invalid choice 'hot' (choose from warm, all)" in capsys.readouterr().err
