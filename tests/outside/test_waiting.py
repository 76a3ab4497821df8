"""Commands that wait longer than 2 s say on a terminal what for, and nothing where nobody watches."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.programs import (
    DEMO_CLIENT,
    DEMO_PASSWORD,
    DEMO_POOL,
    DEMO_USER,
    SCRIPT,
    cognito,
    environment,
)
from tests.support.terminal import Terminal
from tests.support.tokens import KeyPair, access_claims, sign

# Milliseconds that every answer takes: longer than anybody is left without a word.
DELAY = 3000


@dataclass
class Slow:
    """A Cognito and an upstream that take their time."""

    url: str
    upstream: str
    # Each command that talks to them, and what it then waits for.
    commands: dict[str, tuple[list[str | Path], list[str]]]


@pytest.fixture
async def slow(tmp_path: Path) -> AsyncIterator[Slow]:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        upstream = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with cognito(tmp_path) as (_, url):
            delay(url, DELAY)
            yield Slow(url, upstream, commands(tmp_path, url, upstream))


def delay(cognito: str, milliseconds: int) -> None:
    """Delay every answer of a local Cognito."""
    faults = {kind: {"delay": milliseconds} for kind in ("api", "keys")}
    request = urllib.request.Request(
        f"{cognito}/_faults", json.dumps(faults).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60).close()


def commands(folder: Path, url: str, upstream: str) -> dict[str, tuple[list[str | Path], list[str]]]:
    config, password, token = folder / "gateway.yaml", folder / "password", folder / "token"
    config.write_text(
        f"cognito:\n  endpoint_url: {url}\n"
        f"  user_pools: [{{id: {DEMO_POOL}, client_ids: [{DEMO_CLIENT}]}}]\n"
        f"upstream: {{url: '{upstream}'}}\n"
    )
    password.write_text(DEMO_PASSWORD + "\n")
    token.write_bytes(sign(KeyPair.generate("k"), access_claims()))
    cognito, keys = f"Waiting for Cognito ({url}) …", f"Waiting for the keys of {DEMO_POOL}"
    api = f"Waiting for the upstream {upstream} …"
    sign_in: list[str | Path] = ["--username", DEMO_USER, "--password-file", password]
    exchange: list[str | Path] = ["--identity-pool-id", "us-east-1:00000000-0000-0000-0000-000000000000"]
    return {
        "token": (["token", config, *sign_in], [cognito]),
        "credentials": (["credentials", config, *exchange, "--id-token-file", token], [cognito]),
        "setup": (["setup", "--plan", "--endpoint-url", url, "--region", "us-east-1"], [cognito]),
        "sign-up": (["sign-up", "enable", "--config", config], [cognito]),
        # Without credentials it asks nothing of Cognito but the keys.
        "doctor": (["doctor", config, "--profile", "nobody"], [keys, api]),
        "explain": (["explain", token.read_text(), "--config", config], [keys]),
    }


async def test_a_wait_is_explained_on_a_terminal(slow: Slow, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        # All at once: each waits for itself.
        terminals = {
            name: stack.enter_context(Terminal([SCRIPT, *words], cwd=tmp_path))
            for name, (words, _) in slow.commands.items()
        }
        for name, terminal in terminals.items():
            for line in slow.commands[name][1]:
                terminal.says(line)


async def test_programs_that_read_the_errors_see_no_progress(slow: Slow, tmp_path: Path) -> None:
    running = {
        name: subprocess.Popen(
            [SCRIPT, *words],
            cwd=tmp_path,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, (words, _) in slow.commands.items()
        # The others wait for the same two things.
        if name in {"token", "explain"}
    }
    for name, process in running.items():
        out, err = process.communicate(timeout=200)
        assert "Waiting" not in out + err, name


async def test_many_short_waits_are_explained_as_one_long_one(tmp_path: Path) -> None:
    """Each answer comes before anybody would wonder; all of them together do not."""
    async with cognito(tmp_path) as (_, url):
        delay(url, 1200)
        words = ["setup", "--destroy", "--endpoint-url", url, "--region", "us-east-1"]
        with Terminal([SCRIPT, *words], cwd=tmp_path) as terminal:
            shown = terminal.says("nothing to delete")
        assert shown.count("Waiting for ") == 1, shown
        assert f"Waiting for Cognito ({url}) …" in shown


def test_standard_input_is_asked_for(tmp_path: Path) -> None:
    with Terminal([SCRIPT, "check-config", "-"], cwd=tmp_path) as terminal:
        terminal.says("Paste the configuration, then press Enter and Ctrl-D:")


def test_the_local_cognito_says_that_it_reads_its_seed(tmp_path: Path) -> None:
    seed = tmp_path / "seed.yaml"
    # A pipe that nobody has written to yet.
    os.mkfifo(seed)
    local = SCRIPT.with_name("local-cognito")
    command: list[str | Path] = [local, "--listen", "127.0.0.1:0", "--seed", seed]
    with Terminal(command, cwd=tmp_path) as terminal:
        terminal.says(f"Waiting for the seed {seed} …")
        seed.write_text("UserPools: [{Id: us-east-1_Late, PoolName: late}]\n")
        terminal.says("user pool us-east-1_Late (late)")


async def test_the_local_cognito_ends_although_an_answer_is_delayed(tmp_path: Path) -> None:
    async with cognito(tmp_path) as (program, url):
        delay(url, 600_000)
        asking = urllib.parse.urlsplit(url)
        with socket.create_connection((asking.hostname, asking.port)) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            # The hooks answer after the request before them has begun to wait.
            delay(url, 600_000)
            begun = time.monotonic()
            program.interrupt()
            assert await program.end() == 0
    # Twenty times as long as it should take, and half of what aiohttp waits by itself.
    assert time.monotonic() - begun < 30
