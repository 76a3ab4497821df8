"""What cookies are sealed with, where no file holds it: one secret for all workers, those to come too."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.support.processes import Fleet, fleet
from tests.support.wire import get, once

WORKERS = 3


def with_domain(running: Fleet) -> None:
    """Managed login on: its cookie is sealed by one worker and opened by another."""
    running.rewrite("jwks_file: jwks.json", "jwks_file: jwks.json, domain: 'http://127.0.0.1:1'")


async def leave(running: Fleet) -> tuple[str, str]:
    """The cookie that /start sets, and the target of a callback that belongs to it."""
    reply = await once(running.served.port, get("/oauth2/start"))
    assert reply.status == 303
    state = dict(parse_qsl(urlsplit(reply.get("location") or "").query))["state"]
    cookie = (reply.get("set-cookie") or "").partition(";")[0]
    said = urlencode({"error": "access_denied", "state": state})
    return f"Cookie: {cookie}", f"/oauth2/callback?{said}"


async def opened(running: Fleet, cookie: str, target: str) -> int:
    """How many of some connections meet a worker that can open the cookie."""
    replies = [
        await once(running.served.port, get(target, cookie, "Accept: text/html")) for _ in range(4 * WORKERS)
    ]
    return sum(b"says: access_denied" in reply.body for reply in replies)


async def test_all_workers_share_it_and_their_successors_too(tmp_path: Path) -> None:
    async with fleet(tmp_path, WORKERS, more="") as running:
        with_domain(running)
        running.served.process.send_signal(signal.SIGHUP)
        await running.event("config_reload")
        cookie, target = await leave(running)
        assert await opened(running, cookie, target) == 4 * WORKERS
        running.rewrite("127.0.0.1:1", "127.0.0.1:2")
        running.served.process.send_signal(signal.SIGHUP)
        await running.event("config_reload", 2)
        os.kill(running.workers[0], signal.SIGKILL)
        await running.event("worker_started", WORKERS + 1)
        await running.serving(WORKERS)
        assert await opened(running, cookie, target) == 4 * WORKERS
        assert (await running.event("session_secret_generated"))["level"] == "warning"
        assert len(running.events("session_secret_generated")) == 1


async def test_it_is_nowhere_to_be_seen(tmp_path: Path) -> None:
    async with fleet(tmp_path, 2, more="") as running:
        for pid in running.workers:
            for name in ("cmdline", "environ"):
                shown = Path(f"/proc/{pid}/{name}").read_bytes()
                assert not re.search(rb"secret=|[A-Za-z0-9+/]{43}=", shown)
