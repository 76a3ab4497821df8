"""The task definition of docs/ecs.md, run as two containers that share one network, as `awsvpc` does.

The local Cognito stands for AWS: it is in the same network, and listens on its loopback only. The tests are
the load balancer, in a subnet that the page's TRUSTED_PROXIES names.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.container_engine import EMULATOR_IMAGE, IMAGE, Engine
from tests.support.ecs import NETWORK, Task, compose_file, container, task_definition
from tests.support.programs import until
from tests.support.site import Browser
from tests.support.wire import Client, Reply, get, once

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400), pytest.mark.xdist_group("engine")]

PROJECT, SUBNET = "orders", "10.0.77.0/24"
USER, PASSWORD, SECRET = "alice@example.com", "Wonderland-2024", "a1b2c3d4e5f6a7b8c9d0e1f2"
COGNITO = "http://127.0.0.1:9229"
# An API that listens where LISTEN says, as the page's does.
API = f"""
FROM {EMULATOR_IMAGE}
ENTRYPOINT ["sh", "-c", \
"exec python -m local_cognito.sample_api --host ${{LISTEN%:*}} --port ${{LISTEN#*:}}"]
"""
LISTENING = """
import socket, time
for _ in range(600):
    if socket.socket().connect_ex(("127.0.0.1", 8080)) == 0:
        raise SystemExit(0)
    time.sleep(0.2)
raise SystemExit("the API does not listen")
"""
KEYS = (
    "http.client as h; c = h.HTTPConnection('127.0.0.1', 9229); c.request('GET', '/{}/.well-known/jwks.json')"
)


def seed(task: Task) -> dict[str, Any]:
    """The pool, the client and the secret that the task definition names."""
    variables = {each["name"]: each["value"] for each in container(task, "gateway")["environment"]}
    pool = "COGNITO_GATEWAY_COGNITO__USER_POOLS__0__"
    client = {
        "ClientId": variables[f"{pool}CLIENT_IDS__0"],
        "ClientName": "orders",
        "ClientSecret": SECRET,
        "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    }
    user = {"Username": USER, "Password": PASSWORD, "Attributes": {"email_verified": "true"}}
    return {
        "UserPools": [
            {
                "Id": variables[f"{pool}ID"],
                "PoolName": "orders",
                "UsernameAttributes": ["email"],
                "Clients": [client],
                "Users": [user],
            }
        ]
    }


class Running:
    """The task, as its load balancer and `docker` see it."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        self.task = task_definition()
        pool = seed(self.task)["UserPools"][0]["Id"]
        (folder / "seed.json").write_text(json.dumps(seed(self.task)))
        (secret,) = container(self.task, "gateway")["secrets"]
        network = {
            "image": EMULATOR_IMAGE,
            "command": ["--seed", "/seed.json"],
            "volumes": [f"{folder}/seed.json:/seed.json:ro"],
            "healthcheck": {
                "test": ["CMD", "python", "-c", f"import {KEYS.format(pool)}; c.getresponse()"],
                "interval": "1s",
                "retries": 60,
            },
        }
        composed = compose_file(
            self.task,
            secrets={secret["valueFrom"]: SECRET},
            # In place of AWS.
            more={"gateway": {"COGNITO_GATEWAY_COGNITO__ENDPOINT_URL": COGNITO}},
            network=network,
            subnet=SUBNET,
        )
        (folder / "compose.yaml").write_text(json.dumps(composed))

    def build(self) -> None:
        """Give the images the names by which the task definition asks for them."""
        self.engine.docker("tag", IMAGE, container(self.task, "gateway")["image"])
        (self.folder / "Dockerfile").write_text(API)
        self.engine.docker("build", "-t", container(self.task, "api")["image"], self.folder)

    def compose(self, *words: str, check: bool = True) -> str:
        file = self.folder / "compose.yaml"
        return self.engine.run("docker-compose", "-p", PROJECT, "-f", file, *words, check=check)

    def inspect(self, name: str) -> dict[str, Any]:
        return self.engine.inspect(f"{PROJECT}_{name}_1")

    def inside(self, name: str, *words: str) -> str:
        return self.engine.docker("exec", f"{PROJECT}_{name}_1", *words)

    @property
    def health(self) -> str:
        return str(self.inspect("gateway")["State"]["Health"]["Status"])

    @property
    def address(self) -> str:
        """Of the task's network interface."""
        return str(self.inspect(NETWORK)["NetworkSettings"]["Networks"][f"{PROJECT}_vpc"]["IPAddress"])

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.engine.docker("logs", f"{PROJECT}_gateway_1").splitlines()]

    def token(self) -> str:
        """Sign in from within the task: the local Cognito is on its loopback."""
        script = f"printf %s '{PASSWORD}' | cognito-gateway token --username {USER}"
        return self.inside("gateway", "sh", "-euc", script).strip()

    async def ask(self, target: str, *lines: str, port: int = 8000) -> Reply:
        return await once(port, get(target, *lines), at=self.address)

    async def connects(self, port: int) -> bool:
        try:
            async with await Client.connect(port, at=self.address):
                return True
        except ConnectionRefusedError:
            return False


