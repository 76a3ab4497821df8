"""Programs of others that tests put beside the gateway, and the marker `engine` that says so.

`make test` leaves out what is marked, so that it stays quick: a test that starts one and is not marked fails.
"""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

MARKERS = ("engine", "slow")
# Debian keeps servers where a user's PATH may not look.
PLACES = "/usr/sbin:/sbin"
_running: list[pytest.Item] = []


def begins(item: pytest.Item) -> None:
    """Remember which test runs now (tests/conftest.py calls this)."""
    _running[:] = [item]


def starts(name: str) -> None:
    """Fail unless the test that runs has a marker for tests that start such programs."""
    for item in _running:
        assert any(map(item.get_closest_marker, MARKERS)), f"{item.nodeid} starts {name}: mark it `engine`"


def find(name: str) -> str | None:
    """Return the program's path, if it is installed."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{PLACES}")


def missing(what: str) -> NoReturn:
    """Skip the test; in CI, where .ci/programs and .ci/helm install everything, fail it."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def engine(name: str, *others: str) -> str:
    """Return the path of the program, by the first of its names that is installed, to start it."""
    starts(name)
    found = next(filter(None, map(find, (name, *others))), None)
    return found or missing(f"{name} is not installed: apt-get install {name}")
