"""compose.yaml from outside: up with the demo, a token, the API through the gateway and not around it."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.support.container_engine import ROOT, Engine
from tests.support.ports import free_port
from tests.support.programs import DEMO_PASSWORD, DEMO_USER

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400), pytest.mark.xdist_group("engine")]

CONFIG = "/etc/cognito-gateway/gateway.yaml"


class Up:
    def __init__(self, engine: Engine, port: int) -> None:
        self.engine, self.port = engine, port

    def compose(self, *words: str, stdin: str = "", check: bool = True) -> str:
        done = subprocess.run(
            ["docker-compose", "-p", "door", "--profile", "demo", *words],
            cwd=ROOT,
            env={
                "PATH": "/usr/bin:/bin:/usr/local/bin",
                "DOCKER_HOST": self.engine.host,
                "GATEWAY_PORT": str(self.port),
            },
            input=stdin,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def get(self, path: str, token: str | None = None) -> tuple[int, bytes]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()


@pytest.fixture(scope="module")
def up(engine: Engine) -> Iterator[Up]:
    up = Up(engine, free_port())
    try:
        up.compose("up", "-d", "--no-build")
        until = time.monotonic() + 180
        while '"event":"key_set_loaded"' not in up.compose("logs", "gateway"):
            assert time.monotonic() < until, up.compose("logs")
            time.sleep(0.5)
        yield up
    finally:
        up.compose("down", "-t", "20", check=False)


def test_the_api_is_reached_with_a_token_and_only_so(up: Up) -> None:
    token = up.compose(
        *("exec", "-T", "gateway", "cognito-gateway", "token", "--config", CONFIG, "--username", DEMO_USER),
        stdin=f"{DEMO_PASSWORD}\n",
    ).strip()
    status, body = up.get("/api/v1/config", token)
    assert status == 200
    assert json.loads(body)["identity"]["groups"] == "admins,users"
    assert up.get("/api/v1/config")[0] == 401


def test_the_gateway_alone_publishes_a_port(up: Up) -> None:
    published = {
        name: json.loads(
            up.engine.docker("inspect", "-f", "{{json .NetworkSettings.Ports}}", f"door_{name}_1")
        )
        for name in ("gateway", "api", "local-cognito")
    }
    assert [name for name, ports in published.items() if any((ports or {}).values())] == ["gateway"]
    # Nor does the metrics listener.
    assert not published["gateway"]["9090/tcp"]


def test_the_api_has_no_way_out(up: Up) -> None:
    networks = json.loads(up.engine.docker("network", "inspect", "door_back"))
    assert networks[0]["Internal"] is True


def test_it_ends_in_order(up: Up) -> None:
    up.compose("stop", "-t", "30", "gateway")
    state = up.engine.inspect("door_gateway_1")["State"]
    assert isinstance(state, dict)
    assert state["ExitCode"] == 0
    up.compose("start", "gateway")
