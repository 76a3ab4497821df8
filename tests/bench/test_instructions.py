"""What callgrind counted, read back: a request's instructions do not depend on how busy the machine is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.instructions import CASES, counted, dumps, figures
from tests.support.engines import engine

DUMP = """# callgrind format
desc: Trigger: --dump-before=getloadavg

events: Ir Dr
fn=(1) f
1 2 3

totals: {ir} 20
"""


def test_only_what_ended_at_a_mark_is_read_and_in_order(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        (tmp_path / f"counted.{number}").write_text(DUMP.format(ir=number))
    (tmp_path / "counted").write_text(
        DUMP.format(ir=99).replace("--dump-before=getloadavg", "Program termination")
    )
    assert [each["Ir"] for each in dumps(tmp_path)] == [1, 2, 10]


def test_what_callgrind_did_not_write_is_an_error() -> None:
    assert counted(DUMP.format(ir=7)) == {"Ir": 7, "Dr": 20}
    with pytest.raises(ValueError, match="callgrind"):
        counted("totals: 7\n")


def test_misses_are_shown_where_they_were_simulated() -> None:
    assert figures({"Ir": 5_000}, 2) == "2,500 instructions"
    caches = dict.fromkeys(("I1mr", "D1mr", "D1mw", "ILmr", "DLmr", "DLmw", "Bcm", "Bim"), 4)
    assert figures({"Ir": 5_000} | caches, 2) == (
        "2,500 instructions, 2 misses of the first level for code, 4 for data, 6 of the last level, "
        "4 mispredicted branches"
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)  # Valgrind makes a minute of it, and a busy machine many
def test_every_case_is_counted() -> None:
    engine("valgrind")
    command = [sys.executable, "-m", "bench.instructions"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=True).stdout
    found = dict(re.findall(r"(?m)^(.+): ([0-9,]+) instructions$", said))
    assert list(found) == list(CASES)
    numbers = [int(each.replace(",", "")) for each in found.values()]
    # A new token needs a signature on top; a decision needs no upstream.
    assert numbers[2] > numbers[0] + 100_000
    assert numbers[4] < numbers[3]
