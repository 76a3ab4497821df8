"""Another configuration while requests are served: swapped whole, or not at all, and said either way."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from gateway.config.load import load
from gateway.observe.logs import configure
from gateway.observe.metrics import WorkerMetrics
from gateway.redis.redis_client import Redis
from gateway.serve.app import Gateway
from gateway.serve.reload import ConfigurationSource, Reloader, applicable, files_of
from gateway.serve.server import Server
from gateway.serve.supervisor import Supervisor
from tests.support.key_server import KeyServer
from tests.support.ports import free_port
from tests.support.processes import OPEN, Fleet, Slow, fleet, held_at_start
from tests.support.programs import SCRIPT, Served, configuration, pinned, started, until
from tests.support.running import running
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, key_set_document
from tests.support.waiting import until as until_true
from tests.support.wire import OK, Client, Upstream, get

each_way = pytest.mark.parametrize("workers", [1, 2])
CLOSED = "routes: [{path: /**, auth: required}]"


# --- decided without a process -----------------------------------------------------------------------------


def test_what_cannot_be_applied_is_named_and_the_rest_is_applied(tmp_path: Path) -> None:
    path = tmp_path / "g.yaml"
    path.write_text("")
    running = load(path, {}).config
    path.write_text(
        "listen: {address: ':1', workers: 3, idle_timeout: 5s}\n"
        "metrics: {address: ':2', path: /m}\n"
        "log: {level: debug}\n" + OPEN
    )
    wanted = load(path, {}).config
    config, kept = applicable(wanted, running)
    assert [sentence.split()[0] for sentence in kept] == [
        "listen.address",
        "listen.workers",
        "metrics.address",
        "metrics.path",
    ]
    assert config == dataclasses.replace(
        wanted,
        listen=dataclasses.replace(wanted.listen, address=running.listen.address, workers=1),
        metrics=running.metrics,
    )
    assert applicable(running, running) == (running, [])


def test_files_of_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "g.yaml"
    (tmp_path / "keys.json").write_text("")
    path.write_text(f"cognito: {{user_pools: [{{id: {POOL_ID}, client_ids: [x], jwks_file: keys.json}}]}}\n")
    config = load(path, {}).config
    assert files_of(config) == []
    session = dataclasses.replace(config.sign_in.session, secret_file=tmp_path / "secret")
    config = dataclasses.replace(config, sign_in=dataclasses.replace(config.sign_in, session=session))
    assert files_of(config) == [tmp_path / "secret"]


async def test_what_did_not_change_stays_warm(tmp_path: Path) -> None:
    path = tmp_path / "g.yaml"
    path.write_text(f"cognito:\n{pinned(tmp_path, KeyPair.generate('key-1'))}\nlog: {{level: error}}\n")
    config = load(path, {}).config
    log, metrics = configure(config.log), WorkerMetrics()
    first = Gateway(config, metrics=metrics, log=log)
    await first.start()
    while first.unready():
        await asyncio.sleep(0.005)

    routes = dataclasses.replace(config, routes=())
    second = Gateway(routes, metrics=metrics, log=log, previous=first)
    assert second.pool is first.pool
    assert second.key_sets is first.key_sets
    assert second.authenticator is first.authenticator
    await first.stop(keep=[second])
    assert not second.pool.closed

    # Another client ID: verdicts remembered from before may no longer hold; the keys still do.
    pools = tuple(dataclasses.replace(pool, client_ids=("other",)) for pool in config.cognito.user_pools)
    clients = dataclasses.replace(config, cognito=dataclasses.replace(config.cognito, user_pools=pools))
    third = Gateway(clients, metrics=metrics, log=log, previous=second)
    assert third.authenticator is not second.authenticator
    assert third.unready() == []
    headers = dataclasses.replace(config.identity_headers, user="X-Who")
    fourth = Gateway(
        dataclasses.replace(clients, identity_headers=headers), metrics=metrics, log=log, previous=third
    )
    assert fourth.authenticator is not third.authenticator
    assert fourth.key_sets is third.key_sets
    pageless = dataclasses.replace(fourth.config, sign_in=dataclasses.replace(config.sign_in, enabled=False))
    fifth = Gateway(pageless, metrics=metrics, log=log, previous=fourth)
    assert fifth.authenticator is fourth.authenticator
    for gateway in (second, third, fourth, fifth):
        await gateway.stop()
    log.close()


async def test_a_bug_while_reloading_is_counted_and_the_next_version_gets_its_chance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as gateway:
        path, worker = tmp_path / "gateway.yaml", gateway.worker
        reloader = Reloader(ConfigurationSource(path, lambda: load(path, {})), worker)
        reloader.start()

        async def broken(*_: object) -> None:
            raise LookupError("a bug")

        with monkeypatch.context() as patched:
            patched.setattr(Server, "swap", broken)
            path.write_text(path.read_text() + "cors: {allow_origins: ['https://a.example']}\n")
            reloader.ask()
            await until_true(lambda: worker.metrics.config_reloads["failure"] >= 1)
        path.write_text(path.read_text().replace("a.example", "b.example"))
        reloader.ask()
        await until_true(lambda: worker.metrics.config_reloads["success"] >= 1)
        await reloader.stop()


async def test_objects_built_for_a_check_are_closed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Redis] = []
    make = Redis.__init__

    def remembered(self: Redis, *arguments: Any, **named: Any) -> None:
        make(self, *arguments, **named)
        built.append(self)

    monkeypatch.setattr(Redis, "__init__", remembered)
    path = tmp_path / "g.yaml"
    path.write_text(
        f"cognito:\n{pinned(tmp_path, KeyPair.generate('key-1'))}\n"
        "  revocation: {check_every: 30s, redis_url: 'redis://127.0.0.1:1'}\n"
        "rate_limit: {requests_per_second: 5, redis_url: 'redis://127.0.0.1:1'}\n"
        "sign_in: {session: {store: redis, redis_url: 'redis://127.0.0.1:1'}}\n"
        "tracing: {otlp_endpoint: 'http://127.0.0.1:9'}\nlog: {level: error}\n"
    )
    supervisor = Supervisor(load(path, {}).config, 2)
    threads = threading.active_count()
    await supervisor.reload(load(path, {}).config)
    assert len(built) == 3
    assert {repr(each) for each in built} == {"<Redis 127.0.0.1:1 closed>"}
    # asyncio keeps the one that stopped the sender of spans, for the next.
    assert threading.active_count() <= threads + 1
    supervisor.log.close()


# --- as processes ------------------------------------------------------------------------------------------


def checksum(running: Fleet) -> str:
    return hashlib.sha256(running.path.read_bytes()).hexdigest()[:12]


async def status(running: Fleet, wanted: int) -> None:
    """Every worker answers so: each connection may reach another one."""

    async def all_so() -> bool:
        replies = [await running.served.ask("/") for _ in range(8)]
        return {reply.status for reply in replies} == {wanted}

    await until(all_so)


@each_way
async def test_a_changed_file_is_swapped_in_and_a_broken_one_is_not(tmp_path: Path, workers: int) -> None:
    async with fleet(tmp_path, workers) as running:
        await status(running, 200)
        sums = [checksum(running)]
        running.rewrite(OPEN, CLOSED)
        sums.append(checksum(running))
        reloaded = await running.event("config_reload")
        assert [reloaded[key] for key in ("result", "old_checksum", "new_checksum")] == ["success", *sums]
        await status(running, 401)
        assert await running.reloads("success") == 1

        running.rewrite(CLOSED, OPEN + "\nlog: {level: loud}\nnonsense: 1")
        failed = await running.event("config_reload", 2)
        assert (failed["result"], failed["level"]) == ("failure", "error")
        assert (failed["old_checksum"], failed["new_checksum"]) == (sums[1], checksum(running))
        # Warnings stand among them.
        mistakes = [line for line in failed["mistakes"] if ": warning: " not in line]
        assert len(mistakes) == 2
        assert "'loud' is not one of" in mistakes[0]
        await status(running, 401)
        probe = await running.served.probe()
        (warning,) = json.loads(probe.body)["warnings"]
        assert (probe.status, warning["component"]) == (200, "configuration")
        await running.counted("cognito_gateway_config_last_reload_successful", 0)
        assert await running.reloads("failure") == 1

        # Fixed to what is running already.
        running.rewrite(OPEN + "\nlog: {level: loud}\nnonsense: 1", CLOSED)
        fixed = await running.event("config_reload", 3)
        # What is served has been that file all the time.
        assert (fixed["result"], fixed["old_checksum"], fixed["new_checksum"]) == (
            "unchanged",
            sums[1],
            sums[1],
        )
        assert "warnings" not in json.loads((await running.served.probe()).body)
        await running.counted("cognito_gateway_config_last_reload_successful", 1)
        assert await running.reloads("unchanged") == 1
        assert await running.reloads("success") == 1


@each_way
async def test_sighup_reloads_at_once_and_says_when_nothing_changed(tmp_path: Path, workers: int) -> None:
    async with fleet(tmp_path, workers) as running:
        running.served.signal(signal.SIGHUP)
        assert (await running.event("config_reload"))["result"] == "unchanged"
        assert await running.reloads("unchanged") == 1
        # The log's own settings too.
        running.rewrite(OPEN, OPEN + "\nlog: {access: false}")
        running.served.signal(signal.SIGHUP)
        assert (await running.event("config_reload", 2))["result"] == "success"
        lines = len(running.events("request"))
        for _ in range(8):
            await running.served.ask("/")
        assert await running.served.stop() == 0
        assert len(running.events("request")) == lines


async def test_a_file_that_is_only_touched_or_replaced_by_its_like_is_no_reload(tmp_path: Path) -> None:
    async with fleet(tmp_path, 1) as running:
        text = running.path.read_text()
        running.path.touch()
        other = tmp_path / "other.yaml"
        other.write_text(text)
        other.rename(running.path)
        # A change that does count marks the end of the wait.
        await asyncio.sleep(1.5)
        running.rewrite(OPEN, CLOSED)
        assert (await running.event("config_reload"))["result"] == "success"
        assert await running.reloads("unchanged") == 0


async def test_settings_that_need_a_restart_are_named_and_the_rest_is_applied(tmp_path: Path) -> None:
    async with fleet(tmp_path, 2) as running:
        running.rewrite(f"127.0.0.1:{running.served.metrics_port}", "127.0.0.1:1")
        running.rewrite(OPEN, CLOSED)
        line = await running.event("config_reload")
        assert (line["result"], line["level"]) == ("success", "warning")
        assert line["not_applied"] == ["metrics.address stays unchanged until the gateway is restarted"]
        await status(running, 401)


@each_way
async def test_a_request_in_flight_keeps_the_old_configuration(tmp_path: Path, workers: int) -> None:
    other = Upstream(answer=OK.replace(b"ok", b"no"))
    async with other.running(), fleet(tmp_path, workers, upstream=None) as running:
        asking = asyncio.create_task(running.served.ask("/slow"))
        await running.slow.waiting.wait()
        running.rewrite(running.upstream.url, other.url)
        await running.event("config_reload")

        async def moved() -> bool:
            return {(await running.served.ask("/")).body for _ in range(8)} == {b"no"}

        await until(moved)
        running.slow.go.set()
        reply = await asking
        assert (reply.status, reply.body) == (200, b"ok")


@each_way
async def test_a_kept_alive_connection_meets_the_new_configuration(tmp_path: Path, workers: int) -> None:
    async with fleet(tmp_path, workers) as running, await Client.connect(running.served.port) as client:
        assert (await client.ask(get("/"))).status == 200
        running.rewrite(OPEN, CLOSED)
        await running.event("config_reload")
        assert (await client.ask(get("/"))).status == 401


async def test_a_config_map_is_a_swapped_link(tmp_path: Path) -> None:
    """The way the kubelet does it: gateway.yaml → ..data/gateway.yaml, ..data → ..2024_01, renamed over."""
    mount = tmp_path / "etc"
    mount.mkdir()
    metrics_port, port = free_port(), free_port()

    def version(name: str, more: str) -> None:
        folder = mount / name
        folder.mkdir()
        pools = pinned(tmp_path, KeyPair.generate("key-1")).replace("jwks.json", f"{tmp_path}/jwks.json")
        (folder / "gateway.yaml").write_text(
            configuration(
                port=port, metrics_port=metrics_port, upstream="http://127.0.0.1:1", pools=pools, more=more
            )
        )
        (mount / "..data_tmp").symlink_to(name)
        (mount / "..data_tmp").rename(mount / "..data")

    version("..2024_01", OPEN)
    (mount / "gateway.yaml").symlink_to("..data/gateway.yaml")
    async with started(tmp_path, [SCRIPT, "serve", "--config", mount / "gateway.yaml"]) as program:
        served = Served(program.process, program.out, program.err, port, metrics_port)
        running = Fleet(served, None, None, mount / "gateway.yaml")  # type: ignore[arg-type]
        await until(served.is_listening)
        await status(running, 502)
        version("..2024_02", CLOSED)
        assert (await running.event("config_reload"))["result"] == "success"
        await status(running, 401)
        assert await served.stop() == 0


@each_way
async def test_twenty_reloads_under_load_fail_nobody(tmp_path: Path, workers: int) -> None:
    async with fleet(tmp_path, workers) as running:
        over = asyncio.Event()
        answered = 0

        async def client() -> None:
            nonlocal answered
            async with await Client.connect(running.served.port) as connection:
                while not over.is_set():
                    reply = await connection.ask(get("/"))
                    assert (reply.status, reply.whole) == (200, True)
                    answered += 1
                    await asyncio.sleep(0.002)

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(client())
            for number in range(20):
                text = running.path.read_text().partition("identity_headers")[0]
                running.path.write_text(f"{text}identity_headers: {{user: X-User-{number}}}\n")
                running.served.signal(signal.SIGHUP)

                async def done(times: int = number + 1) -> bool:
                    return await running.reloads("success") == times

                await until(done)
            over.set()
        assert answered > 20
        # Noticed by itself and then asked for, one file may have been loaded twice.
        assert {line["result"] for line in running.events("config_reload")} <= {"success", "unchanged"}
        assert await running.reloads("success") == 20


async def test_reloads_fetch_no_keys_that_are_there(tmp_path: Path) -> None:
    server = KeyServer(key_set_document(KeyPair.generate("key-1")))
    metrics_port = free_port()
    async with server.running():
        text = configuration(
            port=free_port(),
            metrics_port=metrics_port,
            upstream="http://127.0.0.1:1",
            pools=f"  user_pools: [{{id: {POOL_ID}, client_ids: [{CLIENT_ID}], jwks_url: '{server.url}'}}]",
            more=OPEN,
        )
        path = tmp_path / "gateway.yaml"
        path.write_text(text)
        command: list[str | Path] = [SCRIPT, "serve", "--config", path, "--workers", "2"]
        async with started(tmp_path, command) as program:
            served = Served(program.process, program.out, program.err, 0, metrics_port)
            running = Fleet(served, None, None, path)  # type: ignore[arg-type]
            await until(served.is_ready)
            await running.serving(2)
            await until(served.is_ready)
            assert server.fetches == 2
            server.mode = "error"  # Cognito is down from now on
            for number in range(3):
                path.write_text(text.replace(OPEN, f"identity_headers: {{user: X-{number}}}"))
                served.signal(signal.SIGHUP)

                async def done(times: int = number + 1) -> bool:
                    return await running.reloads("success") == times

                await until(done)
                assert (await served.probe()).status == 200
            assert server.fetches == 2
            assert await served.stop() == 0


async def test_what_changes_while_workers_still_start_is_noticed(tmp_path: Path) -> None:
    """One that serves already read the file before, and goes on with what it read."""
    secret = tmp_path / "session-key"
    secret.write_text("a" * 64)
    more = "sign_in: {session: {secret_file: session-key}}"
    async with held_at_start(tmp_path, Slow(), more=more) as (running, held):
        secret.write_text("b" * 64)
        os.kill(held[0], signal.SIGCONT)
        assert (await running.event("config_reload"))["result"] == "success"
