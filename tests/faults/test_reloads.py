"""Fifty reloads under load, by every way a configuration changes: nobody's request fails."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.figures import Figure
from tests.support.load import PATIENCE, TWO, Clients, NamingUpstream, tokens, watching
from tests.support.programs import Served, pinned, serving, until
from tests.support.tokens import KeyPair

pytestmark = pytest.mark.slow

RELOADS = 50
# Never fewer: a file that lost its routes is held back for some seconds.
ROUTES = "routes: [{path: /other, auth: none}]"
# Each changes something else: what is sent upstream, the pool of connections, what tokens are judged by.
CHANGES: tuple[Callable[[str, int], str], ...] = (
    lambda text, number: f"{text}identity_headers: {{user: X-User-{number}}}\n",
    lambda text, number: text.replace("upstream: {", f"upstream: {{connect_timeout: {1000 + number}ms, "),
    lambda text, number: text.replace("cognito:\n", f"cognito:\n  clock_leeway: {number}s\n"),
    lambda text, number: text.replace("path: /other,", f"path: /other/{number},"),
)


def write(path: Path, text: str) -> None:
    """Over the file, as an editor does it."""
    new = path.with_name("new")
    new.write_text(text)
    new.rename(path)


def swap(path: Path, text: str, number: int) -> None:
    """How the kubelet swaps a ConfigMap: gateway.yaml → ..data/gateway.yaml, and ..data is renamed over."""
    version = path.with_name(f"..version{number}")
    version.mkdir()
    (version / path.name).write_text(text)
    path.with_name("..next").symlink_to(version.name)
    path.with_name("..next").rename(path.with_name("..data"))
    if not path.is_symlink():
        path.with_name("..link").symlink_to(f"..data/{path.name}")
        path.with_name("..link").rename(path)


async def reloads(served: Served) -> dict[str, float]:
    samples = await served.samples()
    results = ("success", "failure")
    return {each: samples[f'cognito_gateway_config_reloads_total{{result="{each}"}}'] for each in results}


@pytest.mark.fault("reloads")
async def test_fifty_reloads_fail_nobody(tmp_path: Path, figure: Figure) -> None:
    key = KeyPair.generate("key-1")
    pools = pinned(tmp_path, key).replace("jwks.json", f"{tmp_path}/jwks.json")
    async with (
        NamingUpstream().running() as upstream,
        serving(tmp_path, upstream=upstream.url, pools=pools, more=ROUTES, environ=TWO) as served,
    ):
        path = tmp_path / "gateway.yaml"
        original = path.read_text()
        clients = Clients(served.port, tokens(key, 12))
        wanted = {"success": 0.0, "failure": 0.0}
        async with watching(served), clients.running() as board:
            for number in range(RELOADS):
                broken = number % 10 == 9
                text = original + "nonsense: 1\n" if broken else CHANGES[number % 4](original, number)
                # The last five ways are noticed without being told, once a second.
                if number < 45:
                    write(path, text)
                    served.signal(signal.SIGHUP)
                elif number < 48:
                    write(path, text)
                else:
                    swap(path, text, number)
                wanted["failure" if broken else "success"] += 1

                async def counted() -> bool:
                    return await reloads(served) == wanted

                await until(counted, seconds=PATIENCE)
                await clients.more(20)
            began = time.monotonic()
            await clients.more(200)
        print(f"{RELOADS} reloads: {board}; the last 200 requests took {time.monotonic() - began:.2f} s")
        assert board.failures == []
        figure(f"{board.good:,} requests, slowest {board.slowest * 1000:.0f} ms")
        assert board.good >= 20 * RELOADS
        assert await served.stop() == 0
        assert "Traceback" not in served.stdout + served.stderr
