"""A local Cognito in its own thread, so that blocking clients (boto3, the AWS CLI) can use it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import boto3
from botocore.config import Config

from local_cognito.server import LocalCognito
from tests.support.pool_keys import lent


class Clock:
    """A clock that only the test moves; it starts at a fixed time in whole seconds."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


@contextmanager
def running(
    seed: dict[str, Any] | None = None, clock: Callable[[], float] | None = None
) -> Iterator[LocalCognito]:
    """Run a LocalCognito on a free port, with its event loop in a thread, until the block ends."""
    with lent() as make_keys:
        local = LocalCognito(seed=seed, clock=clock or time.time, make_keys=make_keys)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="local-cognito")
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(local.start(port=0), loop).result(60)
            yield local
        finally:
            asyncio.run_coroutine_threadsafe(local.stop(), loop).result(60)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(60)
            loop.close()


@asynccontextmanager
async def serving(
    seed: Mapping[str, Any] | None = None, *, clock: Callable[[], float] = time.time, port: int = 0
) -> AsyncIterator[LocalCognito]:
    """Run a LocalCognito in the test's own event loop until the block ends."""
    with lent() as make_keys:
        local = LocalCognito(seed=seed, clock=clock, make_keys=make_keys)
        await local.start(port=port)
        try:
            yield local
        finally:
            await local.stop()


def client(url: str, *, region: str = "us-east-1", service: str = "cognito-idp", **keys: str) -> Any:
    """Return a real boto3 client for this endpoint, with one attempt per call."""
    config = Config(retries={"total_max_attempts": 1}, proxies={})
    make: Any = boto3.client
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", **keys}
    return make(service, endpoint_url=url, region_name=region, config=config, **keys)
