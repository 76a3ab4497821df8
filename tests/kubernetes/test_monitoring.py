"""A real Prometheus in the cluster finds the pods by the chart's ServiceMonitor, and answers its queries.

Its configuration is made by the Prometheus operator's own code.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.observe.metrics import PREFIX
from tests.support.cluster.monitoring import PORT, SELECTED, SPACE, prometheus
from tests.support.cluster.node import NODE, Node
from tests.support.cluster.shop import KEY, SECRETS, Shop, merged, shop, standalone
from tests.support.programs import until
from tests.support.prometheus import VARIABLES, api, names, queries
from tests.support.rendering import CHART, Object
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, access_claims, sign
from tests.support.wire import Client, get, once

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow, pytest.mark.timeout(900)]

REPLICAS = 2
# Nobody in the cluster reaches Cognito: of this pool the gateway gets no keys.
KEYLESS = "ap-south-1_TestPool2"
FORGER = KeyPair.generate(KEY.kid, serial=1)
# More of them, by all replicas, than one a second for the five minutes that the alert looks at.
FORGED = 100
# More than one in a hundred requests.
UNDECIDED = 5
BROKEN = {"path": "no slash"}

# What nothing in this test makes happen.
SILENT_PANELS = {
    *("Checks by result A", "Accepted tokens that cannot be checked A", "Sessions A", "Session renewals A"),
    *("MCP clients A", "Rate-limited requests A", "Limits reached A", "Spans A"),
    "Time until certificates expire A",
}
SILENT_ALERTS = {
    "CognitoGatewayCertificateExpires",
    "CognitoGatewayFull",
    "CognitoGatewayRevocationErrors",
    "CognitoGatewaySessionsNotRenewed",
}
# Whose conditions the test brings about; most alert only when they have lasted.
ACTIVE = {
    "CognitoGatewayNoKeys",
    "CognitoGatewayErrors",
    "CognitoGatewayUpstreamErrors",
    "CognitoGatewayForgedTokens",
    "CognitoGatewayLimitsNotShared",
}


def values(**more: Any) -> Object:
    pools = [
        {"id": POOL_ID, "client_ids": [CLIENT_ID], "jwks_file": f"{SECRETS}/jwks.json"},
        {"id": KEYLESS, "client_ids": [CLIENT_ID]},
    ]
    given = standalone(
        replicaCount=REPLICAS,
        config={
            "cognito": {"user_pools": pools},
            "rate_limit": {"requests_per_second": 100_000, "redis_url": "redis://nowhere:6379/0"},
        },
        networkPolicy={
            "enabled": True,
            "upstream": {"podSelector": {"app": "orders"}},
            "metricsFrom": [
                {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": SPACE}}},
            ],
        },
        metrics={
            "serviceMonitor": {
                "enabled": True,
                "interval": "1s",
                "scrapeTimeout": "1s",
                "labels": SELECTED,
                "relabelings": [
                    {"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"},
                ],
            },
            "prometheusRule": {"enabled": True, "labels": SELECTED},
        },
    )
    return merged(given, more)


@dataclass
class Monitored:
    """The gateways and their Prometheus."""

    made: Shop
    at: str

    async def ask(self, path: str, **query: str) -> Any:
        return await api(PORT, path, at=self.at, **query)

    async def query(self, text: str) -> list[Any]:
        result = (await self.ask("query", query=text))["result"]
        assert isinstance(result, list)
        return result

    async def alerts(self) -> dict[str, str]:
        """Those whose condition holds, and whether for long enough."""
        found = (await self.ask("alerts"))["alerts"]
        return {each["labels"]["alertname"]: each["state"] for each in found}

    async def targets(self) -> list[Any]:
        found = (await self.ask("targets"))["activeTargets"]
        assert isinstance(found, list)
        return found

    async def addresses(self) -> list[str]:
        pods = await asyncio.to_thread(self.made.pods, ready=False)
        return [pod["status"]["podIP"] for pod in pods if "podIP" in pod["status"]]


def bearer(token: bytes) -> bytes:
    return get("/x", f"Authorization: Bearer {token.decode()}")


async def traffic(address: str, allowed: int) -> None:
    good = bearer(sign(KEY, access_claims()))
    forged = bearer(sign(FORGER, access_claims()))
    keyless = bearer(sign(KEY, access_claims(KEYLESS)))
    async with await Client.connect(8000, at=address) as client:
        for asked, status in ((good, allowed), (good, allowed), (get("/x"), 401)):
            assert (await client.ask(asked)).status == status
        for _ in range(UNDECIDED):
            assert (await client.ask(keyless)).status == 503
        for _ in range(FORGED):
            assert (await client.ask(forged)).status == 401
    assert (await once(8000, get("/a//b"), at=address)).status == 400


async def served(seen: Monitored) -> bool:
    """The name of the API, which was not there before, leads to it."""
    asked = bearer(sign(KEY, access_claims()))
    replies = [await once(8000, asked, at=address) for address in await seen.addresses()]
    return [reply.status for reply in replies] == [200] * REPLICAS


async def found_by_its_service(seen: Monitored) -> None:
    """Each pod once, although it is not ready, with the labels that alerts and dashboard go by."""

    async def up() -> bool:
        found = await seen.targets()
        return [each["health"] for each in found] == ["up"] * REPLICAS

    await until(up, seconds=180, pause=0.5)
    pods = await asyncio.to_thread(seen.made.pods, ready=False)
    assert not any(await asyncio.to_thread(seen.made.pods))
    labels = [each["labels"] for each in await seen.targets()]
    name = "shop-cognito-gateway"
    assert sorted(labels, key=lambda each: each["pod"]) == [
        {
            "job": "cognito-gateway",
            "namespace": seen.made.space,
            "service": f"{name}-metrics",
            "endpoint": "metrics",
            "container": "gateway",
            "pod": pod["metadata"]["name"],
            "instance": f"{pod['status']['podIP']}:9090",
            "node": NODE,
        }
        for pod in sorted(pods, key=lambda each: each["metadata"]["name"])
    ]
    # No label of the gateway's own has the name of one of these: Prometheus would rename it.
    known = await seen.ask("labels", **{"match[]": f'{{__name__=~"{PREFIX}.*"}}'})
    assert [label for label in known if label.startswith("exported_")] == []


async def alerts_have_their_data(seen: Monitored) -> None:
    (group,) = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"]
    rules = [rule for each in (await seen.ask("rules"))["groups"] for rule in each["rules"]]
    assert {rule["name"]: rule["health"] for rule in rules} == {
        rule["alert"]: "ok" for rule in group["rules"]
    }
    silent = set()
    for rule in group["rules"]:
        for metric in names(rule["expr"]):
            of_here = f'{{job="cognito-gateway", namespace="{seen.made.space}"}}'
            if not await seen.query(f"{metric}{of_here}"):
                silent.add(rule["alert"])
    assert silent == SILENT_ALERTS


async def dashboard_has_its_data(seen: Monitored) -> None:
    """With what its variables offer, as one chooses there."""
    of = {"match[]": f"{PREFIX}build_info"}
    jobs, instances = [await seen.ask(f"label/{name}/values", **of) for name in ("job", "instance")]
    assert jobs == ["cognito-gateway"]
    assert len(instances) == REPLICAS
    chosen = {**VARIABLES, "$job": jobs[0], "$instance": "|".join(instances)}
    answers = {where: await seen.query(query) for where, query in queries(chosen)}
    assert {where for where, answer in answers.items() if not answer} == SILENT_PANELS
    assert {each["metric"]["code"] for each in answers["Requests by status A"]} >= {"200", "400", "401"}
    assert len(answers["Workers A"]) == REPLICAS


async def test_prometheus_finds_the_pods_by_the_servicemonitor_and_answers_every_query(
    pods: Node, tmp_path: Path
) -> None:
    with shop(pods, "monitored", orders=False) as made:
        made.put(values(replicaCount=0))
        with prometheus(pods, tmp_path, made.space) as at:
            seen = Monitored(made, at)

            async def absent() -> bool:
                return "CognitoGatewayAbsent" in await seen.alerts()

            await until(absent, seconds=60, pause=0.5)
            await asyncio.to_thread(made.put, values())
            await found_by_its_service(seen)

            async def present() -> bool:
                return not await absent()

            # Rules are evaluated at their own times, not when targets are found.
            await until(present, seconds=60, pause=0.5)

            # A rate needs two samples: what happened before the first one does not count.
            async def active() -> bool:
                for address in await seen.addresses():
                    await traffic(address, 502)
                return await seen.alerts() == dict.fromkeys(ACTIVE, "pending")

            await until(active, seconds=120, pause=1)

            await asyncio.to_thread(made.start_orders)
            await until(lambda: served(seen), seconds=60, pause=0.5)
            await asyncio.to_thread(made.put, values(config={"routes": [BROKEN]}))

            async def reported() -> bool:
                for address in await seen.addresses():
                    await traffic(address, 200)
                # This one does not wait.
                return (await seen.alerts()).get("CognitoGatewayReloadFailed") == "firing"

            await until(reported, seconds=120, pause=1)
            await alerts_have_their_data(seen)
            await dashboard_has_its_data(seen)
