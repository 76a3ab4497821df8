"""The generator that keeps to the clock, the crowd and the large bodies, against a real upstream."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import bulk, upstream
from bench.load.crowd import crowd
from bench.load.lines import answer_size, ask, connect, source_address
from bench.load.plan import LoadPlan
from bench.load.steady import Steady, steady
from bench.processes import BenchError, free_port
from tests.support.waiting import PATIENCE

CPUS = frozenset({0})


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Any]:
    with ExitStack() as stack:
        yield bulk.start(stack, tmp_path / "bulk", CPUS)


@pytest.fixture
def plan(port: int, tmp_path: Path) -> Any:
    tokens = tmp_path / "tokens"
    tokens.write_text("token\n")
    return LoadPlan(port=port, path=upstream.PATH, tokens=str(tokens), seconds=0.4, connections=5)


def steadily(plan: Any) -> Any:
    generator = Steady(plan)
    generator.open()
    try:
        return generator.run()
    finally:
        generator.close()


def test_the_schedule_is_kept_to_its_last_request(plan: Any) -> None:
    result = steadily(replace(plan, rate=200.0))
    assert (result.requests, result.failed) == (80, 0)
    assert len(result.latencies_us) == 80
    assert 0.35 < result.seconds < PATIENCE


def test_a_window_keeps_so_many_under_way(plan: Any) -> None:
    marks = []
    result = steady(
        replace(plan, window=3), CPUS, opened=lambda: marks.append("open"), done=lambda: marks.append("done")
    )
    assert result.requests > 10
    assert marks == ["open", "done"]


def test_refusals_are_failures(plan: Any, port: int) -> None:
    result = steadily(replace(plan, rate=50.0, path="/missing"))
    assert result.failed == result.requests == 20
    with pytest.raises(BenchError, match="20 of 20 requests failed"):
        steady(replace(plan, rate=50.0, path="/missing"), CPUS)


def test_nobody_there_is_an_error(plan: Any) -> None:
    with pytest.raises(BenchError, match="the load generator failed"):
        steady(replace(plan, port=free_port(), rate=50.0), CPUS)


@pytest.mark.parametrize("upgrade", [False, True])
def test_a_crowd_stays_and_says_so(plan: Any, upgrade: Any) -> None:
    with crowd(replace(plan, connections=20, upgrade=upgrade), CPUS) as opened:
        opened.require_alive()


def test_a_crowd_that_lost_its_server_says_so(plan: Any, tmp_path: Path) -> None:
    with ExitStack() as server:
        lost = replace(plan, port=bulk.start(server, tmp_path / "other", CPUS))
        with crowd(lost, CPUS) as opened:
            opened.require_alive()
            server.close()
            with pytest.raises(BenchError, match="5 of 5 connections were closed"):
                opened.require_alive()


def test_a_crowd_that_is_refused_cannot_open(plan: Any) -> None:
    with pytest.raises(BenchError, match="could not be opened"), crowd(replace(plan, path="/missing"), CPUS):
        pass


@pytest.mark.parametrize("direction", ["down", "up"])
@pytest.mark.parametrize("size", [0, 1, 3 * 1024 * 1024 + 1])
def test_every_byte_of_a_body_is_counted(plan: Any, port: int, direction: Any, size: int) -> None:
    command = [sys.executable, "-m", "bench.load.bulk", direction, str(port), plan.tokens, str(size)]
    assert subprocess.run(command, check=False, timeout=200).returncode == 0


def test_answers_are_whole_by_their_length() -> None:
    assert answer_size(b"HTTP/1.1 200 OK\r\nContent-Le") is None
    head = b"HTTP/1.1 200 OK\r\nX: y\r\ncontent-length: 5\r\n\r\n"
    assert answer_size(head) == len(head) + 5
    with pytest.raises(ValueError, match="without Content-Length"):
        answer_size(b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n")


def test_addresses_change_before_ports_run_out(port: int) -> None:
    assert (source_address(0), source_address(4_999), source_address(5_000)) == (
        "127.0.0.1",
        "127.0.0.1",
        "127.0.0.2",
    )
    with connect(port, 5_000) as sock:
        assert sock.getsockname()[0] == "127.0.0.2"
        assert b"200 OK" in ask(sock, b"GET / HTTP/1.1\r\n\r\n")
