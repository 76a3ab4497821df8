"""Each version of Helm, where it is installed."""

from __future__ import annotations

import pytest

from tests.support.rendering import HELMS


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.engine) for name in HELMS])
def helm(request: pytest.FixtureRequest) -> str:
    name = request.param
    assert isinstance(name, str)
    return name
