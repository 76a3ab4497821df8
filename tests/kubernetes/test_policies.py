"""NetworkPolicies, enforced: the API is reached through the gateway alone, which reaches little itself."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.cluster.node import ADDRESS, OUTSIDE, Node
from tests.support.cluster.shop import PROGRAM_VOLUME, Shop, container, deployment, shop, standalone
from tests.support.programs import started, until
from tests.support.rendering import Object

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow, pytest.mark.timeout(900)]

COGNITO, OTHER = 9229, 9230

# What a pod sees of an address: a status, or that nobody answers.
LOOK = """
import http.client, sys
host, port = sys.argv[1].rsplit(":", 1)
connection = http.client.HTTPConnection(host, int(port), timeout=4)
try:
    connection.request("GET", "/x")
    print(connection.getresponse().status)
except OSError as error:
    print("nothing:", error)
"""


def served(pods: Node, port: int) -> list[str | Path]:
    """A server beyond the node, in the place of Cognito or of any other host."""
    return pods.outside("python3", "-m", "http.server", str(port), "--bind", OUTSIDE)


def seen(made: Shop, where: str, address: str) -> str:
    """What `deployment/NAME` in `where` sees there."""
    name, _, box = where.partition(":")
    return made.kubectl("exec", f"deployment/{name}", "-c", box, "--", "python", "-c", LOOK, address).strip()


async def sees(made: Shop, where: str, address: str, wanted: str) -> bool:
    return await asyncio.to_thread(seen, made, where, address) == wanted


def policed(*egress: Object) -> Object:
    return standalone(
        networkPolicy={
            "enabled": True,
            "upstream": {"podSelector": {"app": "orders"}},
            "egress": list(egress),
        },
    )


@contextmanager
def guarded(pods: Node) -> Iterator[Shop]:
    with shop(pods, "policies") as made:
        made.apply(deployment("stranger", container("0.0.0.0:3000"), volumes=[PROGRAM_VOLUME]))
        made.rolled_out("stranger")
        yield made


async def test_policies_leave_one_way_to_the_api_and_one_to_cognito(pods: Node, tmp_path: Path) -> None:
    async with (
        started(tmp_path, served(pods, COGNITO), name="cognito"),
        started(tmp_path, served(pods, OTHER), name="other"),
    ):
        with guarded(pods) as made:
            names: Object = {
                "to": [{"ipBlock": {"cidr": f"{ADDRESS}/32"}}],
                "ports": [{"port": 53, "protocol": "UDP"}],
            }
            keys: Object = {"to": [{"ipBlock": {"cidr": f"{OUTSIDE}/32"}}], "ports": [{"port": COGNITO}]}
            orders: Object = {
                "to": [{"podSelector": {"matchLabels": {"app": "orders"}}}],
                "ports": [{"port": 3000}],
            }
            # Before there are policies everybody reaches everything, or the rest would say nothing.
            await until(lambda: sees(made, "stranger:orders", "orders:3000", "200"), seconds=60)
            made.put(policed(names, keys, orders))
            made.rolled_out()
            gateway = "shop-cognito-gateway"
            looks = {
                ("stranger:orders", f"{gateway}:80"): "401",
                (f"{gateway}:gateway", "orders:3000"): "200",
                (f"{gateway}:gateway", f"{OUTSIDE}:{COGNITO}"): "404",
                ("stranger:orders", f"{OUTSIDE}:{OTHER}"): "404",
            }
            for (where, address), wanted in looks.items():
                await until(functools.partial(sees, made, where, address, wanted), seconds=60)
            for where, address in (
                ("stranger:orders", "orders:3000"),
                (f"{gateway}:gateway", f"{OUTSIDE}:{OTHER}"),
            ):
                said = await asyncio.to_thread(seen, made, where, address)
                assert said.startswith("nothing"), (where, address, said)
