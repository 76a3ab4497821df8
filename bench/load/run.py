"""Chooses the generator for a plan and runs it as a process of its own on the load's CPUs."""

from __future__ import annotations

import subprocess
import sys

from bench.load import wrk
from bench.load.plan import LoadPlan, LoadResult
from bench.processes import BenchError, communicate, on_cpus, which

# Beyond a plan's own end: connecting, and answers that take as long as a peer's time-out.
GRACE = 30.0


def generator_name() -> str:
    return "wrk" if which("wrk") else "built-in"


def generate(plan: LoadPlan, cpus: frozenset[int]) -> LoadResult:
    """Runs the plan to its end. Raises BenchError when the generator itself fails."""
    binary = which("wrk")
    # wrk knows only the closed loop.
    if binary is not None and plan.rate is None:
        return wrk.run(binary, plan, cpus)
    with on_cpus(cpus):
        process = start_builtin(plan)
    return finish_builtin(process, plan)


def start_builtin(plan: LoadPlan) -> subprocess.Popen[str]:
    """Our own generator, for what wrk cannot do or beside another; give it to `finish_builtin`."""
    command = [sys.executable, "-m", "bench.load.builtin", plan.to_json()]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish_builtin(process: subprocess.Popen[str], plan: LoadPlan) -> LoadResult:
    """Waits for its result; kills it when it outlives its plan. Raises BenchError."""
    output, errors = communicate(process, plan.seconds + GRACE)
    if process.returncode != 0:
        raise BenchError(f"the load generator failed: {errors.strip()[-400:]}")
    return LoadResult.from_json(output)
