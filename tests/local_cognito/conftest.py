"""The operations without HTTP, under a clock that moves when told to; keys are made once: that is slow."""

from __future__ import annotations

import pytest

from local_cognito import keys
from tests.support.emulator import Cognito


@pytest.fixture(scope="session")
def pool_keys() -> keys.PoolKeys:
    return keys.generate()


@pytest.fixture
def cognito(pool_keys: keys.PoolKeys) -> Cognito:
    return Cognito(pool_keys)
