"""How long to fuzz: as long as a test may take, or `make fuzz` many times that."""

from __future__ import annotations

import os


def examples(usual: int) -> int:
    """Of hypothesis's examples, `usual` in a test run."""
    return usual * int(os.environ.get("FUZZ_TIMES", "1"))
