"""The one way to Redis, against a real redis-server that is also killed, paused and started again."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.observe.logs import Logger
from gateway.redis.lock import RedisLock
from gateway.redis.redis_client import CONNECTIONS, Redis, RedisUnavailable, Script
from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer, redis_server
from tests.support.shared_redis import Lines, logging_to, redis_at
from tests.support.waiting import until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as started:
        yield started


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def log(tmp_path: Path, lines: Lines) -> Iterator[Logger]:
    with logging_to(tmp_path, lines) as made:
        yield made


async def test_a_stored_value_is_there_until_it_expires(server: RedisServer, log: Logger) -> None:
    async with redis_at(server.url, log) as redis:
        assert await redis.get("k") is None
        await redis.set("k", b"\x00\xff", ttl=30)
        assert await redis.get("k") == b"\x00\xff"
        assert 29_000 < await redis.command("PTTL", "k") <= 30_000
        assert await redis.delete("k", "other") == 1
        await redis.set("k", 1, ttl=0.02)
        await asyncio.sleep(0.1)
        assert await redis.get("k") is None


async def test_a_script_runs_also_after_redis_forgot_it(server: RedisServer, log: Logger) -> None:
    script = Script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    async with redis_at(server.url, log) as redis:
        assert await redis.run(script, ["n"], [2]) == 2
        await redis.command("SCRIPT", "FLUSH")
        assert await redis.run(script, ["n"], [3]) == 5


async def test_an_outage_costs_no_time_and_recovery_is_noticed(
    server: RedisServer, log: Logger, lines: Lines
) -> None:
    async with redis_at(server.url, log) as redis:
        await redis.set("k", 1, ttl=30)
        server.kill()
        with pytest.raises(RedisUnavailable) as first:
            await redis.get("k")
        assert first.value.reason == "unreachable"
        assert redis.unavailable
        # None of them asks: a caller that asks waits, and lets this task run.
        turns = 0

        async def turning() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        others = asyncio.create_task(turning())
        for _ in range(1000):
            with pytest.raises(RedisUnavailable) as refused:
                await redis.get("k")
            assert refused.value.reason == "unavailable"
        assert turns == 0
        others.cancel()
        await until(lines.events)
        server.start()
        await until(lambda: not redis.unavailable)
        assert await redis.get("k") is None
    await until(lambda: len(lines.events()) >= 2)
    assert [(line["event"], line["redis"]) for line in lines.events()] == [
        ("redis_unavailable", f"127.0.0.1:{server.port}"),
        ("redis_recovered", f"127.0.0.1:{server.port}"),
    ]


async def test_a_brief_failure_is_not_logged(server: RedisServer, log: Logger, lines: Lines) -> None:
    async with redis_at(server.url, log, timeout=1.0) as redis:
        await redis.set("k", 1, ttl=30)
        server.pause()
        with pytest.raises(RedisUnavailable) as failure:
            await redis.get("k")
        assert failure.value.reason == "timeout"
        assert redis.unavailable
        server.resume()
        await until(lambda: not redis.unavailable)
        assert await redis.get("k") == b"1"
    log.close()
    assert lines.events() == []


async def test_a_process_that_got_no_cpu_takes_the_answer_that_is_there(
    server: RedisServer, log: Logger, lines: Lines
) -> None:
    async with redis_at(server.url, log, timeout=0.2) as redis:
        await redis.set("k", 1, ttl=30)
        for _ in range(10):
            call = asyncio.create_task(redis.get("k"))
            for _ in range(3):
                await asyncio.sleep(0)
            time.sleep(0.25)  # as a machine does that gives its time to others
            assert await call == b"1"
    log.close()
    assert lines.events() == []


async def test_a_restart_between_two_calls_is_no_failure(server: RedisServer, log: Logger) -> None:
    async with redis_at(server.url, log) as redis:
        await asyncio.gather(*(redis.set(f"k{number}", 1, ttl=30) for number in range(CONNECTIONS)))
        server.restart()
        answers = await asyncio.gather(*(redis.get(f"k{number}") for number in range(CONNECTIONS)))
        assert answers == [None] * CONNECTIONS
        assert not redis.unavailable


async def test_a_silent_redis_costs_one_timeout(server: RedisServer, log: Logger) -> None:
    timeout = 1.5
    async with redis_at(server.url, log, timeout=timeout) as redis:
        await redis.set("k", "mine", ttl=30)
        server.pause()
        began = time.perf_counter()
        failures = await asyncio.gather(*(redis.get("k") for _ in range(100)), return_exceptions=True)
        assert all(isinstance(failure, RedisUnavailable) for failure in failures)
        # Not a hundred of them, and not one for each round of connections.
        assert time.perf_counter() - began < 100 / CONNECTIONS * timeout
        assert redis.unavailable
        server.resume()
        await until(lambda: not redis.unavailable)
        # An answer that came too late is nobody else's.
        await redis.set("other", "other", ttl=30)
        assert await asyncio.gather(*(redis.get(k) for k in ("k", "other") * 20)) == [b"mine", b"other"] * 20


async def test_the_loop_is_never_blocked(server: RedisServer, log: Logger) -> None:
    async with redis_at(server.url, log, timeout=0.2) as redis:
        await redis.command("PING")
        server.pause()
        asked = asyncio.gather(redis.get("k"), return_exceptions=True)
        # A turn of a loop that is free takes microseconds; one that waits for Redis would take 0.2 s and be
        # the only one.
        turns = 0
        while not asked.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns > 10


async def test_a_redis_error_is_not_an_absent_key_and_quotes_nothing(
    server: RedisServer, log: Logger
) -> None:
    async with redis_at(server.url, log) as redis:
        await redis.set("k", "hunter2", ttl=30)
        with pytest.raises(RedisUnavailable) as refused:
            await redis.command("LPUSH", "k", "hunter2")
        assert refused.value.reason == "refused"
        assert "hunter2" not in f"{refused.value!r} {refused.value}"
        assert not redis.unavailable


@pytest.mark.parametrize("right", [True, False])
async def test_a_password_in_the_url(tmp_path: Path, log: Logger, lines: Lines, right: bool) -> None:
    with redis_server(tmp_path, password="hunter2") as server:
        url = server.url if right else server.url.replace("hunter2", "hunter3")
        async with redis_at(url, log) as redis:
            if right:
                await redis.set("k", 1, ttl=30)
            else:
                with pytest.raises(RedisUnavailable):
                    await redis.set("k", 1, ttl=30)
                await until(lines.events)
            assert "hunter" not in f"{redis!r} {redis.__dict__} {lines.data!r}"


async def test_a_password_in_a_file_is_read_for_each_connection(tmp_path: Path, log: Logger) -> None:
    file = tmp_path / "password"
    with redis_server(tmp_path, password="hunter2") as server:
        file.write_text("not yet\n")
        async with redis_at(f"redis://127.0.0.1:{server.port}", log, password_file=file) as redis:
            with pytest.raises(RedisUnavailable):
                await redis.get("k")
            file.write_text("hunter2\n")
            await until(lambda: not redis.unavailable)
            assert await redis.get("k") is None


@contextlib.contextmanager
def over_tls(folder: Path) -> Iterator[tuple[RedisServer, str]]:
    """A server, and the URL of who trusts it."""
    authority = Authority(folder)
    pair = authority.sign("redis", "127.0.0.1")
    port = free_port()
    arguments = (
        "--tls-port",
        str(port),
        "--tls-auth-clients",
        "no",
        "--tls-ca-cert-file",
        str(authority.file),
        *("--tls-cert-file", str(pair.certificate), "--tls-key-file", str(pair.key)),
    )
    with redis_server(folder, arguments=arguments) as server:
        yield server, f"rediss://127.0.0.1:{port}/0?ca_file={authority.file}"


async def test_over_tls_the_name_is_checked(tmp_path: Path, log: Logger) -> None:
    with over_tls(tmp_path) as (_, trusting):
        async with redis_at(trusting, log) as redis:
            await redis.set("k", 1, ttl=30)
        for wrong in (trusting.partition("/0")[0], trusting.replace("127.0.0.1", "localhost")):
            async with redis_at(wrong, log) as redis:
                with pytest.raises(RedisUnavailable) as refused:
                    await redis.get("k")
                assert refused.value.reason == "unreachable"


async def test_a_redis_that_was_silent_over_tls_is_reconnected(tmp_path: Path, log: Logger) -> None:
    """Its idle connections cannot be closed in time: a closure alert of TLS is waited for."""
    with over_tls(tmp_path) as (server, url):
        async with redis_at(url, log, timeout=1.0) as redis:
            await asyncio.gather(redis.get("k"), redis.get("k"))
            server.pause()
            with pytest.raises(RedisUnavailable):
                await redis.get("k")
            # Longer than to close them may take.
            await asyncio.sleep(2.5)
            assert redis.unavailable
            server.resume()
            await until(lambda: not redis.unavailable)
            assert await redis.get("k") is None


async def test_a_redis_that_is_silent_over_tls_can_be_closed(tmp_path: Path, log: Logger) -> None:
    with over_tls(tmp_path) as (server, url):
        redis = Redis(url, log=log, timeout=1.0)
        await redis.get("k")
        server.pause()
        try:
            await redis.close()
        finally:
            server.resume()


async def test_over_a_unix_socket(tmp_path: Path, log: Logger) -> None:
    path = tmp_path / "redis.sock"
    with redis_server(tmp_path, arguments=("--unixsocket", str(path))):
        async with redis_at(f"unix:{path}?db=3", log) as redis:
            await redis.set("k", 1, ttl=30)
            assert await redis.get("k") == b"1"
            assert repr(redis) == f"<Redis unix:{path} available>"


async def test_closed_is_closed(server: RedisServer, log: Logger) -> None:
    redis = Redis(server.url, log=log)
    server.kill()
    with pytest.raises(RedisUnavailable):
        await redis.get("k")
    await redis.close()
    await redis.close()
    with pytest.raises(RedisUnavailable) as closed:
        await redis.get("k")
    assert closed.value.reason == "closed"


def test_the_client_is_loaded_when_configured_and_named_when_missing() -> None:
    program = (
        "import sys, logging; sys.modules['redis'] = None\n"
        "from gateway.redis.redis_client import Redis\n"
        "from gateway.errors import ConfigurationError\n"
        "try: Redis('redis://r', log=None)\n"
        "except ConfigurationError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "-m pip install 'redis" in told
    assert len(told.splitlines()) == 1


# --- the lock ---


async def test_one_holds_it_at_a_time(server: RedisServer, log: Logger) -> None:
    async with redis_at(server.url, log) as redis:
        locks = [RedisLock(redis, "cognito_gateway:lock:a", ttl=30) for _ in range(50)]
        held = await asyncio.gather(*(lock.acquire() for lock in locks))
        assert sum(held) == 1
        holder = locks[held.index(True)]
        other = locks[held.index(False)]
        assert not await other.release()
        assert not await other.renew()
        assert await holder.acquire()  # again, as when an answer was lost
        assert await holder.release()
        assert await other.acquire()
        assert not await holder.renew()


async def test_a_dead_holder_loses_the_lock_and_a_renewing_one_keeps_it(
    server: RedisServer, log: Logger
) -> None:
    async with redis_at(server.url, log) as redis:
        dead, alive = RedisLock(redis, "dead", ttl=1.0), RedisLock(redis, "alive", ttl=1.0)
        assert await dead.acquire()
        assert await alive.acquire()
        for _ in range(6):
            await asyncio.sleep(0.2)
            assert await alive.renew()
        assert await RedisLock(redis, "dead", ttl=1).acquire()
        assert not await RedisLock(redis, "alive", ttl=1).acquire()
        assert not await dead.release()
        assert await redis.get("dead") is not None