@pytest.fixture(scope="module")
def running(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(engine, tmp_path_factory.mktemp("ecs"))
    running.folder.chmod(0o755)
    try:
        running.build()
        running.compose("up", "-d", "--no-build")
        deadline = time.monotonic() + 180
        # ECS sends nothing before this.
        while running.health != "healthy":
            assert time.monotonic() < deadline, running.inspect("gateway")["State"]
            time.sleep(0.2)
        # `START` does not wait until the API listens.
        running.inside("gateway", "python", "-c", LISTENING)
        yield running
    finally:
        running.compose("down", "-v", "-t", "1", check=False)


def test_ecs_would_call_it_healthy(running: Running) -> None:
    """By the check of the task definition; ECS ignores the image's."""
    gateway = container(running.task, "gateway")
    found = running.inspect("gateway")
    assert found["Config"]["Healthcheck"]["Test"] == gateway["healthCheck"]["command"]
    assert found["State"]["Health"]["FailingStreak"] == 0
    assert found["HostConfig"]["ReadonlyRootfs"] is True
    assert running.inside("gateway", "id", "-u").strip() == gateway["user"].partition(":")[0]


async def test_the_load_balancer_may_send_requests(running: Running) -> None:
    assert (await running.ask("/readyz", port=9090)).status == 200


async def test_the_api_is_reached_with_a_token_and_only_so(running: Running) -> None:
    refused = await running.ask("/api/v1/config")
    assert refused.status == 401
    assert "Bearer" in (refused.get("www-authenticate") or "")
    token = f"Authorization: Bearer {running.token()}"
    reply = await running.ask("/api/v1/config", token)
    assert (reply.status, json.loads(reply.body)["service"]) == (200, "sample-api")
    spoilt = f"{token[:-8]}{'A' * 8}"
    assert (await running.ask("/api/v1/config", spoilt)).status == 401


async def test_the_api_is_not_reached_past_the_gateway(running: Running) -> None:
    """It listens within the task; from outside, nothing answers."""
    ask = (
        "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8080); c.request('GET', '/api/v1/status')"
    )
    said = running.inside("gateway", "python", "-c", f"{ask}; print(c.getresponse().status)")
    assert said.strip() == "200"
    mapped = [each["containerPort"] for each in container(running.task, "gateway")["portMappings"]]
    assert mapped == [8000, 9090]
    assert [await running.connects(port) for port in (8000, 9090, 8080)] == [True, True, False]


async def test_the_load_balancer_is_believed_about_the_client(running: Running) -> None:
    lines = ("X-Forwarded-For: 198.51.100.7", f"Authorization: Bearer {running.token()}")
    reply = await running.ask("/headers", *lines)
    received = {name.lower(): value for name, value in json.loads(reply.body)["headers"]}
    assert received["x-forwarded-for"].startswith("198.51.100.7, 10.0.77.")

    clients: list[str] = []

    async def logged() -> bool:
        clients[:] = [each["client"] for each in running.log if each.get("path") == "/headers"]
        return bool(clients)

    # The engine shows a moment later what a container wrote.
    await until(logged)
    assert clients == ["198.51.100.7"]


async def test_the_secret_of_the_app_client_has_arrived(running: Running) -> None:
    """Cognito refuses a sign-in of this client without its hash."""
    browser = Browser(8000, at=running.address, host="orders.example.com")
    await browser.open("/oauth2/sign_in")
    await browser.submit(username=USER, password=PASSWORD)
    assert "__Host-cognito_gateway" in "".join(browser.cookies)
    assert (await browser.open("/api/v1/config")).status == 200
    assert SECRET not in json.dumps(running.log)


async def test_a_task_that_stops_loses_no_request(running: Running) -> None:
    """The last test: it stops the task, as ECS does. The gateway drains first, and the API stops after it."""
    token = f"Authorization: Bearer {running.token()}"
    head = get("/api/v1/echo", token, "Content-Length: 8", method="POST")
    async with await Client.connect(8000, at=running.address) as slow:
        await slow.send(head + b"half")
        stopping = asyncio.ensure_future(asyncio.to_thread(running.compose, "stop"))

        async def draining() -> bool:
            return (await running.ask("/readyz", port=9090)).status == 503

        await until(draining)
        # The load balancer still sends requests, until it has noticed.
        for _ in range(20):
            reply = await running.ask("/api/v1/status", token)
            assert (reply.status, reply.get("connection")) == (200, "close")

        async def deaf() -> bool:
            return not await running.connects(8000)

        await until(deaf)
        assert not stopping.done()
        # What began before the end is served to its own.
        await slow.send(b"half")
        reply = await slow.reply()
        assert (reply.status, reply.body) == (200, b"halfhalf")
    await stopping
    states = {name: running.inspect(name)["State"] for name in ("gateway", "api")}
    assert [(each["ExitCode"], each["OOMKilled"]) for each in states.values()] == [(0, False)] * 2
    assert states["gateway"]["FinishedAt"] < states["api"]["FinishedAt"]
    assert running.log[-1]["event"] == "stopped"
