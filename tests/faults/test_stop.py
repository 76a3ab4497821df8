"""Start and SIGTERM under load: whatever was accepted is answered, and the process ends with 0."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.support.figures import Figure
from tests.support.load import TWO, Clients, Kind, NamingUpstream, tokens
from tests.support.ports import free_port
from tests.support.programs import SCRIPT, configuration, pinned, serving, started
from tests.support.tokens import KeyPair

pytestmark = pytest.mark.slow

STARTS = 4


@pytest.mark.fault("start")
async def test_two_workers_start_under_load(tmp_path: Path, figure: Figure) -> None:
    """The clients are there first: refused while nobody listens, then answered, every one of them."""
    key, good = KeyPair.generate("key-1"), 0
    async with NamingUpstream().running() as upstream:
        for times in range(STARTS):
            folder = tmp_path / str(times)
            folder.mkdir()
            port = free_port()
            path = folder / "gateway.yaml"
            path.write_text(
                configuration(
                    port=port, metrics_port=free_port(), upstream=upstream.url, pools=pinned(folder, key)
                )
            )
            # A worker may be asked before it has read its keys.
            clients = Clients(port, tokens(key, 12), tolerated=frozenset({503}))
            async with started(folder, [SCRIPT, "serve", "--config", path], environ=TWO) as program:
                async with clients.running() as board:
                    await clients.more(200, seconds=60)
                assert await program.stop() == 0
            print(f"start: {board}")
            assert {failure.kind for failure in board.failures} <= {Kind.REFUSED}
            good += board.good
        figure(f"{good:,} requests, none accepted and not answered")


@pytest.mark.fault("sigterm")
@pytest.mark.parametrize("workers", [{}, TWO], ids=["alone", "two workers"])
async def test_sigterm_fails_nobody(tmp_path: Path, workers: dict[str, str], figure: Figure) -> None:
    key, ended, good = KeyPair.generate("key-1"), [], 0
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
                assert took < 9
                assert upstream.connections == set()
                ended.append(took)
                good += board.good
        figure(f"ended in {min(ended):.2f}–{max(ended):.2f} s with {good:,} requests")
