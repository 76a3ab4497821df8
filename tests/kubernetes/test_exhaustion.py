"""Pods without memory, or without room under `state_dir`: what the fault held is lost, and nothing else."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.cluster.cognito import cognito
from tests.support.cluster.node import Node
from tests.support.cluster.shop import Shop, people, shop, standalone
from tests.support.figures import Figure
from tests.support.load import Clients, Kind
from tests.support.programs import until
from tests.support.rendering import Object
from tests.support.site import ALICE, CLIENT, PASSWORD, POOL, Browser, seed
from tests.support.wire import Reply, get, once

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow, pytest.mark.timeout(900)]

# Takes the container's memory in processes that are smaller than the gateway: the kernel ends the largest.
EAT = """
import os, time
for _ in range(80):
    if os.fork() == 0:
        held = b"x" * (6 << 20)
        time.sleep(600)
    time.sleep(0.02)
time.sleep(600)
"""
# Leaves no byte under /state.
FILL = """
with open("/state/filler", "wb", buffering=0) as file:
    try:
        while True:
            file.write(bytes(4096))
    except OSError as error:
        print(error.strerror)
"""
GOOD = {"region": "us-east-1", "user_pool_id": POOL, "client_id": CLIENT, "identity_pool_id": ""}
FULL = (
    "sign_in.state_dir: /state/connection.yaml: cannot be written: no space left on device: free some space, "
    "or choose another path"
)


def ended(made: Shop) -> list[Object]:
    """How the gateway's containers ended that had to be started again."""
    return [each["lastState"]["terminated"] for each in made.states() if "terminated" in each["lastState"]]


def python(made: Shop, text: str) -> str:
    """Run it in the gateway's container."""
    return made.kubectl("exec", "deployment/shop-cognito-gateway", "--", "python", "-c", text)


@pytest.mark.fault("out of memory")
async def test_a_container_out_of_memory_loses_what_it_held(pods: Node, figure: Figure) -> None:
    """One of two replicas; Kubernetes knows why, and starts it again in the same pod."""
    with shop(pods, "memory") as made:
        made.put(standalone(replicaCount=2))
        made.rolled_out()
        load = Clients(80, people(8), host=made.address(), pause=0.02, per_connection=50)
        async with load.running() as board:
            await load.more(500)
            with pytest.raises(AssertionError, match="exit code 137"):
                await asyncio.to_thread(python, made, EAT)

            async def back() -> bool:
                return len(await asyncio.to_thread(ended, made)) == 1

            await until(back, seconds=120)
            await asyncio.to_thread(made.rolled_out)
            await load.more(200)
        (end,) = ended(made)
        assert (end["reason"], end["exitCode"]) == ("OOMKilled", 137)
        assert {each.kind for each in board.failures} <= {Kind.RESET, Kind.CUT, Kind.REFUSED}
        held = sum(each.kind is not Kind.REFUSED for each in board.failures)
        assert held <= len(load.tokens)
        refused = len(board.failures) - held
        figure(f"{board.good:,} requests; {held} that it held lost, {refused} connections refused meanwhile")


class Unconnected:
    """The only pod of a gateway that is connected to a pool on its set-up page."""

    def __init__(self, made: Shop) -> None:
        self.made = made

    @functools.cached_property
    def address(self) -> str:
        (pod,) = self.made.pods(ready=False)
        address = pod["status"]["podIP"]
        assert isinstance(address, str)
        return address

    async def probe(self, path: str) -> int:
        try:
            return (await once(9090, get(path, "Connection: close"), at=self.address)).status
        except (OSError, KeyError, asyncio.IncompleteReadError):
            return 0

    async def serves(self) -> bool:
        return await self.probe("/healthz") == 200

    async def ready(self) -> bool:
        return await self.probe("/readyz") == 200

    def log(self, event: str) -> list[Object]:
        (pod,) = self.made.pods(ready=False)
        return [line for line in self.made.log(pod["metadata"]["name"]) if line["event"] == event]

    def browser(self) -> Browser:
        return Browser(8000, at=self.address)

    async def connect(self, browser: Browser, fields: Mapping[str, str]) -> Reply:
        """Fill in the set-up page's form; a stranger by the newest code of the log."""
        await browser.open("/oauth2/setup")
        target, hidden = browser.form()
        return await browser.post(target, {**hidden, **GOOD, **fields})

    def code(self) -> dict[str, str]:
        return {"setup_code": self.log("setup_code")[-1]["setup_code"]}


def connected_by_a_page(config: Object) -> Object:
    return standalone(
        config={
            "cognito": {"user_pools": [], **config},
            "sign_in": {"enabled": True, "state_dir": "/state", "admin_groups": ["admins"]},
        },
        extraVolumes=[{"name": "state", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}],
        extraVolumeMounts=[{"name": "state", "mountPath": "/state"}],
    )


@pytest.mark.fault("disk full")
async def test_a_full_state_dir_loses_only_what_was_to_be_stored(
    pods: Node, tmp_path: Path, figure: Figure
) -> None:
    document = seed()
    clients = document["UserPools"][0]["Clients"]
    clients.append({**clients[0], "ClientId": "another"})
    async with cognito(tmp_path, document) as known:
        with shop(pods, "full", secrets={"cognito-ca.pem": known.authority}) as made:
            made.put(connected_by_a_page(known.config))
            pod = Unconnected(made)
            await until(pod.serves, seconds=180)

            # Nobody can connect it while the disk is full, and the log says why; afterwards it works.
            assert python(made, FILL).strip() == "No space left on device"
            browser = pod.browser()
            assert (await pod.connect(browser, pod.code())).status == 500
            assert "couldn&#39;t save them" in browser.text
            (line,) = pod.log("setup")
            assert (line["result"], line["exact"]) == ("failed", FULL)
            assert (
                python(made, "import os; os.remove('/state/filler'); print(os.listdir('/state'))") == "[]\n"
            )
            await pod.connect(browser, pod.code())
            assert "Connecting" in browser.text
            await until(pod.ready, seconds=90)
            made.rolled_out()

            # Connected, and full again: a change is refused, and nobody else notices.
            admin = pod.browser()

            async def connected() -> bool:
                # A gateway without a pool is ready, too: it redirects to the set-up page.
                await admin.open("/oauth2/sign_in")
                return admin.location == "/oauth2/sign_in"

            await until(connected, seconds=90)
            await admin.submit(username=ALICE, password=PASSWORD)
            tokens = [known.token(CLIENT, ALICE) for _ in range(4)]
            load = Clients(80, tokens, host=made.address(), pause=0.02, per_connection=50)
            async with load.running() as board:
                await load.more(50)
                assert await asyncio.to_thread(python, made, FILL)
                change = {"client_id": "another", "password": PASSWORD}
                assert (await pod.connect(admin, change)).status == 500
                await load.more(200)
            assert board.failures == []
            assert [line["exact"] for line in pod.log("setup")] == [FULL, None, FULL]

            # The old connection is whole: a container that starts now uses it.
            made.kill()
            await until(pod.ready, seconds=120)
            ask = get("/x", f"Authorization: Bearer {tokens[0]}")
            assert (await once(8000, ask, at=pod.address)).status == 200
        figure(f"{board.good:,} requests; two changes of the connection refused, the old one kept")
