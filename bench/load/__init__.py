"""Load on a contestant: one plan, one result, two generators (wrk where it is installed, else our own)."""

from bench.load.plan import LoadPlan, LoadResult
from bench.load.run import generate, generator_name

__all__ = ["LoadPlan", "LoadResult", "generate", "generator_name"]
