"""A configuration file that is empty, or ends early, while somebody writes it: nobody meets what it says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.serve.reload import ConfigurationSource, Reloader, losses
from tests.support.figures import Figure
from tests.support.processes import fleet
from tests.support.programs import until
from tests.support.running import Running, logged, running
from tests.support.wire import get, once

GUARDED = "routes:\n  - {path: /open, auth: none}\n  - {path: /**, groups: [admins]}\n"


@contextlib.asynccontextmanager
async def reloading(folder: Path) -> AsyncIterator[tuple[Running, Path, Reloader]]:
    async with running(folder, GUARDED) as gateway:
        path = folder / "gateway.yaml"
        source = ConfigurationSource(path, lambda: load(path, {}))
        source.load()
        reloader = Reloader(source, gateway.worker)
        reloader.start()
        try:
            yield gateway, path, reloader
        finally:
            await reloader.stop()


@pytest.mark.fault("half-written file")
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_file_that_is_truncated_and_written_three_seconds_later_changes_nothing(
    tmp_path: Path, workers: int, figure: Figure
) -> None:
    async with fleet(tmp_path, workers) as gateway:
        text = gateway.path.read_text()
        gateway.path.write_text("")
        until_then = time.monotonic() + 3.0
        statuses, reasons = set(), []
        while time.monotonic() < until_then or not gateway.events("config_reload_deferred"):
            statuses.add((await gateway.served.ask("/")).status)
            probe = json.loads((await gateway.served.probe()).body)
            reasons += [each for each in probe.get("reasons", []) if each["component"] == "configuration"]
            if gateway.events("config_reload"):
                break  # a machine that stood still for so long has seen a file that was meant
            await asyncio.sleep(0.02)
        gateway.path.write_text(text)
        line = await gateway.event("config_reload")
        assert line["result"] == "unchanged"
        assert statuses == {200}
        figure("every answer as before, `config_reload_deferred` in the log, `/readyz` says why")
        assert "lost all its user pools and routes" in reasons[0]["reason"]
        assert gateway.events("config_reload_deferred")[0]["lost"][1] == "routes: 0 instead of 1"
        await until(gateway.served.is_ready)


async def test_a_pause_before_the_routes_opens_nothing(tmp_path: Path) -> None:
    async with reloading(tmp_path) as (gateway, path, _):
        text = path.read_text()
        token = gateway.bearer(**{"cognito:groups": ["staff"]})
        changed = text.replace("drain_timeout: 2s", "drain_timeout: 3s")
        with path.open("w") as file:
            file.write(changed.partition("routes:")[0])
            file.flush()
            (held,) = await logged(gateway, "config_reload_deferred", 1)
            assert held["lost"] == ["routes: 0 instead of 2"]
            assert (await once(gateway.port, get("/x", token))).status == 403
            # Part of the rest: that is a change too, and less than there was.
            file.write("routes:\n  - {path: /open, auth: none}\n")
            file.flush()
            await asyncio.sleep(1.0)
            assert (await once(gateway.port, get("/x", token))).status == 403
            file.write("  - {path: /**, groups: [admins]}\n")
        (line,) = await logged(gateway, "config_reload", 1)
        assert line["result"] == "success"
        assert gateway.worker.config.listen.drain_timeout == 3.0
        assert (await once(gateway.port, get("/x", token))).status == 403
        assert len(await logged(gateway, "config_reload_deferred", 1)) == 1


async def test_a_file_that_stays_half_written_is_applied_after_a_quiet_time(tmp_path: Path) -> None:
    async with reloading(tmp_path) as (gateway, path, reloader):
        path.write_text(path.read_text().partition("routes:")[0])
        began = time.monotonic()
        reloader.ask()
        await logged(gateway, "config_reload_deferred", 1)
        (line,) = await logged(gateway, "config_reload", 1)
        assert line["result"] == "success"
        assert time.monotonic() - began >= 2.0
        assert gateway.worker.config.routes == ()
        probe = await once(gateway.worker.metrics_port, get("/readyz", "Connection: close"))
        assert probe.status == 200


async def test_a_file_that_turns_out_broken_is_no_longer_held_back(tmp_path: Path) -> None:
    async with reloading(tmp_path) as (gateway, path, _):
        path.write_text("")
        await logged(gateway, "config_reload_deferred", 1)
        path.write_text("nonsense: 1\n")
        (line,) = await logged(gateway, "config_reload", 1)
        assert line["result"] == "failure"
        assert (await once(gateway.worker.metrics_port, get("/readyz", "Connection: close"))).status == 200


def test_losses_name_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "g.yaml"
    path.write_text(
        "cognito:\n  user_pools:\n    - {id: us-east-1_AAAAAAAAA, client_ids: [a]}\n"
        "    - {id: us-east-1_BBBBBBBBB, client_ids: [b]}\n" + GUARDED
    )
    full = load(path, {}).config
    assert losses(full, full) == []
    one = replace(full, cognito=replace(full.cognito, user_pools=full.cognito.user_pools[:1]))
    assert losses(one, full) == ["cognito.user_pools: us-east-1_BBBBBBBBB"]
    assert losses(full, one) == []
    assert losses(replace(full, routes=full.routes[:1]), full) == ["routes: 1 instead of 2"]


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_stop_does_not_wait_for_a_file_that_takes_long_to_read(tmp_path: Path, workers: int) -> None:
    """Eight thousand routes take fifteen seconds; a pipe into which nobody writes takes for good."""
    async with fleet(tmp_path, workers) as gateway:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        pipe.rename(gateway.path)
        gateway.served.signal(signal.SIGHUP)

        writer = -1

        async def is_read() -> bool:
            nonlocal writer
            with contextlib.suppress(OSError):  # nobody has it open for reading yet
                writer = os.open(gateway.path, os.O_WRONLY | os.O_NONBLOCK)
            return writer >= 0

        await until(is_read)
        try:
            assert (await gateway.served.ask("/")).status == 200
            gateway.served.signal(signal.SIGTERM)
            assert await gateway.served.end() == 0
        finally:
            os.close(writer)
        assert not gateway.events("config_reload")
        assert gateway.events("stopped")
