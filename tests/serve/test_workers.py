"""Workers as processes: they die, hang and fail to start, and the gateway goes on."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import signal
import socket
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.keys.handover import NewestKeySets
from gateway.observe.logs import configure
from gateway.pages.once import Once
from gateway.serve.supervisor import Supervisor, pause_before_restart
from gateway.serve.worker_handle import Member, PassOn
from gateway.serve.worker_slot import EARLY
from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.processes import OPEN, Fleet, fleet, state
from tests.support.programs import SCRIPT, Served, configuration, pinned, run, started, until
from tests.support.running import Stream
from tests.support.tokens import KeyPair
from tests.support.waiting import until as until_true
from tests.support.wire import Client, Reply, get

GOOD = 'cognito_gateway_requests_total{code="200",method="GET"}'


def test_the_pause_grows_from_the_second_early_death_on() -> None:
    pauses = [pause_before_restart(deaths) for deaths in range(10)]
    assert pauses == [0, 0, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert pause_before_restart(10_000) == 30


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # A zombie, where nobody reaps orphans.
    return state(pid) == "Z"


async def counters(served: Served) -> dict[str, float]:
    samples = await served.samples()
    return {name: n for name, n in samples.items() if "_total" in name or "_bucket" in name}


async def test_a_killed_worker_is_replaced_and_nothing_is_uncounted(tmp_path: Path) -> None:
    async with fleet(tmp_path) as running:
        for _ in range(40):
            assert (await running.served.ask("/")).status == 200
        await running.counted(GOOD, 40)
        before = await counters(running.served)
        victim = running.workers[0]
        os.kill(victim, signal.SIGKILL)
        # Connections to the dead worker's socket wait for its successor.
        replies = await asyncio.gather(*(running.served.ask("/") for _ in range(20)))
        assert {reply.status for reply in replies} == {200}
        ended = await running.event("worker_exited")
        assert (ended["pid"], ended["cause"], ended["exit_code"], ended["signal"]) == (
            victim,
            "died",
            None,
            9,
        )
        await running.serving(2)
        await running.counted(GOOD, 60)
        after = await counters(running.served)
        assert all(after[name] >= value for name, value in before.items())
        assert victim not in running.workers
        assert (await running.served.probe()).status == 200


class Load:
    """Clients that each make one request after the other, on a new connection each time."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self.answered = 0
        self.failed = 0
        self._over = False

    async def client(self) -> None:
        while not self._over:
            try:
                reply: Reply = await self._served.ask("/")
            except (ConnectionError, asyncio.IncompleteReadError):
                self.failed += 1
            else:
                assert reply.status == 200
                assert reply.whole
                self.answered += 1
            await asyncio.sleep(0.005)

    def end(self) -> None:
        self._over = True


async def test_under_load_a_killed_worker_takes_only_what_it_held(tmp_path: Path) -> None:
    async with fleet(tmp_path) as running:
        load = Load(running.served)
        clients = [asyncio.create_task(load.client()) for _ in range(4)]
        while load.answered < 100:
            await asyncio.sleep(0.01)
        os.kill(running.workers[0], signal.SIGKILL)
        await running.event("worker_started", 3)
        await running.serving(2)
        answered = load.answered
        while load.answered < answered + 100:
            await asyncio.sleep(0.01)
        load.end()
        await asyncio.gather(*clients)
        # One request of each client at most was in the dead worker's hands.
        assert load.failed <= len(clients)


async def test_a_hung_worker_is_told_from_a_dead_one_and_replaced_in_time(tmp_path: Path) -> None:
    async with fleet(tmp_path) as running:
        victim = running.workers[1]
        begun = time.time()
        os.kill(victim, signal.SIGSTOP)
        ended = await running.event("worker_exited")
        assert (ended["pid"], ended["cause"], ended["signal"]) == (victim, "hung", 9)
        successor = await running.event("worker_started", 3)
        # 2 s of the supervisor's own ticks, and whatever it did not get of the machine's time.
        assert datetime.fromisoformat(successor["timestamp"]).timestamp() - begun < 15
        await running.serving(2)


