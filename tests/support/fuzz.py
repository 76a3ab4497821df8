"""The number of fuzzing examples: few in a test run, many times more with `make fuzz`."""

from __future__ import annotations

import os


def examples(usual: int) -> int:
    """Return the number of Hypothesis examples; `usual` in a test run."""
    return usual * int(os.environ.get("FUZZ_TIMES", "1"))
