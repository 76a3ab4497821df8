"""A short soak: what `make soak` does for minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.soak import MIB, soak


@pytest.mark.slow
async def test_a_short_soak_leaves_nothing_behind(tmp_path: Path) -> None:
    figures = await soak(tmp_path, 100_000)
    print(figures)
    assert figures.errors == []
    assert set(figures.requests) >= {"plain", "new_token", "refused", "body", "websocket", "fault", "leaver"}
    before, after = figures.descriptors
    assert after <= before
    # Caches still fill in so short a run: the long one is held to less.
    assert figures.growth < 6 * MIB
