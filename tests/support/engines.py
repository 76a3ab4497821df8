"""Real programs that tests run beside the gateway, and the marker `engine` of such tests.

`make test` leaves out marked tests, so that it stays quick: an unmarked test that starts such a program
fails.
"""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

MARKERS = ("engine", "slow")
# Debian's directories for servers, which may not be on a user's PATH.
PLACES = "/usr/sbin:/sbin"
_running: list[pytest.Item] = []


def begins(item: pytest.Item) -> None:
    """Remember the running test (tests/conftest.py calls this)."""
    _running[:] = [item]


def starts(name: str) -> None:
    """Fail unless the running test has a marker for tests that start such programs."""
    for item in _running:
        assert any(map(item.get_closest_marker, MARKERS)), f"{item.nodeid} starts {name}: mark it `engine`"


def find(name: str) -> str | None:
    """Return the program's path; None if it is not installed."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{PLACES}")


def missing(what: str) -> NoReturn:
    """Skip the test; fail it in CI, where .ci/programs and .ci/helm install everything."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def engine(name: str, *others: str) -> str:
    """Return the path of the program under the first of its names that is installed, to start it."""
    starts(name)
    found = next(filter(None, map(find, (name, *others))), None)
    return found or missing(f"{name} is not installed: apt-get install {name}")
