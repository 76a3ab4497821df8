"""Load generation: one plan, one result, two generators (wrk if installed, otherwise our own)."""

from bench.load.plan import LoadPlan, LoadResult
from bench.load.run import generate, generator_name

__all__ = ["LoadPlan", "LoadResult", "generate", "generator_name"]
