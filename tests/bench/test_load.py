"""The generators against a real server that counts: what they report is what it saw."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import shutil
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.load import wrk
from bench.load.builtin import Generator, requests
from bench.load.plan import LoadPlan, LoadResult
from bench.load.run import finish_builtin, start_builtin
from bench.processes import BenchError, Process, answers, free_port
from bench.upstream import body
from tests.support.waiting import PATIENCE, until

ANSWER = b"HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\nok"


class Counting:
    """Answers 200, 401 for the token `bad`, and drops the connection for `drop`; counts tokens."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.port = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                token = head.partition(b"Bearer ")[2].partition(b"\r\n")[0].decode()
                self.seen[token] += 1
                if token == "drop":
                    break
                writer.write(ANSWER % (b"401 No" if token == "bad" else b"200 OK"))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Any]:
    counting = Counting()
    async with await asyncio.start_server(counting.handle, "127.0.0.1", 0) as listening:
        counting.port = listening.sockets[0].getsockname()[1]
        yield counting


@pytest.fixture
def plan(server: Any, tmp_path: Path) -> Any:
    tokens = tmp_path / "tokens"
    tokens.write_text("".join(f"t{number}\n" for number in range(50)))
    return LoadPlan(port=server.port, path="/x", tokens=str(tokens), seconds=0.3, connections=4)


async def test_closed_loop_sends_the_first_token_only(server: Any, plan: Any) -> None:
    result = await Generator(plan).run()
    assert set(server.seen) == {"t0"}
    assert result.requests == server.seen["t0"] > 10
    assert result.failed == 0
    assert 0 < result.p50_ms <= result.p99_ms
    assert 0.3 <= result.seconds < PATIENCE


async def test_once_sends_each_of_its_share_once_and_ends(server: Any, plan: Any) -> None:
    result = await Generator(replace(plan, order="once", offset=10, count=20, seconds=600)).run()
    assert server.seen == {f"t{number}": 1 for number in range(10, 30)}
    assert (result.requests, result.failed) == (20, 0)
    assert result.seconds < PATIENCE


async def test_cycle_takes_all_in_turn(server: Any, plan: Any) -> None:
    await Generator(replace(plan, order="cycle", seconds=1.0)).run()
    assert len(server.seen) == 50
    assert max(server.seen.values()) - min(server.seen.values()) <= 1


async def test_open_loop_keeps_its_schedule(server: Any, plan: Any) -> None:
    result = await Generator(replace(plan, rate=200.0, seconds=0.5)).run()
    assert result.requests == server.seen["t0"] == 100
    assert 0.45 < result.seconds < PATIENCE


@pytest.mark.parametrize("rate", [None, 200.0])
async def test_refusals_and_broken_connections_are_failures(
    server: Any, plan: Any, tmp_path: Path, rate: int | None
) -> None:
    (tmp_path / "tokens").write_text("bad\ndrop\ngood\n")
    result = await Generator(replace(plan, order="cycle", rate=rate)).run()
    assert server.seen["good"] > 0
    assert result.failed == server.seen["bad"] + server.seen["drop"]
    assert result.requests == server.seen["bad"] + server.seen["good"]


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "none").write_text("")
    with pytest.raises(ValueError, match="no tokens"):
        requests(LoadPlan(port=1, path="/", tokens=str(tmp_path / "none"), seconds=1))


def test_results_travel_as_json_and_anything_else_is_refused() -> None:
    result = LoadResult(10, 1, 2.0, 0.5, 1.5)
    assert LoadResult.from_json(result.to_json()) == result
    assert result.per_second == 5
    with pytest.raises(ValueError, match="unexpected"):
        LoadResult.from_json('{"unexpected": 1}')


async def test_our_generator_runs_as_a_process_of_its_own(server: Any, plan: Any) -> None:
    started = await asyncio.to_thread(start_builtin, plan)
    result = await asyncio.to_thread(finish_builtin, started, plan)
    assert result.requests == server.seen["t0"] > 10
    assert result.failed == 0


async def test_a_generator_that_cannot_connect_is_an_error(plan: Any) -> None:
    nobody = replace(plan, port=free_port())
    with pytest.raises(BenchError, match="the load generator failed"):
        await asyncio.to_thread(finish_builtin, start_builtin(nobody), nobody)


def test_the_upstream_without_nginx_answers_the_same_over_one_connection(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "bench.upstream", str(port)]
    with Process("upstream", command, cpus=frozenset({0}), log=tmp_path / "log") as process:
        process.wait_until(lambda: answers(port, "/"))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for _ in range(3):
            connection.request("GET", "/x", headers={"Authorization": "Bearer " + "x" * 900})
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, body())
        connection.close()
    assert len(body()) == 700


WRK = shutil.which("wrk") or ""
needs_wrk = pytest.mark.skipif(not WRK, reason="wrk is not installed")


@needs_wrk
async def test_wrk_sends_each_of_its_share_once_and_reports_at_once(server: Any, plan: Any) -> None:
    once = replace(plan, order="once", offset=10, count=20, seconds=600)
    result = await asyncio.to_thread(wrk.run, WRK, once, frozenset({0}))
    # It leaves as soon as the last one is on its way.
    with contextlib.suppress(TimeoutError):
        await until(lambda: sum(server.seen.values()) >= 20)
    assert server.seen == {f"t{number}": 1 for number in range(10, 30)}
    # Answers still on their way when the last request left are not counted by wrk: at most one a connection.
    assert 20 - 4 <= result.requests <= 20
    assert result.failed == 0
    assert result.seconds < PATIENCE


@needs_wrk
async def test_wrk_counts_refusals(server: Any, plan: Any, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("bad\n")
    result = await asyncio.to_thread(wrk.run, WRK, plan, frozenset({0}))
    assert result.failed == result.requests > 0


@needs_wrk
async def test_wrk_without_tokens_is_an_error(plan: Any, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("")
    with pytest.raises(BenchError, match="wrk failed"):
        await asyncio.to_thread(wrk.run, WRK, replace(plan, order="cycle"), frozenset({0}))


def test_wrk_is_interrupted_until_it_ends(plan: Any, tmp_path: Path) -> None:
    """The first signal may come before wrk has begun to sleep, and is lost."""
    standin = tmp_path / "wrk"
    standin.write_text(
        f"""#!{sys.executable}
import signal, sys, time
heard = []
signal.signal(signal.SIGINT, lambda *_: heard.append(1))
print("EXHAUSTED", file=sys.stderr, flush=True)
while len(heard) < 2:
    time.sleep(0.01)
# At its end Python takes the handler away, and the next signal would kill it.
signal.signal(signal.SIGINT, signal.SIG_IGN)
print('RESULT {{"requests": 2, "failed": 0, "seconds": 1, "p50_ms": 1, "p99_ms": 1}}')
"""
    )
    standin.chmod(0o755)
    assert wrk.run(str(standin), plan, frozenset({0})).requests == 2
