"""Choice of the generator for a plan, run as a separate process on the load's CPUs."""

from __future__ import annotations

import subprocess
import sys

from bench.load import wrk
from bench.load.plan import LoadPlan, LoadResult
from bench.processes import BenchError, communicate, on_cpus, which

# Seconds beyond a plan's end: for connecting, and for answers as late as a peer's timeout.
GRACE = 30.0


def generator_name() -> str:
    return "wrk" if which("wrk") else "built-in"


def generate(plan: LoadPlan, cpus: frozenset[int]) -> LoadResult:
    """Run a plan to its end. Raises BenchError if the generator itself fails."""
    binary = None if plan.grpc else which("wrk")
    # wrk supports only the closed loop.
    if binary is not None and plan.rate is None:
        return wrk.run(binary, plan, cpus)
    with on_cpus(cpus):
        process = start_builtin(plan)
    return finish_builtin(process, plan)


def start_builtin(plan: LoadPlan) -> subprocess.Popen[str]:
    """Start our own generator, for what wrk cannot do or beside another one; pass it to `finish_builtin`."""
    module = "bench.load.checks" if plan.grpc else "bench.load.builtin"
    command = [sys.executable, "-m", module, plan.to_json()]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish_builtin(process: subprocess.Popen[str], plan: LoadPlan) -> LoadResult:
    """Wait for a generator's result; kill it if it exceeds its plan. Raises BenchError."""
    output, errors = communicate(process, plan.seconds + GRACE)
    if process.returncode != 0:
        raise BenchError(f"the load generator failed: {errors.strip()[-400:]}")
    return LoadResult.from_json(output)
