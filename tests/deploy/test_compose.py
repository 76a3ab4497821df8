"""docs/compose.md from outside: a token, the API through the gateway and not around it; one's own API."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from tests.support.container_engine import EMULATOR_IMAGE, ROOT, Engine
from tests.support.page_commands import DOCS, commands_of
from tests.support.ports import free_port
from tests.support.programs import DEMO_CLIENT, DEMO_PASSWORD, DEMO_POOL
from tests.support.site import Browser

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400), pytest.mark.xdist_group("engine")]

PAGE = DOCS / "compose.md"
START, TOKEN, CURL, END, OWN, LOGS = commands_of(PAGE)


class Composed:
    """One project of docker compose: the page's commands as they are printed, in a shell that is no bash."""

    def __init__(self, engine: Engine, project: str, folder: Path = ROOT) -> None:
        self.engine, self.project, self.folder, self.port = engine, project, folder, free_port()

    def sh(self, *lines: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        script = "\n".join(lines)
        for printed, here in (
            # Debian's is the first generation: another name, and it cannot wait. The images are built
            # already, from a base image that needs no registry.
            ("docker compose", f"docker-compose -p {self.project}"),
            (" --wait", ""),
            (" --build", " --no-build"),
            # The same port in every test would be somebody else's.
            (":8000/", f":{self.port}/"),
        ):
            script = script.replace(printed, here)
        done = subprocess.run(
            ["sh", "-euc", script],
            cwd=self.folder,
            env={
                "PATH": "/usr/bin:/bin:/usr/local/bin",
                "DOCKER_HOST": self.engine.host,
                "GATEWAY_PORT": str(self.port),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def state(self, service: str) -> Mapping[str, object]:
        state = self.engine.inspect(f"{self.project}_{service}_1")["State"]
        assert isinstance(state, dict)
        return state

    def is_healthy(self, service: str) -> bool:
        health = self.state(service)["Health"]
        assert isinstance(health, dict)
        return bool(health["Status"] == "healthy")

    def status(self, path: str) -> int:
        """Of an answer to nobody in particular; 0 where there is none."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code
        except OSError:
            return 0


@pytest.fixture(scope="module")
def demo(engine: Engine) -> Iterator[Composed]:
    demo = Composed(engine, "door")
    try:
        demo.sh(START)
        until = time.monotonic() + 180
        while not demo.is_healthy("gateway"):
            assert time.monotonic() < until, demo.sh("docker compose -f compose.demo.yaml logs").stdout
            time.sleep(0.5)
        yield demo
    finally:
        demo.sh(f"{END} -t 20", check=False)


def test_the_api_is_reached_with_a_token_and_only_so(demo: Composed) -> None:
    assert DEMO_PASSWORD in TOKEN
    answer = json.loads(demo.sh(TOKEN, CURL.replace("curl ", "curl -s ")).stdout)
    assert answer["identity"]["groups"] == "admins,users"
    assert demo.status("/api/v1/config") == 401


def test_the_gateway_began_once_the_local_cognito_was_healthy(demo: Composed) -> None:
    assert demo.is_healthy("local-cognito")
    log = demo.sh("docker compose -f compose.demo.yaml logs gateway").stdout
    assert '"event":"key_set_loaded"' in log
    assert "key_set_fetch_failed" not in log


def test_the_gateways_port_alone_is_published(demo: Composed) -> None:
    """By the local Cognito, whose network the gateway shares."""
    found = demo.engine.docker("inspect", "-f", "{{json .NetworkSettings.Ports}}", "door_local-cognito_1")
    published = {port: where for port, where in json.loads(found).items() if where}
    assert list(published) == ["8000/tcp"]
    for name in ("gateway", "api"):
        found = demo.engine.docker("inspect", "-f", "{{json .NetworkSettings.Ports}}", f"door_{name}_1")
        assert not any((json.loads(found) or {}).values()), name


def test_the_api_has_no_way_out(demo: Composed) -> None:
    networks = json.loads(demo.engine.docker("network", "inspect", "door_back"))
    assert networks[0]["Internal"] is True


def test_it_ends_in_order(demo: Composed) -> None:
    demo.sh("docker compose -f compose.demo.yaml stop -t 30 gateway")
    assert demo.state("gateway")["ExitCode"] == 0
    demo.sh("docker compose -f compose.demo.yaml start gateway")


# --- an API of one's own -----------------------------------------------------------------------------------

# The page's file .env.
OWN_SETTINGS = dict(
    re.findall(r"^    ([A-Z_]+)=('[^']*'|\S+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
)
# A Cognito for the set-up page, on the gateway's own loopback.
COGNITO = f"""
services:
  gateway:
    environment:
      COGNITO_GATEWAY_COGNITO__ENDPOINT_URL: http://127.0.0.1:9229
  local-cognito:
    image: {EMULATOR_IMAGE}
    command: [--demo]
    network_mode: "service:gateway"
"""


@pytest.fixture
def own(engine: Engine, tmp_path: Path) -> Iterator[Composed]:
    shutil.copy(ROOT / "compose.yaml", tmp_path)
    shutil.copytree(ROOT / "config", tmp_path / "config")
    composed = Composed(engine, "own", tmp_path)
    yield composed
    composed.sh("docker compose down -v -t 20", check=False)


def answers(own: Composed, path: str) -> int:
    """The status of the first answer."""
    until = time.monotonic() + 180
    while (status := own.status(path)) == 0:
        assert time.monotonic() < until, own.sh("docker compose logs").stdout
        time.sleep(0.5)
    return status


def test_ones_own_api_has_nothing_of_the_demo(own: Composed) -> None:
    (own.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in OWN_SETTINGS.items()))
    own.sh(OWN)
    assert answers(own, "/") == 401
    lines = own.engine.docker("logs", "own_gateway_1").splitlines()
    (begun,) = [each for each in map(json.loads, lines) if each["event"] == "started"]
    (pool,) = yaml.safe_load(OWN_SETTINGS["USER_POOLS"].strip("'"))
    assert (begun["user_pools"], begun["upstream"]) == ([pool["id"]], OWN_SETTINGS["API_URL"])
    resolved = own.sh("docker compose config").stdout
    assert "9229" not in resolved
    assert "LocalDemo" not in resolved
    # The metrics listener is for the container's network.
    ports = own.engine.docker("inspect", "-f", "{{json .NetworkSettings.Ports}}", "own_gateway_1")
    assert [port for port, where in json.loads(ports).items() if where] == ["8000/tcp"]


async def test_with_nothing_configured_the_set_up_page_keeps_what_it_is_given(own: Composed) -> None:
    """In the named volume: a new container has it."""
    (own.folder / "compose.override.yaml").write_text(COGNITO)
    own.sh(OWN)
    assert answers(own, "/") == 503
    browser = Browser(own.port)
    await browser.open("/oauth2/setup")
    (code,) = re.findall(r'"setup_code":"([^"]+)"', own.sh(LOGS).stdout)
    target, hidden = browser.form()
    ids = {"region": "", "user_pool_id": DEMO_POOL, "client_id": DEMO_CLIENT, "identity_pool_id": ""}
    await browser.post(target, {**hidden, **ids, "setup_code": code})
    assert "Connecting" in browser.text
    until = time.monotonic() + 120
    while own.status("/") != 401:
        assert time.monotonic() < until, own.sh(LOGS).stdout
        time.sleep(0.5)
    own.sh("docker compose down -t 20", OWN)
    assert answers(own, "/") == 401
