"""The other shapes with real pods: what they serve, how they end, and what changes reach them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster.inside import network_of
from tests.support.cluster.node import Node
from tests.support.cluster.shop import (
    PROGRAM_VOLUME,
    Shop,
    base,
    container,
    people,
    shop,
    sidecar,
    standalone,
)
from tests.support.rendering import ROOT, Object, program
from tests.support.wire import Client, Reply, get

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow, pytest.mark.timeout(900)]

OWN_CHART = Path(__file__).parents[1] / "helm" / "own_chart"


async def ask(address: str, target: str, *lines: str, port: int = 80) -> Reply:
    async with Client(*await asyncio.open_connection(address, port)) as client:
        return await client.ask(get(target, *lines))


def bearer() -> str:
    (token,) = people(1)
    return f"Authorization: Bearer {token}"


def eventually(true: object, seconds: float = 120) -> None:
    """Wait until calling it gives something true."""
    assert callable(true)
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.5)


# --- what is served ---


async def test_a_sidecar_by_values_answers_and_its_application_is_reached_by_nobody(pods: Node) -> None:
    with shop(pods, "sidecar", orders=False) as made:
        made.put(sidecar(native=True))
        made.rolled_out()
        address = made.address()
        assert (await ask(address, "/x/user")).status == 401
        reply = await ask(address, "/x/user", bearer())
        assert (reply.status, reply.body) == (200, b"user-0")
        (pod,) = made.pods()
        with pytest.raises(ConnectionRefusedError):
            await ask(pod["status"]["podIP"], "/x", port=3000)


async def test_helm_test_finds_the_gateway(pods: Node, helm: str) -> None:
    with shop(pods, f"tested-{helm}", helm=helm) as made:
        made.put(standalone())
        made.rolled_out()
        assert "is a gateway" in made.run("test", "shop", "--logs").stdout


async def test_forward_auth_decides(pods: Node) -> None:
    with shop(pods, "forward", orders=False) as made:
        network = ["10.10.0.0/16", "10.244.0.0/16"]
        made.put(base(mode="forward-auth", config={"listen": {"trusted_proxies": network}}))
        made.rolled_out()
        about = ("X-Forwarded-Method: GET", "X-Forwarded-Proto: http", "X-Forwarded-Host: api.test")
        asked = (*about, "X-Forwarded-Uri: /orders")
        address = made.address()
        assert (await ask(address, "/oauth2/auth", *asked)).status == 401
        reply = await ask(address, "/oauth2/auth", *asked, bearer())
        assert (reply.status, reply.get("X-Auth-Request-User")) == (200, "user-0")


async def test_another_chart_takes_the_sidecar_in(pods: Node, helm: str, tmp_path: Path) -> None:
    chart = tmp_path / "orders"
    shutil.copytree(OWN_CHART, chart)
    # The image that it names is nowhere: it gets one that is here.
    file = chart / "templates" / "deployment.yaml"
    app = container("127.0.0.1:3000")
    lines = [f"{key}: {json.dumps(app[key])}" for key in app if key not in {"name", "resources"}]
    text = file.read_text().replace("image: registry.example.com/orders:7", f"\n{' ' * 10}".join(lines))
    file.write_text(f"{text.rstrip()}\n        - {json.dumps(PROGRAM_VOLUME)}\n")
    subprocess.run(
        [program(helm), "package", ROOT / "helm", "-d", chart / "charts"], check=True, capture_output=True
    )
    with shop(pods, f"own-{helm}", orders=False, helm=helm) as made:
        values = base(mode="include", existingSecret="gateway-secrets", podSelector={"app": "orders"})
        given = tmp_path / "values.json"
        given.write_text(json.dumps({"cognito-gateway": values}))
        made.install("-f", given, chart=chart)
        made.rolled_out("orders")
        assert (await ask(made.address("orders"), "/x/user", bearer())).body == b"user-0"


@pytest.mark.parametrize("native", [True, False], ids=["native", "plain"])
def test_a_job_completes_although_its_sidecar_runs(pods: Node, native: bool) -> None:
    """A native sidecar ends with the Job; a plain one would keep it running."""
    name = f"job-{'native' if native else 'plain'}"
    with shop(pods, name, orders=False) as made:
        made.put(sidecar(native=native, replicaCount=0))
        (deployed,) = (each for each in made.get("deployments"))
        spec = deployed["spec"]["template"]["spec"]
        (app,) = (each for each in spec["containers"] if each["name"] == "orders")
        said = "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8000); c.request('GET', '/x'); "
        app["command"] = ["python", "-c", f"{said}assert c.getresponse().status == 401"]
        for key in ("lifecycle", "readinessProbe"):
            app.pop(key, None)
        spec["restartPolicy"] = "Never"
        job = {"template": {"spec": spec}, "backoffLimit": 2}
        made.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"}, "spec": job})
        if native:
            made.kubectl("wait", "--for=condition=Complete", "job/once", "--timeout=120s")
            return
        # The reason for native sidecars, seen: its own work is done, and the Job goes on.

        def worked() -> bool:
            return any(
                state["name"] == "orders" and "terminated" in state["state"]
                for pod in made.get("pods", "-l", "job-name=once")
                for state in pod["status"].get("containerStatuses", [])
            )

        eventually(worked)
        (seen,) = made.get("jobs")
        assert "completionTime" not in seen["status"]


# --- what changes ---


@pytest.fixture(scope="module")
def changing(pods: Node) -> Iterator[Shop]:
    with network_of(pods.pid), shop(pods, "changing") as made:
        made.put(standalone(config={"routes": [{"path": "/open", "auth": "none"}, {"path": "/**"}]}))
        made.rolled_out()
        yield made


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _written(made: Shop) -> str:
    (config,) = (each for each in made.get("configmaps") if "gateway.yaml" in each["data"])
    text = config["data"]["gateway.yaml"]
    assert isinstance(text, str)
    return text


def _reloads(made: Shop) -> list[Object]:
    (pod,) = made.pods(ready=False)
    return [line for line in made.log(pod["metadata"]["name"]) if line["event"] == "config_reload"]


async def test_a_changed_configmap_is_reloaded_and_a_broken_one_is_not(changing: Shop) -> None:
    """The same pod all the time; its log has the checksums, readiness and a gauge the broken file."""
    (pod,) = changing.pods()
    before = _written(changing)
    changing.put(standalone(config={"routes": [{"path": "/shut", "auth": "none"}, {"path": "/**"}]}))
    after = _written(changing)
    eventually(lambda: _reloads(changing))
    seen = _reloads(changing)[0]
    assert (seen["result"], seen["old_checksum"], seen["new_checksum"]) == (
        "success",
        _checksum(before),
        _checksum(after),
    )
    assert (await ask(changing.address(), "/open")).status == 401
    assert (await ask(changing.address(), "/shut")).status == 200

    changing.put(standalone(config={"routes": [{"path": "no slash", "auth": "none"}]}))
    eventually(lambda: len(_reloads(changing)) == 2)
    failed = _reloads(changing)[1]
    assert (failed["result"], failed["old_checksum"]) == ("failure", _checksum(after))
    assert (await ask(changing.address(), "/shut")).status == 200
    where = pod["status"]["podIP"]
    probe = await ask(where, "/readyz", port=9090)
    assert (probe.status, json.loads(probe.body)["warnings"][0]["component"]) == (200, "configuration")
    metrics = (await ask(where, "/metrics", port=9090)).body
    assert b"cognito_gateway_config_last_reload_successful 0.0" in metrics
    assert [each["metadata"]["uid"] for each in changing.pods()] == [pod["metadata"]["uid"]]


async def test_with_restart_a_broken_configuration_stops_the_rollout_at_its_first_pod(pods: Node) -> None:
    with shop(pods, "restarting") as made:
        made.put(standalone(configChange="restart"))
        made.rolled_out()
        (old,) = made.pods()
        made.put(
            standalone(configChange="restart", config={"routes": [{"path": "no slash", "auth": "none"}]})
        )

        def crashed() -> bool:
            states = [
                state
                for pod in made.get("pods", "-l", "app.kubernetes.io/instance=shop")
                for state in pod["status"].get("containerStatuses", [])
            ]
            return any(state["restartCount"] > 0 for state in states)

        eventually(crashed)
        assert old["metadata"]["uid"] in {pod["metadata"]["uid"] for pod in made.pods()}
        assert (await ask(made.address(), "/x", bearer())).status == 200
        made.put(standalone(configChange="restart", config={"routes": [{"path": "/**"}]}))
        made.rolled_out()
        assert (await ask(made.address(), "/x", bearer())).status == 200
