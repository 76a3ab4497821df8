"""A Redis in the cluster: three replicas are one to their users, also after it has restarted."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.cluster.asking import eventually
from tests.support.cluster.cognito import Cognito, cognito
from tests.support.cluster.images import program_archive
from tests.support.cluster.node import Node
from tests.support.cluster.shop import Shop, container, deployment, service, shop, standalone
from tests.support.engines import engine
from tests.support.figures import Figure
from tests.support.load import Clients
from tests.support.programs import until
from tests.support.rendering import Object
from tests.support.site import CLIENT, PASSWORD, POOL, Browser, seed
from tests.support.wire import Reply, get, once

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow, pytest.mark.timeout(900)]

URL = "redis://redis:6379/0"
REPLICAS = 3
# Requests each user may have at once, and a second; seconds between two checks of a sign-in.
BURST, RATE, EVERY = 100, 10, 2
USERS = [f"user-{number}@example.com" for number in range(12)]


def redis(program: str) -> list[Object]:
    """It keeps what it was told on a volume, which outlives its container."""
    box = container(
        "",
        name="redis",
        image="redis:local",
        command=[program, "--dir", "/data", "--save", "", "--appendonly", "yes", "--protected-mode", "no"],
        volumeMounts=[{"name": "data", "mountPath": "/data"}],
        readinessProbe={"tcpSocket": {"port": 6379}, "periodSeconds": 1},
    )
    return [
        deployment("redis", box, volumes=[{"name": "data", "emptyDir": {}}]),
        service("redis", 6379, 6379),
    ]


def sharing(known: Cognito) -> Object:
    return standalone(
        replicaCount=REPLICAS,
        config={
            "cognito": {
                **known.config,
                "user_pools": [{"id": POOL, "client_ids": [CLIENT]}],
                "revocation": {"check_every": f"{EVERY}s", "redis_url": URL},
            },
            "sign_in": {
                "enabled": True,
                "session": {
                    "store": "redis",
                    "redis_url": URL,
                    "secret_file": "/etc/cognito-gateway-secrets/session-secret",
                },
            },
            "rate_limit": {"requests_per_second": RATE, "burst": BURST, "redis_url": URL},
        },
    )


@dataclass
class Replicas:
    """Each by its own address: a Service would choose."""

    made: Shop
    known: Cognito
    addresses: list[str]

    async def each(self, *lines: str) -> list[Reply]:
        """What each of them answers to this request."""
        return await asyncio.gather(*(once(8000, get("/x", *lines), at=each) for each in self.addresses))

    async def statuses(self, *lines: str) -> list[int]:
        return [reply.status for reply in await self.each(*lines)]

    async def all_say(self, status: int, *lines: str, seconds: float = 60) -> None:
        async def said() -> bool:
            return set(await self.statuses(*lines)) == {status}

        await until(said, seconds=seconds, pause=0.5)

    async def signed_in(self, user: str) -> Browser:
        """A browser whose session only the first of them has seen."""
        browser = Browser(8000, at=self.addresses[0])
        await browser.open("/oauth2/sign_in")
        await browser.submit(username=user, password=PASSWORD)
        assert browser.location == "/oauth2/", browser.text
        return browser

    def bearer(self, user: str) -> str:
        return f"Authorization: Bearer {self.known.token(CLIENT, user)}"

    async def checks(self) -> float:
        """Of sign-ins at Cognito, by all of them since they started."""
        total = 0.0
        for address in self.addresses:
            text = (await once(9090, get("/metrics", "Connection: close"), at=address)).body.decode()
            for line in text.splitlines():
                if line.startswith("cognito_gateway_revocation_checks_total{") and "shared" not in line:
                    total += float(line.rpartition(" ")[2])
        return total

    def events(self, name: str) -> list[Object]:
        pods = self.made.pods(ready=False)
        lines = [line for pod in pods for line in self.made.log(pod["metadata"]["name"])]
        return [line for line in lines if line["event"] == name]


def cookie(browser: Browser) -> str:
    return "Cookie: " + "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


async def sessions_are_shared(replicas: Replicas, user: str) -> None:
    """Begun at one replica, known to all, ended at another one."""
    browser = await replicas.signed_in(user)
    assert await replicas.statuses(cookie(browser)) == [200] * REPLICAS
    there = Browser(8000, cookies=dict(browser.cookies), at=replicas.addresses[1])
    await there.open("/oauth2/")
    # Of the two ways to sign out, the one of this session alone.
    pages = (there.form(number) for number in range(there.text.count('<form method="post"')))
    ways = [each for each in pages if each[0].endswith("/sign_out")]
    ((target, hidden),) = (way for way in ways if "everywhere" not in way[1])
    await there.post(target, hidden)
    await replicas.all_say(401, cookie(browser))


async def limits_are_shared(replicas: Replicas, user: str) -> None:
    """A burst at all of them is one burst."""
    token, answers = replicas.bearer(user), []
    began = time.monotonic()
    for _ in range(BURST):
        answers += await replicas.statuses(token)
    took = time.monotonic() - began
    assert set(answers) == {200, 429}
    assert BURST <= answers.count(200) <= BURST + RATE * took + REPLICAS


async def revocations_are_shared(replicas: Replicas, user: str) -> None:
    """Signed out at Cognito, refused by all of them."""
    token = replicas.bearer(user)
    assert await replicas.statuses(token) == [200] * REPLICAS
    replicas.known.local.call("AdminUserGlobalSignOut", UserPoolId=POOL, Username=user)
    await replicas.all_say(401, token)


def gone_for_long(made: Shop) -> None:
    """Killed twice: the second time Kubernetes waits 10 s before it starts it again."""
    made.kill("redis", app="redis")
    eventually(lambda: any("running" in each["state"] for each in restarted(made)))
    made.kill("redis", app="redis")
    eventually(lambda: any("waiting" in each["state"] for each in restarted(made)))


def restarted(made: Shop) -> list[Object]:
    return [each for each in made.states("redis", app="redis") if each["restartCount"]]


async def while_redis_is_away(replicas: Replicas, seen: Browser, unseen: Browser) -> None:
    assert await replicas.statuses(cookie(seen)) == [200] * REPLICAS
    replies = await replicas.each(cookie(unseen))
    # The first one began it: of it this replica knows all.
    assert [reply.status for reply in replies[1:]] == [503] * (REPLICAS - 1)
    assert {reply.get("retry-after") for reply in replies[1:]} == {"1"}


@pytest.mark.fault("redis restarts")
async def test_replicas_share_what_is_in_redis_before_and_after_it_restarts(
    pods: Node, tmp_path: Path, figure: Figure
) -> None:
    program = engine("redis-server")
    pods.load_image(program_archive(tmp_path, "redis", program))
    verified = {"Password": PASSWORD, "Attributes": {"email_verified": "true"}}
    document = seed(*({"Username": user, **verified} for user in USERS))
    async with cognito(tmp_path, document) as known:
        secrets = {"cognito-ca.pem": known.authority, "session-secret": "k" * 43}
        with shop(pods, "redis", secrets=secrets) as made:
            # In a thread: Cognito answers from this one.
            await asyncio.to_thread(made.apply, *redis(program))
            await asyncio.to_thread(made.rolled_out, "redis")
            await asyncio.to_thread(made.put, sharing(known))
            await asyncio.to_thread(made.rolled_out)
            replicas = Replicas(made, known, [pod["status"]["podIP"] for pod in made.pods()])
            assert len(replicas.addresses) == REPLICAS
            await sessions_are_shared(replicas, USERS[0])
            await limits_are_shared(replicas, USERS[1])
            await revocations_are_shared(replicas, USERS[2])

            seen, unseen = await replicas.signed_in(USERS[0]), await replicas.signed_in(USERS[0])
            assert await replicas.statuses(cookie(seen)) == [200] * REPLICAS
            tokens = [known.token(CLIENT, user) for user in USERS[4:]]
            # No user more often than the limit allows.
            load = Clients(80, tokens, host=made.address(), pause=0.15, per_connection=5)
            async with load.running() as board:
                await load.more(50)
                checked, began = await replicas.checks(), time.monotonic()
                await load.more(300)
                took = time.monotonic() - began
                checked = await replicas.checks() - checked
                # One check among all of them each time it is due, where each for itself would make three.
                watched = len(tokens) + 3
                assert checked <= 1.5 * watched * (took / EVERY + 1)

                await asyncio.to_thread(gone_for_long, made)
                await while_redis_is_away(replicas, seen, unseen)
                await asyncio.to_thread(made.rolled_out, "redis")
                await load.more(300)
            assert board.failures == []
            assert {line["reason"] for line in replicas.events("redis_unavailable")} <= {
                "timeout",
                "unreachable",
            }

            async def recovered() -> bool:
                said = [len(replicas.events(f"redis_{each}")) for each in ("unavailable", "recovered")]
                return said[0] == said[1] > 0

            await until(recovered, seconds=60, pause=0.5)
            # What was in it is in it.
            await replicas.all_say(200, cookie(unseen))
            assert await replicas.statuses(cookie(seen)) == [200] * REPLICAS
            await sessions_are_shared(replicas, USERS[0])
            await limits_are_shared(replicas, USERS[3])
            await revocations_are_shared(replicas, USERS[4])
        figure(
            f"{board.good:,} requests; sessions, limits and revocations shared before and after; "
            f"{checked:,.0f} checks of {watched} sign-ins in {took:.0f} s, due every {EVERY} s"
        )
