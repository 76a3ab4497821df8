"""wrk as the load generator: one thread, with its figures as JSON from our script's `done`."""

from __future__ import annotations

import math
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from bench.load.plan import LoadPlan, LoadResult
from bench.processes import BenchError, communicate, on_cpus

SCRIPT = Path(__file__).with_name("tokens.lua")
MARK = "RESULT "
EXHAUSTED = "EXHAUSTED"
# Seconds from its last request to its report: wrk checks its clock ten times a second.
GRACE = 30.0
# Seconds between signals.
INTERRUPTS = 0.1


@contextmanager
def interrupted(process: subprocess.Popen[str]) -> Iterator[None]:
    """Send the process SIGINT repeatedly until it ends.

    Repeatedly, because on a busy machine the tokens may be used up before wrk has begun to sleep, and it
    sleeps through an earlier signal; not at once, because before wrk handles the signal it would be killed.
    """
    ended = threading.Event()

    def send() -> None:
        while not ended.wait(INTERRUPTS):
            process.send_signal(signal.SIGINT)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        ended.set()
        sender.join()


def command(binary: str, plan: LoadPlan) -> list[str]:
    # wrk accepts whole seconds only.
    duration = f"{max(1, math.ceil(plan.seconds))}s"
    flags = ["-t", "1", "-c", str(plan.connections), "-d", duration, "--timeout", "10s", "-s", str(SCRIPT)]
    flags += [part for name, value in plan.headers.items() for part in ("-H", f"{name}: {value}")]
    arguments = [plan.tokens, plan.order, str(plan.offset), str(plan.count)]
    return [binary, *flags, f"http://127.0.0.1:{plan.port}{plan.path}", "--", *arguments]


def run(binary: str, plan: LoadPlan, cpus: frozenset[int]) -> LoadResult:
    """Run wrk to its end. Raises BenchError if it reports anything but a result."""
    with on_cpus(cpus):
        process = subprocess.Popen(
            command(binary, plan), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    try:
        assert process.stderr is not None
        # The pipe ends with wrk, or earlier with the line that says the tokens are used up. wrk would then
        # sleep to the end of its duration; the signal of Ctrl-C makes it report at once.
        said = process.stderr.readline()
        interrupts = interrupted(process) if said.strip() == EXHAUSTED else nullcontext()
    except BaseException:
        process.kill()
        process.communicate()
        raise
    with interrupts:
        output, errors = communicate(process, GRACE)
    result = [line.removeprefix(MARK) for line in output.splitlines() if line.startswith(MARK)]
    if process.returncode != 0 or not result:
        raise BenchError(f"wrk failed: {(said + errors + output).strip()[-400:]}")
    return LoadResult.from_json(result[0])
