"""Changed ConfigMaps and Secrets reach running pods, or make new ones; broken ones change nothing."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.cluster.asking import ask, bearer, eventually
from tests.support.cluster.inside import network_of
from tests.support.cluster.node import Node
from tests.support.cluster.shop import KEY, SECRETS, Shop, shop, standalone
from tests.support.load import tokens
from tests.support.programs import until
from tests.support.rendering import Object
from tests.support.tokens import KeyPair, key_set_document

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow, pytest.mark.timeout(900)]

NEW = KeyPair.generate("rotated")


# Of the configuration: a change of it is a reload. The key set beside it is watched where it is used.
SESSIONS = f"{SECRETS}/session-secret"


def values(*routes: Object, **more: Any) -> Object:
    sign_in = {"enabled": True, "session": {"secret_file": SESSIONS}}
    return standalone(config={"routes": [*routes, {"path": "/**"}], "sign_in": sign_in}, **more)


def opened(path: str) -> Object:
    return {"path": path, "auth": "none"}


BROKEN = opened("no slash")


@pytest.fixture(scope="module")
def changing(pods: Node) -> Iterator[Shop]:
    with (
        network_of(pods.pid),
        shop(pods, "changing", secrets={"session-secret": "a" * 43}) as made,
    ):
        made.put(values(opened("/open")))
        made.rolled_out()
        yield made


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _written(made: Shop) -> str:
    (config,) = (each for each in made.get("configmaps") if "gateway.yaml" in each["data"])
    text = config["data"]["gateway.yaml"]
    assert isinstance(text, str)
    return text


def _events(made: Shop, name: str) -> list[Object]:
    (pod,) = made.pods(ready=False)
    return [line for line in made.log(pod["metadata"]["name"]) if line["event"] == name]


def _reloads(made: Shop) -> list[Object]:
    return _events(made, "config_reload")


async def _reported(made: Shop, *, failure: bool) -> None:
    """Readiness, which does not fail, and a gauge."""
    (pod,) = made.pods()
    where = pod["status"]["podIP"]
    probe = await ask(where, "/readyz", port=9090)
    warnings = [each["component"] for each in json.loads(probe.body).get("warnings", [])]
    assert (probe.status, warnings) == (200, ["configuration"] * failure)
    metrics = (await ask(where, "/metrics", port=9090)).body.decode()
    assert f"cognito_gateway_config_last_reload_successful {float(not failure)}" in metrics


async def test_a_changed_configmap_is_reloaded_and_a_broken_one_is_not(changing: Shop) -> None:
    """The same pod all the time; its log has the checksums, readiness and a gauge the broken file."""
    (pod,) = changing.pods()
    done = len(_reloads(changing))
    before = _written(changing)
    changing.put(values(opened("/shut")))
    after = _written(changing)
    took = eventually(lambda: len(_reloads(changing)) > done)
    print(f"a ConfigMap arrived after {took:.0f} s")
    seen = _reloads(changing)[done]
    assert (seen["result"], seen["old_checksum"], seen["new_checksum"]) == (
        "success",
        _checksum(before),
        _checksum(after),
    )
    assert (await ask(changing.address(), "/open")).status == 401
    assert (await ask(changing.address(), "/shut")).status == 200
    await _reported(changing, failure=False)

    changing.put(values(BROKEN))
    eventually(lambda: len(_reloads(changing)) > done + 1)
    failed = _reloads(changing)[done + 1]
    assert (failed["result"], failed["old_checksum"]) == ("failure", _checksum(after))
    assert (await ask(changing.address(), "/shut")).status == 200
    await _reported(changing, failure=True)

    changing.put(values(opened("/open")))
    eventually(lambda: len(_reloads(changing)) > done + 2)
    assert (await ask(changing.address(), "/open")).status == 200
    await _reported(changing, failure=False)
    assert [each["metadata"]["uid"] for each in changing.pods()] == [pod["metadata"]["uid"]]


async def test_a_changed_secret_is_used_and_a_broken_one_is_not(changing: Shop) -> None:
    """The same pod all the time: new keys of the pool, then a file that the configuration names."""
    (pod,) = changing.pods()
    done = len(_reloads(changing))
    (rotated,) = tokens(NEW, 1)
    by_new = f"Authorization: Bearer {rotated}"
    assert (await ask(changing.address(), "/x", by_new)).status == 401
    began = time.monotonic()
    both = {"jwks.json": key_set_document(KEY, NEW).decode()}
    changing.keep({**both, "session-secret": "b" * 43 + "\n" + "a" * 43})

    async def accepted() -> bool:
        return (await ask(changing.address(), "/x", by_new)).status == 200

    await until(accepted, seconds=120, pause=0.5)
    eventually(lambda: len(_reloads(changing)) > done)
    print(f"a Secret arrived within {time.monotonic() - began:.0f} s")
    seen = _reloads(changing)[done]
    assert (seen["result"], seen["changed"]) == ("success", [SESSIONS])

    changing.keep({"jwks.json": "{", "session-secret": ""})
    eventually(lambda: len(_reloads(changing)) > done + 1)
    failed = _reloads(changing)[done + 1]
    assert failed["result"] == "failure"
    (mistake,) = failed["mistakes"]
    assert SESSIONS in mistake
    eventually(lambda: _events(changing, "key_set_fetch_failed"))
    for line in (by_new, bearer()):
        assert (await ask(changing.address(), "/x", line)).status == 200
    await _reported(changing, failure=True)

    changing.keep({**both, "session-secret": "c" * 43})
    eventually(lambda: len(_reloads(changing)) > done + 2)
    await _reported(changing, failure=False)
    assert [each["metadata"]["uid"] for each in changing.pods()] == [pod["metadata"]["uid"]]


async def test_an_annotation_of_the_secret_makes_new_pods(changing: Shop) -> None:
    """Of the user's own making: the chart sees no Secret."""
    (old,) = changing.pods()
    changing.keep({"session-secret": "d" * 43})
    changing.put(values(opened("/open"), podAnnotations={"checksum/secrets": _checksum("d")}))
    changing.rolled_out()

    def replaced() -> bool:
        return old["metadata"]["uid"] not in {pod["metadata"]["uid"] for pod in changing.pods()}

    eventually(replaced)
    (new,) = changing.pods()
    text = changing.kubectl("exec", new["metadata"]["name"], "--", "cat", SESSIONS)
    assert text == "d" * 43
    assert (await ask(changing.address(), "/x", bearer())).status == 200


async def test_with_restart_a_broken_configuration_stops_the_rollout_at_its_first_pod(pods: Node) -> None:
    with shop(pods, "restarting") as made:
        made.put(standalone(configChange="restart"))
        made.rolled_out()
        (old,) = made.pods()
        broken = {"routes": [BROKEN]}
        made.put(standalone(configChange="restart", config=broken))
        eventually(lambda: any(state["restartCount"] > 0 for state in made.states()))
        assert old["metadata"]["uid"] in {pod["metadata"]["uid"] for pod in made.pods()}
        assert (await ask(made.address(), "/x", bearer())).status == 200
        # A valid one makes new pods, and needs no sync of the kubelet.
        valid = {"routes": [opened("/open"), {"path": "/**"}]}
        made.put(standalone(configChange="restart", config=valid))
        made.rolled_out()
        assert (await ask(made.address(), "/open")).status == 200
        assert (await ask(made.address(), "/x", bearer())).status == 200
        assert old["metadata"]["uid"] not in {pod["metadata"]["uid"] for pod in made.pods()}
