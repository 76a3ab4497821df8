"""docs/security-tests.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "security-tests.md").read_text()


def test_every_attack_has_a_test_that_exists() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.endswith("| test |")]
    assert len(rows) > 25
    for row in rows:
        named = re.findall(r"`([a-z_/]+\.py)::(\w+)`", row.rsplit(" | ", 1)[1])
        assert named, row
        for module, test in named:
            assert re.search(rf"(?m)^(async )?def {test}\(", Path(TESTS / module).read_text()), test
