"""Two implementations of one service: ours, and moto as a second opinion on the happy path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import local_cognito


@pytest.fixture(scope="session")
def local_url() -> Iterator[str]:
    with local_cognito.running() as local:
        yield local.url


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["local", "moto"])
def cognito(request: pytest.FixtureRequest) -> Any:
    return local_cognito.client(request.getfixturevalue(f"{request.param}_url"))
