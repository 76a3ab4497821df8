"""Running it: several workers, signals, reloads, as an operator sees them."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.support.ports import is_free
from tests.support.programs import SCRIPT, Served, pinned, serving, until
from tests.support.tokens import KeyPair, access_claims, sign
from tests.support.wire import Client, Received, Upstream, get

KEY = KeyPair.generate("key-1")
OPEN = "routes: [{path: /open, auth: none}]\n"
TWO = {"COGNITO_GATEWAY_LISTEN__WORKERS": "2"}


def token() -> str:
    return sign(KEY, access_claims()).decode("ascii")


async def reloaded(served: Served, result: str, times: int = 1) -> None:
    async def counted() -> bool:
        samples = await served.samples()
        return samples[f'cognito_gateway_config_reloads_total{{result="{result}"}}'] >= times

    async def told() -> bool:
        return [line["result"] for line in served.log if line["event"] == "config_reload"].count(
            result
        ) >= times

    await until(counted)
    # Lines are gathered before they are written.
    await until(told)


@pytest.mark.parametrize("workers", [{}, TWO], ids=["alone", "two workers"])
async def test_it_serves_and_ends_without_any_standard_stream(
    tmp_path: Path, workers: dict[str, str]
) -> None:
    closed: list[str | Path] = ["/bin/sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', SCRIPT]
    async with (
        Upstream().running() as upstream,
        serving(
            tmp_path,
            upstream=upstream.url,
            pools=pinned(tmp_path, KEY),
            more=OPEN,
            command=closed,
            environ=workers,
        ) as served,
    ):
        assert (await served.ask("/open")).status == 200
        # With a number below 3 for a socket, libuv would abort the process here.
        assert await served.stop() == 0


@pytest.mark.parametrize("workers", [{}, TWO], ids=["alone", "two workers"])
async def test_reload(tmp_path: Path, workers: dict[str, str]) -> None:
    async with (
        Upstream().running() as upstream,
        serving(tmp_path, upstream=upstream.url, pools=pinned(tmp_path, KEY), environ=workers) as served,
    ):
        path = tmp_path / "gateway.yaml"
        before = path.read_text()
        assert (await served.ask("/open")).status == 401

        # Changed on disk: noticed by itself.
        path.write_text(before + OPEN)
        await reloaded(served, "success")
        for _ in range(4):
            assert (await served.ask("/open")).status == 200
        assert (await served.bearer(token())).status == 200

        # Broken: the last good one stays, and the log says what is wrong.
        path.write_text(before + OPEN + "nonsense: 1\n")
        await reloaded(served, "failure")
        assert (await served.ask("/open")).status == 200
        said = [record for record in served.log if record["event"] == "config_reload"][-1]
        assert said["result"] == "failure"
        assert "nonsense" in str(said["mistakes"])

        # Asked for: SIGHUP, with the same content as what runs.
        path.write_text(before + OPEN)
        served.signal(signal.SIGHUP)
        await reloaded(served, "unchanged")

        # What cannot be changed live is reported, and the rest applied.
        path.write_text(before.replace("drain_timeout: 10s", "drain_timeout: 9s, workers: 3"))
        await reloaded(served, "success", 2)
        said = [record for record in served.log if record["event"] == "config_reload"][-1]
        if not workers:  # there the environment says it, and beats the file
            assert "listen.workers" in str(said["not_applied"])
        assert (await served.ask("/open")).status == 401
        assert await served.stop() == 0
        assert "Traceback" not in served.stderr + served.stdout


async def test_a_mounted_configuration_is_followed_through_its_symlink(tmp_path: Path) -> None:
    """How Kubernetes swaps a ConfigMap: gateway.yaml → ..data/gateway.yaml, and ..data is renamed over."""
    async with (
        Upstream().running() as upstream,
        serving(tmp_path, upstream=upstream.url, pools=pinned(tmp_path, KEY)) as served,
    ):
        path = tmp_path / "gateway.yaml"
        text = path.read_text().replace("jwks.json", f"{tmp_path}/jwks.json")
        for number, (content, result) in enumerate(((text, "unchanged"), (text + OPEN, "success"))):
            version = tmp_path / f"..version{number}"
            version.mkdir()
            (version / "gateway.yaml").write_text(content)
            (tmp_path / "..next").symlink_to(version)
            (tmp_path / "..next").rename(tmp_path / "..data")
            if not path.is_symlink():
                path.unlink()
                path.symlink_to("..data/gateway.yaml")
            await reloaded(served, result)
        assert (await served.ask("/open")).status == 200


async def test_two_workers_share_the_port_and_the_metrics(tmp_path: Path) -> None:
    async with (
        Upstream().running() as upstream,
        serving(tmp_path, upstream=upstream.url, pools=pinned(tmp_path, KEY), environ=TWO) as served,
    ):
        text = token()
        for _ in range(20):
            assert (await served.bearer(text)).status == 200
        counter = 'cognito_gateway_requests_total{code="200",method="GET"}'

        async def counted() -> bool:
            # A worker that is busy answers a scrape with its last report.
            samples = await served.samples()
            return (samples["cognito_gateway_workers"], samples.get(counter)) == (2, 20)

        await until(counted)
        workers = [pid for pid in served.pids if pid != served.pid]
        assert len(workers) == 2

        # One is killed: the other goes on, a new one comes, nothing that was counted is forgotten.
        os.kill(workers[0], signal.SIGKILL)

        async def replaced() -> bool:
            assert (await served.bearer(text)).status == 200
            now = set(served.pids) - {served.pid}
            return len(now) == 2 and workers[0] not in now and await served.is_ready()

        await until(replaced)  # 3 s on a machine that does nothing else
        assert (await served.samples())[counter] >= 20
        assert await served.stop() == 0
        events = [record["event"] for record in served.log]
        assert events.count("worker_started") == 3
        assert events.count("worker_exited") == 1
        # Sessions in cookies and several workers: said at the start, and nothing else.
        assert served.stderr.startswith(
            "COGNITO_GATEWAY_LISTEN__WORKERS: warning: listen.workers: workers renew"
        )
        assert served.stderr.count("\n") == 1


@pytest.mark.parametrize("workers", [{}, TWO], ids=["alone", "two workers"])
async def test_requests_in_flight_are_finished(tmp_path: Path, workers: dict[str, str]) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await go_on.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")

    async with (
        Upstream(script=slow).running() as upstream,
        serving(tmp_path, upstream=upstream.url, pools=pinned(tmp_path, KEY), environ=workers) as served,
        await Client.connect(served.port) as client,
        await Client.connect(served.port) as idle,
    ):
        await client.send(get("/", f"Authorization: Bearer {token()}"))
        await asyncio.wait_for(asked.wait(), 60)
        served.signal(signal.SIGTERM)
        assert await idle.closed()

        async def refused() -> bool:
            return is_free(served.port)

        await until(refused)
        go_on.set()
        reply = await client.reply()
        assert (reply.status, reply.body, reply.get("Connection")) == (200, b"slow", "close")
        assert await served.end() == 0
