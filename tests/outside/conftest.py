"""What several modules of these tests begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.promises import Bench, benched
from tests.support.threads import in_a_thread


@pytest.fixture(scope="module")
def shared_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with in_a_thread(benched(tmp_path_factory.mktemp("bench"))) as bench:
        yield bench


@pytest.fixture
def bench(shared_bench: Bench) -> Bench:
    """A gateway that the module's tests share: to start one takes half a second of CPU."""
    shared_bench.upstream.requests.clear()
    return shared_bench


@pytest.fixture
async def new_bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """One for this test alone, which looks at all that it logged or counted."""
    async with benched(tmp_path) as bench:
        yield bench
