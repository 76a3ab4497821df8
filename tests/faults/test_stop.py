"""SIGTERM under load: whatever was sent is answered, and the process ends with 0."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.faults.load import TWO, Clients, NamingUpstream, tokens
from tests.outside.support import pinned, serving
from tests.support.tokens import KeyPair

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("workers", [{}, TWO], ids=["alone", "two workers"])
async def test_sigterm_fails_nobody(tmp_path: Path, workers: dict[str, str]) -> None:
    key = KeyPair.generate("key-1")
    async with NamingUpstream().running() as upstream:
        for times in range(3):
            folder = tmp_path / str(times)
            folder.mkdir()
            async with serving(
                folder, upstream=upstream.url, pools=pinned(folder, key), environ=workers
            ) as served:
                # A client that hears `Connection: close` goes elsewhere, as behind a load balancer.
                clients = Clients(served.port, tokens(key, 16), leave_when_told=True)
                async with clients.running() as board:
                    await clients.more(500)
                    began = time.monotonic()
                    served.signal(signal.SIGTERM)
                    assert await served.end() == 0
                    took = time.monotonic() - began
                print(f"SIGTERM: ended in {took:.2f} s; {board}")
                assert board.failures == []
                # Long before drain_timeout: nobody had to be waited for.
                assert took < 5
                assert upstream.connections == set()
