"""Workers that die or hang under load: what they held is lost, nothing else, and they are replaced."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.figures import Figure
from tests.support.load import (
    PATIENCE,
    TWO,
    Clients,
    Kind,
    NamingUpstream,
    clients_of,
    replaced,
    stopped,
    tokens,
    watching,
    workers,
)
from tests.support.programs import pinned, serving
from tests.support.tokens import KeyPair

pytestmark = pytest.mark.slow

REPLACED_WITHIN = 15.0


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("killed", marks=pytest.mark.fault("killed")),
        pytest.param("hung", marks=pytest.mark.fault("hung")),
    ],
)
async def test_a_worker_is_lost_with_what_it_held_and_nothing_else(
    tmp_path: Path, fault: str, figure: Figure
) -> None:
    key = KeyPair.generate("key-1")
    upstream = NamingUpstream()
    async with (
        upstream.running(),
        serving(tmp_path, upstream=upstream.url, pools=pinned(tmp_path, key), environ=TWO) as served,
        watching(served) as watch,
    ):
        clients = Clients(served.port, tokens(key, 16))
        async with clients.running() as board:
            held: set[int] = set()
            took = []
            for _ in range(3):
                await clients.more(500)
                victim = workers(served)[0]
                await stopped(victim)
                holds = clients_of(victim, served.port)
                held |= holds
                if fault == "killed":
                    os.kill(victim, signal.SIGKILL)
                seconds = await replaced(served, victim)
                print(f"{fault}: {len(holds)} connections held, replaced in {seconds:.2f} s")
                assert seconds < REPLACED_WITHIN
                took.append(seconds)
                await clients.more(500)
        print(f"{fault}: {board}; {watch.scrapes} scrapes, slowest {watch.slowest:.2f} s")
        assert {failure.kind for failure in board.failures} <= {Kind.RESET, Kind.CUT}
        assert {failure.connection for failure in board.failures} <= held
        assert len(board.failures) <= len(held)
        assert board.slowest < PATIENCE
        ended = await served.logged("worker_exited", 3)
        assert [line["cause"] for line in ended] == ["died" if fault == "killed" else "hung"] * 3
        # Lost with a worker: what it counted since its last report, a quarter of a second before.
        samples = await served.samples()
        counted = sum(value for name, value in samples.items() if "requests_total{" in name)
        print(f"{fault}: {counted:.0f} of {board.good} good answers are in the metrics")
        assert counted >= 0.8 * board.good
        figure(
            f"replaced in {min(took):.1f}–{max(took):.1f} s; {len(board.failures)} of {board.good:,} "
            f"requests lost, all on the {len(held)} connections it held"
        )
