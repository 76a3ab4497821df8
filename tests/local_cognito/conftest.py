"""The operations without HTTP, under a clock that moves when told to; keys are made once: that is slow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local_cognito import keys
from tests.support.aws_client import Aws, serving_boto3
from tests.support.emulator import Cognito


@pytest.fixture(scope="session")
def pool_keys() -> keys.PoolKeys:
    return keys.generate()


@pytest.fixture
def cognito(pool_keys: keys.PoolKeys) -> Cognito:
    return Cognito(pool_keys)


@pytest.fixture(scope="session")
def aws() -> Iterator[Aws]:
    """Shared, since a boto3 client costs half a second: a test makes its own pool."""
    with serving_boto3() as shared:
        yield shared
