"""`demo` from outside: its lines pasted one after the other into one shell, then one Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.pages.catalogue import ENGLISH, LANGUAGES
from tests.support.demos import taking_turns
from tests.support.ports import free_port
from tests.support.site import Browser
from tests.support.waiting import PATIENCE

AWS = Path(sys.executable).with_name("aws")


@contextmanager
def demo(folder: Path, port: int, *flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The running demo and what it printed; its temporary files would be in the folder."""
    environ = {**os.environ, "TMPDIR": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "demo", "--port", str(port), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environ,
    )
    assert process.stdout is not None
    try:
        printed = ""
        while "Ctrl-C stops everything." not in printed:
            line = process.stdout.readline()
            assert line, f"the demo ended: {printed}"
            printed += line
        yield process, printed
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(60)
        process.stdout.close()


def commands(printed: str) -> list[str]:
    return [line[2:] for line in printed.splitlines() if line.startswith("$ ")]


def shell(lines: list[str], home: Path) -> str:
    environ = {"PATH": f"{AWS.parent}:/usr/bin:/bin", "HOME": str(home)}
    done = subprocess.run(
        ["bash"],
        input="\n".join(lines),
        env=environ,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.engine
@pytest.mark.skipif(not AWS.exists(), reason="the AWS CLI is not installed beside this Python")
def test_the_printed_lines_work_when_pasted(tmp_path: Path) -> None:
    port = free_port()
    with taking_turns(), demo(tmp_path, port) as (process, printed):
        pasted = commands(printed)
        with_token, without_token = pasted[1], pasted[2]
        assert f"http://127.0.0.1:{port}/api/v1/config" in with_token
        answer = shell(pasted[:2], tmp_path)
        assert '"service": "sample-api"' in answer
        assert '"groups": "admins,users"' in answer
        refusal = shell([without_token], tmp_path)
        assert refusal.startswith("HTTP/1.1 401 ")
        assert re.search(r"(?mi)^WWW-Authenticate: Bearer realm=", refusal)
        assert re.search(r"(?mi)^Content-Type: application/problem\+json", refusal)
        own = shell([pasted[3], with_token], tmp_path)
        assert '"service": "sample-api"' in own
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert list(tmp_path.rglob("*gateway*")) == [], "it leaves no file behind"


def test_taken_ports_are_replaced_and_sigterm_ends_it(tmp_path: Path) -> None:
    with taking_turns(), socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            squatter.bind(("127.0.0.1", 8080))
            squatter.listen()
        except OSError:
            pass  # somebody else holds it: taken all the same
        port = free_port()
        with demo(tmp_path, port) as (process, printed):
            asyncio.run(speaks_all_languages(Browser(port)))
            api = re.search(
                r"^sample API +http://127\.0\.0\.1:(\d+) +\(port 8080 is in use\)$", printed, re.M
            )
            assert api is not None
            assert api[1] != "8080"
            process.send_signal(signal.SIGTERM)
            # Long before drain_timeout's 30 s: nobody has to be waited for.
            assert process.wait(25) == 0


@pytest.mark.engine
def test_the_demo_of_the_set_up_page_can_be_connected(tmp_path: Path) -> None:
    ports = [free_port() for _ in range(4)]
    chosen = [
        f"--{name}-port={port}" for name, port in zip(("cognito", "api", "metrics"), ports, strict=False)
    ]
    with demo(tmp_path, ports[3], "--not-configured", *chosen) as (process, begun):
        printed = begun
        assert f"local Cognito  http://127.0.0.1:{ports[0]}\n" in printed
        assert process.stdout is not None
        while (code := re.search(r" setup_code=([A-Z2-7-]+)", printed)) is None:
            printed += process.stdout.readline()
        named = {
            field: re.search(rf"^  {title} +(\S+)$", printed, re.M)
            for field, title in (
                ("user_pool_id", "user pool ID"),
                ("client_id", "app client ID"),
                ("identity_pool_id", "identity pool ID"),
            )
        }
        fields = {field: found[1] for field, found in named.items() if found is not None}
        asyncio.run(connect(Browser(ports[3]), setup_code=code[1], region="", **fields))
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert list(tmp_path.rglob("*gateway*")) == []


async def speaks_all_languages(browser: Browser) -> None:
    await browser.open("/oauth2/sign_in", "Accept-Language: nl")
    assert '<html lang="en">' in browser.text
    assert {*re.findall(r'name="language" value="([^"]+)"', browser.text)} == {*LANGUAGES} - {ENGLISH}
    await browser.open("/oauth2/sign_in", "Accept-Language: de-AT")
    assert ">Anmelden</button>" in browser.text


async def connect(browser: Browser, **fields: str) -> None:
    await browser.open("/oauth2/setup")
    target, hidden = browser.form()
    await browser.post(target, {**hidden, **fields})
    async with asyncio.timeout(PATIENCE):
        while "connected to your user pool" not in browser.text:
            assert 'role="alert"' not in browser.text
            await asyncio.sleep(0.2)
            await browser.open("/oauth2/setup?saved=5")
    await browser.submit(username="alice@example.com", password="Wonderland-2024")
    await browser.submit(form=1)
    assert "AWS_SESSION_TOKEN" in browser.text


def test_the_gateways_port_is_not_replaced(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "gateway", "demo", "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert f"port {port}" in done.stderr
