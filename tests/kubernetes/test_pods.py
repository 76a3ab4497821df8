"""The other shapes with real pods: what they serve, and how they end."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.cluster.asking import ask, bearer, eventually
from tests.support.cluster.node import Node
from tests.support.cluster.shop import (
    PROGRAM_VOLUME,
    base,
    container,
    shop,
    sidecar,
    standalone,
)
from tests.support.rendering import ROOT, program

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow, pytest.mark.timeout(900)]

OWN_CHART = Path(__file__).parents[1] / "helm" / "own_chart"


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
