"""The container that the chart describes, run by a real engine as Kubernetes would: its arguments, its user,
its files and limits, and the hook that begins the drain. The pod around it is not: no cluster runs here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.container_engine import IMAGE, Engine
from tests.support.rendering import HELMS, Object, gateway_of, objects, of_kind, pod_of, shape

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400), pytest.mark.xdist_group("engine")]

NAME = "gateway-of-the-chart"


@dataclass
class Pod:
    engine: Engine
    gateway: Object

    def log(self) -> list[Object]:
        return [json.loads(line) for line in self.engine.docker("logs", NAME).splitlines() if line[:1] == "{"]

    def until_logged(self, event: str) -> None:
        until = time.monotonic() + 120
        while event not in {record["event"] for record in self.log()}:
            assert time.monotonic() < until, self.engine.docker("logs", NAME)
            time.sleep(0.1)


@pytest.fixture
def pod(engine: Engine, tmp_path: Path) -> Iterator[Pod]:
    all_ = objects(shape(HELMS[0], "sidecar", "--set", "config.listen.drain_delay=1s"))
    gateway = gateway_of(pod_of(all_))
    (config,) = of_kind(all_, "ConfigMap")
    (tmp_path / "gateway.yaml").write_text(config["data"]["gateway.yaml"])
    # A volume is for its group; a test's folder is for root alone.
    tmp_path.chmod(0o755)
    (mount,) = gateway["volumeMounts"]
    allowed = gateway["securityContext"]
    assert allowed["readOnlyRootFilesystem"]
    assert not allowed["allowPrivilegeEscalation"]
    engine.docker(
        *("run", "-d", "--name", NAME, "--network=none", "--read-only", "--security-opt=no-new-privileges"),
        *(f"--cap-drop={each}" for each in allowed["capabilities"]["drop"]),
        *("--user", f"{allowed['runAsUser']}:{allowed['runAsGroup']}"),
        *("--memory", gateway["resources"]["limits"]["memory"].removesuffix("i").lower()),
        *("-v", f"{tmp_path}:{mount['mountPath']}:ro", IMAGE, *gateway["args"]),
    )
    try:
        yield Pod(engine, gateway)
    finally:
        engine.docker("rm", "-f", NAME)


def test_its_hook_begins_the_drain_and_the_signal_behind_it_does_no_harm(engine: Engine, pod: Pod) -> None:
    pod.until_logged("started")
    engine.docker("exec", NAME, *pod.gateway["lifecycle"]["preStop"]["exec"]["command"])
    pod.until_logged("draining")
    engine.docker("stop", "-t", "20", NAME)
    state = engine.inspect(NAME)["State"]
    assert isinstance(state, dict)
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
    assert pod.log()[-1]["event"] == "stopped"
