"""`helm test`: the pod is nobody's to reach, and tells a gateway from what is none."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.support.certificates import Authority, accepting
from tests.support.ports import free_port
from tests.support.programs import serving
from tests.support.rendering import HELMS, SHAPES, Object, objects, of_kind, one, run, shape
from tests.support.wire import Upstream

pytestmark = pytest.mark.engine


def _pod(*words: str) -> Object:
    return one(objects(shape(HELMS[0], "standalone", *words)), "Pod")


async def _asked(port: int, *words: str) -> CompletedProcess[str]:
    """What the container of the pod says, run here and led to this port."""
    python, option, script, kind, host, _, path = _pod(*words)["spec"]["containers"][0]["command"]
    assert (python, option, host) == ("python", "-c", "shop-cognito-gateway")
    return await asyncio.to_thread(run, sys.executable, option, script, kind, "127.0.0.1", str(port), path)


@pytest.mark.parametrize("name", SHAPES)
def test_no_service_and_no_policy_takes_the_pod_for_a_gateway(helm: str, name: str) -> None:
    all_ = objects(shape(helm, name))
    pod = one(all_, "Pod")
    labels = pod["metadata"]["labels"].items()
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    for service in of_kind(all_, "Service"):
        assert not service["spec"]["selector"].items() <= labels
    for policy in of_kind(all_, "NetworkPolicy"):
        assert not policy["spec"]["podSelector"]["matchLabels"].items() <= labels


async def test_a_gateway_is_one(tmp_path: Path) -> None:
    async with serving(tmp_path, upstream="http://127.0.0.1:9", pools="  user_pools: []", ready=False) as at:
        done = await _asked(at.port)
    assert done.returncode == 0, done.stderr
    assert "is a gateway" in done.stdout


async def test_with_tls_it_asks_so(tmp_path: Path) -> None:
    answer = (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\nContent-Length: 2\r\n\r\n{}"
    )
    tls = accepting(Authority(tmp_path).sign("pod", "gateway.test"))
    words = ("--set", "config.listen.tls.certificate_file=/c,config.listen.tls.key_file=/k")
    async with Upstream(answer=answer, tls=tls).running() as gateway:
        done = await _asked(gateway.port, *words)
        plain = await _asked(gateway.port)
    assert done.returncode == 0, done.stderr
    assert plain.returncode == 1
    assert "Traceback" not in plain.stderr


async def test_another_server_is_none() -> None:
    async with Upstream().running() as other:
        done = await _asked(other.port)
    assert done.returncode == 1
    assert "answered 200, not as a gateway does" in done.stderr


async def test_nobody_is_none() -> None:
    done = await _asked(free_port())
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "Traceback" not in done.stderr