async def test_a_request_in_a_worker_goes_on_while_another_is_replaced(tmp_path: Path) -> None:
    async with fleet(tmp_path) as running:
        asking = asyncio.create_task(running.served.ask("/slow"))
        await running.slow.waiting.wait()
        # Its client and its upstream: two descriptors more than the other has.
        busy = max(running.workers, key=lambda pid: len(list(Path(f"/proc/{pid}/fd").iterdir())))
        os.kill(next(pid for pid in running.workers if pid != busy), signal.SIGKILL)
        await running.event("worker_exited")
        running.slow.go.set()
        assert (await asking).status == 200


async def test_workers_end_with_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    async with fleet(tmp_path) as running:
        workers = running.workers
        asking = asyncio.create_task(running.served.ask("/slow"))
        await running.slow.waiting.wait()
        os.kill(running.served.pid, signal.SIGKILL)
        await running.served.end()
        running.slow.go.set()
        # What they hold is finished first.
        assert (await asking).status == 200

        async def all_gone() -> bool:
            return all(map(gone, workers))

        await until(all_gone)


def https_upstream(ca: Path) -> str:
    return f"https://127.0.0.1:1', tls: {{ca_file: '{ca}'}}, connect_timeout: '1s"


async def test_one_that_dies_at_its_start_is_waited_for_ever_longer(tmp_path: Path) -> None:
    ca = Authority(tmp_path).file
    good = ca.read_bytes()
    text = configuration(
        port=free_port(),
        metrics_port=(metrics_port := free_port()),
        upstream=https_upstream(ca),
        pools=pinned(tmp_path, KeyPair.generate("key-1")),
        more=OPEN,
    )
    (tmp_path / "gateway.yaml").write_text(text)
    command: list[str | Path] = [SCRIPT, "serve", "--config", "gateway.yaml", "--workers", "2"]
    async with started(tmp_path, command, cwd=tmp_path) as program:
        served = Served(program.process, program.out, program.err, 0, metrics_port)
        running = Fleet(served, None, None, tmp_path / "gateway.yaml")  # type: ignore[arg-type]
        await until(served.is_ready)
        await running.serving(2)
        ca.write_text("nonsense")
        os.kill(running.workers[0], signal.SIGKILL)
        await running.event("worker_exited", 3)
        # The one that was killed counts as well if it had lived for less than EARLY.
        counts = running.events("worker_exited")[1]["restart_in"] > 0
        last = await running.event("worker_exited", 3 if counts else 4)
        pauses = [line["restart_in"] for line in running.events("worker_exited")]
        assert pauses[: 3 if counts else 4] == ([0, 0.5, 1] if counts else [0, 0, 0.5, 1])
        assert last["exit_code"] == 1
        assert last["exact"].startswith("upstream.tls.ca_file")
        probe = await served.probe()
        assert probe.status == 503
        assert b"1 of 2 workers are crash-looping" in probe.body
        ca.write_bytes(good)
        await running.serving(2)
        # Once the successor has lived longer than those did, the trouble is over.
        await until(served.is_ready, seconds=EARLY + 60)
        assert await served.stop() == 0


async def test_no_room_for_a_successor_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(
        configuration(port=0, metrics_port=0, upstream="http://127.0.0.1:1", pools="  user_pools: []")
    )
    stream = Stream()
    log = configure(load(path, {}).config.log, stream)  # type: ignore[arg-type]  # a raw stream will do
    supervisor = Supervisor(load(path, {}).config, 2, log=log)
    await supervisor.start()

    async def no_room(*_: object) -> Member:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(Member, "spawn", no_room)
    supervisor.members()[0].kill()
    await until_true(lambda: b"worker_start_failed" in stream.data)
    await asyncio.wait_for(supervisor.stop(), 30)
    log.close()


async def test_one_that_is_started_as_the_end_comes_ends_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(
        configuration(port=0, metrics_port=0, upstream="http://127.0.0.1:1", pools="  user_pools: []")
    )
    supervisor = Supervisor(load(path, {}).config, 2)
    await supervisor.start()
    spawn, spawning, go = Member.spawn, asyncio.Event(), asyncio.Event()

    async def later(
        sockets: Sequence[socket.socket], keys: NewestKeySets, pass_on: PassOn, once: Once
    ) -> Member:
        member = await spawn(sockets, keys, pass_on, once)
        spawning.set()
        await go.wait()
        return member

    monkeypatch.setattr(Member, "spawn", later)
    supervisor.members()[0].kill()
    await asyncio.wait_for(spawning.wait(), 60)
    stopping = asyncio.create_task(supervisor.stop())
    await until_true(supervisor.ending.is_set)
    go.set()
    await stopping
    # It was not given sockets that are closed.
    assert "Traceback" not in capfd.readouterr().err


