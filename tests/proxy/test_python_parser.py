"""What hostile clients and upstreams send, once more with aiohttp's parser in pure Python.

It serves where the C parser cannot be built. Which one is decided at import, so each module is run in a
process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.proxy.test_framing import PYTHON_PARSER

TESTS = Path(__file__).parents[1]
# ATTACKS "Framing", "Paths" and "Headers".
ATTACKS = (
    *("proxy/test_framing.py", "proxy/test_headers.py", "proxy/test_identity_on_the_wire.py"),
    *("proxy/test_paths_on_the_wire.py", "proxy/test_routes_on_the_wire.py"),
    *("fuzz/test_heads.py", "fuzz/test_paths.py"),
)
# All else that depends on where the parser sees a body end.
BODIES = (
    *("answers_on_the_wire", "limits", "streaming", "tunnel", "upstream_faults"),
    # More heads, and long.
    *("real_servers", "trusted_names", "unverified"),
)


@pytest.mark.skipif(PYTHON_PARSER, reason="this is that run")
@pytest.mark.parametrize(
    "module", [*ATTACKS, *(pytest.param(f"proxy/test_{each}.py", marks=pytest.mark.slow) for each in BODIES)]
)
def test_the_python_parser_passes_as_well(module: str, request: pytest.FixtureRequest) -> None:
    """test_framing.test_the_parser_is_the_one_this_run_is_about sees there that the variable took effect."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    if request.config.getoption("--uvloop"):
        command.append("--uvloop")
    ran = subprocess.run(
        [*command, TESTS / module],
        env={**os.environ, "AIOHTTP_NO_EXTENSIONS": "1"},
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-1000:]
    assert " passed" in ran.stdout