def without_warnings(stderr: str) -> list[str]:
    """What `serve` says besides warnings: two workers with cookie sessions get one."""
    return [line for line in stderr.splitlines() if ": warning: " not in line]


async def test_a_first_start_that_the_user_must_mend_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nonsense")
    text = configuration(
        port=free_port(),
        metrics_port=free_port(),
        upstream=https_upstream(tmp_path / "ca.pem"),
        pools=pinned(tmp_path, KeyPair.generate("key-1")),
    )
    (tmp_path / "gateway.yaml").write_text(text)
    done = await asyncio.to_thread(
        run, SCRIPT, "serve", "--config", "gateway.yaml", "--workers", "2", cwd=tmp_path
    )
    assert done.returncode == 1
    (line,) = without_warnings(done.stderr)
    assert line.startswith("cognito-gateway: upstream.tls.ca_file")


@pytest.mark.parametrize("taken", ["listen", "metrics"])
async def test_a_taken_address_is_one_sentence(tmp_path: Path, taken: str) -> None:
    async with fleet(tmp_path) as running:
        served = running.served
        text = configuration(
            port=served.port if taken == "listen" else free_port(),
            metrics_port=served.metrics_port if taken == "metrics" else free_port(),
            upstream=running.upstream.url,
            pools=pinned(tmp_path, KeyPair.generate("key-1")),
        )
        (tmp_path / "second.yaml").write_text(text)
        done = await asyncio.to_thread(
            run, SCRIPT, "serve", "--config", "second.yaml", "--workers", "2", cwd=tmp_path
        )
        assert done.returncode == 1
        (line,) = without_warnings(done.stderr)
        assert line.startswith(f"cognito-gateway: {taken}.address 127.0.0.1:")
        assert "is taken" in line


def refused_by(folder: Path, metrics_port: int) -> None:
    """A second gateway on the same address, with a metrics listener of its own."""
    text = (folder / "gateway.yaml").read_text()
    text = re.sub(r"(metrics: .*127\.0\.0\.1:)\d+", rf"\g<1>{metrics_port}", text)
    (folder / "second.yaml").write_text(text)
    for workers in ("1", "2"):
        done = run(SCRIPT, "serve", "--config", "second.yaml", "--workers", workers, cwd=folder)
        assert (done.returncode, "listen.address" in done.stderr) == (1, True), done.stderr


async def test_workers_share_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "g.sock"
    metrics_port = free_port()
    text = configuration(
        port=0,
        metrics_port=metrics_port,
        upstream="http://127.0.0.1:1",
        pools=pinned(tmp_path, KeyPair.generate("key-1")),
    )
    (tmp_path / "gateway.yaml").write_text(text.replace("127.0.0.1:0", f"unix:{path}"))
    command: list[str | Path] = [SCRIPT, "serve", "--config", "gateway.yaml", "--workers", "2"]
    async with started(tmp_path, command, cwd=tmp_path) as program:
        served = Served(program.process, program.out, program.err, 0, metrics_port)
        running = Fleet(served, None, None, tmp_path / "gateway.yaml")  # type: ignore[arg-type]
        await until(served.is_ready)
        await running.serving(2)
        os.kill(running.workers[0], signal.SIGKILL)
        for _ in range(4):
            async with Client(*await asyncio.open_unix_connection(path)) as client:
                assert (await client.ask(get("/"))).status == 401
        await running.serving(2)
        # A second one is refused, and takes nothing away from the first.
        await asyncio.to_thread(refused_by, tmp_path, free_port())
        async with Client(*await asyncio.open_unix_connection(path)) as client:
            assert (await client.ask(get("/"))).status == 401
        assert await served.stop() == 0
        assert not path.exists()
