"""Sign-outs, disabled and deleted users against the local Cognito: access ends in time, theirs only."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.config.load import load
from gateway.observe.logs import configure
from gateway.observe.metrics import WorkerMetrics
from gateway.serve.revocation_wiring import revocation_of
from gateway.serve.worker import Worker
from gateway.sessions.session import Session
from local_cognito.server import LocalCognito
from tests.support.local_cognito import serving
from tests.support.portal import Browser, form_token, jar_of
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer, redis_server
from tests.support.shared_redis import Lines
from tests.support.tunnels import UPGRADE, echo
from tests.support.verifying import cache_of
from tests.support.waiting import Lag, until
from tests.support.wire import Client, Reply, Upstream, get, once

POOL = "us-east-1_Revoking1"
CLIENT = "revoking1client"
IDENTITY_POOL = "us-east-1:00000000-0000-4000-8000-000000000001"
PASSWORD = "Correct-Horse-1"
CHECK_EVERY = 1.0
SEED: dict[str, Any] = {
    "UserPools": [
        {
            "Id": POOL,
            "PoolName": "revoking",
            "Clients": [
                {
                    "ClientId": CLIENT,
                    "ClientName": "c",
                    "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
                }
            ],
            "Users": [{"Username": name, "Password": PASSWORD} for name in ("alice", "bob", "carol")],
        }
    ],
    "IdentityPools": [
        {
            "Id": IDENTITY_POOL,
            "IdentityPoolName": "revoking",
            "AllowUnauthenticatedIdentities": False,
            "CognitoIdentityProviders": [
                {
                    "ProviderName": f"cognito-idp.us-east-1.amazonaws.com/{POOL}",
                    "ClientId": CLIENT,
                    # AWS's default: it gives credentials for an ID token of a user who has signed out.
                    "ServerSideTokenCheck": False,
                }
            ],
            "AuthenticatedRole": "revoking",
        }
    ],
}
CREDENTIALS = "/oauth2/credentials"


@dataclass
class SignIn:
    """One sign-in's tokens, in front of one gateway."""

    access: str
    id: str
    refresh: str


class Guarded:
    """A gateway that asks a local Cognito."""

    def __init__(self, worker: Worker, lines: Lines) -> None:
        self.worker = worker
        self.lines = lines

    async def status(self, token: str, target: str = "/") -> int:
        return (await once(self.worker.port, get(target, f"Authorization: Bearer {token}"))).status

    @property
    def checks(self) -> dict[str, int]:
        return dict(self.worker.metrics.revocation_checks)

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines.events() if line["event"] == name]

    async def checked(self, result: str = "active", more: int = 1) -> None:
        """Wait until so many more checks had this result."""
        before = self.checks.get(result, 0)
        await until(lambda: self.checks.get(result, 0) >= before + more)

    async def refuses(self, token: str, within: float) -> float:
        """Ask until it is refused; the seconds that took, less those that this process did not get."""
        return await becomes(lambda: self.status(token), 401, within)


async def becomes(ask: Callable[[], Awaitable[int]], status: int, within: float) -> float:
    """Ask until that is the answer; the seconds that took, less those that this process did not get."""
    began = time.monotonic()
    async with Lag() as lag:
        while await ask() != status:
            assert time.monotonic() - began - lag.seconds < within, "still let in"
            await asyncio.sleep(0.02)
        return time.monotonic() - began - lag.seconds


@pytest.fixture
async def cognito() -> AsyncIterator[LocalCognito]:
    async with serving(SEED, port=free_port()) as local:
        yield local


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as started:
        yield started


@contextlib.asynccontextmanager
async def guarded(
    folder: Path,
    cognito: LocalCognito,
    revocation: str = "",
    *,
    token_use: str = "access",
    more: str = "",
    upstream: Upstream | None = None,
) -> AsyncIterator[Guarded]:
    folder.mkdir(exist_ok=True)
    upstream = upstream or Upstream()
    async with upstream.running():
        path = folder / "gateway.yaml"
        path.write_text(
            "listen: {address: '127.0.0.1:0', drain_timeout: 2s}\nmetrics: {address: '127.0.0.1:0'}\n"
            f"upstream: {{url: '{upstream.url}'}}\ncognito:\n  endpoint_url: {cognito.url}\n"
            f"  user_pools: [{{id: {POOL}, client_ids: [{CLIENT}], token_use: [{token_use}], "
            f"identity_pool_id: '{IDENTITY_POOL}'}}]\n"
            f"  revocation: {{check_every: 1s{', ' if revocation else ''}{revocation}}}\n" + more
        )
        lines = Lines()
        config = load(path, {}).config
        log = configure(config.log, lines)  # type: ignore[arg-type]  # a raw stream is all it needs
        worker = Worker(config, log=log)
        await worker.start()
        await until(lambda: not worker.app.unready())
        try:
            yield Guarded(worker, lines)
        finally:
            await worker.stop()
            log.close()


def sign_in(cognito: LocalCognito, name: str) -> SignIn:
    result = cognito.call(
        "InitiateAuth",
        ClientId=CLIENT,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": name, "PASSWORD": PASSWORD},
    )["AuthenticationResult"]
    return SignIn(result["AccessToken"], result["IdToken"], result["RefreshToken"])


def end(cognito: LocalCognito, how: str, tokens: SignIn, name: str) -> None:
    match how:
        case "GlobalSignOut":
            cognito.call(how, AccessToken=tokens.access)
        case "RevokeToken":
            cognito.call(how, Token=tokens.refresh, ClientId=CLIENT)
        case _:
            cognito.call(how, UserPoolId=POOL, Username=name)


ENDS = ["GlobalSignOut", "AdminUserGlobalSignOut", "AdminDisableUser", "AdminDeleteUser", "RevokeToken"]


@pytest.mark.parametrize("how", ENDS)
async def test_access_ends_within_check_every_and_only_theirs(
    tmp_path: Path, cognito: LocalCognito, how: str
) -> None:
    async with guarded(tmp_path, cognito) as gateway:
        alice, bob = sign_in(cognito, "alice"), sign_in(cognito, "bob")
        assert [await gateway.status(each.access) for each in (alice, bob)] == [200, 200]
        await until(lambda: gateway.checks.get("active", 0) >= 2)
        end(cognito, how, alice, "alice")
        assert await gateway.refuses(alice.access, CHECK_EVERY + 0.5) < CHECK_EVERY + 0.1
        assert await gateway.status(bob.access) == 200
        reply = await once(gateway.worker.port, get("/", f"Authorization: Bearer {alice.access}"))
        assert 'error="invalid_token"' in (reply.get("WWW-Authenticate") or "")
        assert gateway.worker.metrics.auth_decisions["refused", "token_revoked"] >= 2
        await until(lambda: gateway.events("token_revoked"))
        assert len(gateway.events("token_revoked")) == 1
        assert alice.access.encode() not in gateway.lines.data
        assert b"AccessToken" not in gateway.lines.data


async def test_who_rests_after_one_request_loses_access_too(tmp_path: Path, cognito: LocalCognito) -> None:
    async with guarded(tmp_path, cognito) as gateway:
        alice = sign_in(cognito, "alice")
        assert await gateway.status(alice.access) == 200
        await gateway.checked(more=0)
        end(cognito, "GlobalSignOut", alice, "alice")
        began = time.monotonic()
        async with Lag() as lag:
            await until(lambda: gateway.checks.get("revoked"))
            assert time.monotonic() - began - lag.seconds < CHECK_EVERY + 0.1
        assert await gateway.status(alice.access) == 401


@pytest.mark.parametrize("how", ENDS)
async def test_a_websocket_goes_with_its_sign_in(tmp_path: Path, cognito: LocalCognito, how: str) -> None:
    async with (
        guarded(tmp_path, cognito, upstream=Upstream(script=echo)) as gateway,
        await Client.connect(gateway.worker.port) as hers,
        await Client.connect(gateway.worker.port) as his,
    ):
        alice, bob = sign_in(cognito, "alice"), sign_in(cognito, "bob")
        for client, tokens in ((hers, alice), (his, bob)):
            reply = await client.ask(get("/ws", f"Authorization: Bearer {tokens.access}", *UPGRADE))
            assert reply.status == 101
        # A tunnel is use, for as long as it lasts, and whether anything is said in it or not.
        await asyncio.sleep(2 * CHECK_EVERY)
        await gateway.checked(more=2)
        async with Lag() as lag:
            end(cognito, how, alice, "alice")
            began = time.monotonic()
            assert await asyncio.wait_for(hers.reader.read(), 30) == b"\x88\x0f\x03\xf0token revoked"
            # Deadlines are looked at some times a second.
            assert time.monotonic() - began - lag.seconds < CHECK_EVERY + 0.3
        await his.send(b"\x82\x01x")
        assert await his.reader.readexactly(3) == b"\x82\x01x"


async def test_a_token_that_rests_is_not_kept_and_not_asked_about(
    tmp_path: Path, cognito: LocalCognito
) -> None:
    async with guarded(tmp_path, cognito) as gateway:
        alice = sign_in(cognito, "alice")
        assert await gateway.status(alice.access) == 200
        revocation = gateway.worker.app.revocation
        assert revocation is not None
        schedule = revocation.ledger.schedule
        assert len(schedule) == 1
        await until(lambda: len(schedule) == 0)
        # Two of the checks fall into check_every after its only use.
        assert 1 <= gateway.checks["active"] <= 3
        assert schedule.text == 0
        assert len(gateway.worker.app.authenticator.cache) == 0
        assert await gateway.status(alice.access) == 200
        assert len(schedule) == 1


async def test_a_refreshed_token_and_the_id_token_go_with_their_sign_in(
    tmp_path: Path, cognito: LocalCognito
) -> None:
    async with guarded(tmp_path, cognito, token_use="access, id") as gateway:
        alice = sign_in(cognito, "alice")
        again = cognito.call(
            "InitiateAuth",
            ClientId=CLIENT,
            AuthFlow="REFRESH_TOKEN_AUTH",
            AuthParameters={"REFRESH_TOKEN": alice.refresh},
        )["AuthenticationResult"]["AccessToken"]
        assert [await gateway.status(each) for each in (alice.access, again, alice.id)] == [200, 200, 200]
        assert gateway.worker.metrics.revocation_unwatched == {"id_token": 1}
        await until(lambda: gateway.checks.get("active", 0) >= 1)
        # One question for all of them; on a busy machine perhaps the next, too.
        assert gateway.checks["active"] < 3
        end(cognito, "RevokeToken", alice, "alice")
        await gateway.refuses(alice.access, CHECK_EVERY + 0.5)
        assert [await gateway.status(each) for each in (again, alice.id)] == [401, 401]


@pytest.mark.parametrize("first_use", ["allow", "check"])
async def test_a_session_of_a_pool_with_id_tokens_goes_with_its_access_token(
    tmp_path: Path, cognito: LocalCognito, first_use: str
) -> None:
    async with guarded(tmp_path, cognito, f"first_use: {first_use}", token_use="id") as gateway:
        alice, bob = await visitor(gateway, cognito, "alice"), await visitor(gateway, cognito, "bob")
        assert [(await each.get("/")).status for each in (alice, bob)] == [200, 200]
        await until(lambda: gateway.checks.get("active", 0) >= 2)
        assert gateway.worker.metrics.revocation_unwatched == {}
        cognito.call("AdminUserGlobalSignOut", UserPoolId=POOL, Username="alice")
        await becomes(seen(alice), 401, CHECK_EVERY + 0.5)
        assert (await bob.get("/")).status == 200
        # Who rests is not watched, and is watched again when it comes back.
        await asyncio.sleep(2 * CHECK_EVERY)
        cognito.call("AdminUserGlobalSignOut", UserPoolId=POOL, Username="bob")
        await becomes(seen(bob), 401, CHECK_EVERY + 0.5)


@pytest.mark.parametrize("how", ENDS)
async def test_an_id_token_gets_no_aws_credentials_once_its_sign_in_or_user_is_denied(
    tmp_path: Path, cognito: LocalCognito, how: str
) -> None:
    async with guarded(tmp_path, cognito) as gateway:
        alice, bob = sign_in(cognito, "alice"), sign_in(cognito, "bob")
        for each in (alice, bob):
            assert await gateway.status(each.id, CREDENTIALS) == 200
        end(cognito, how, alice, "alice")
        await gateway.refuses(alice.access, CHECK_EVERY + 0.5)
        reply = await once(gateway.worker.port, get(CREDENTIALS, f"Authorization: Bearer {alice.id}"))
        assert reply.status == 401
        assert "has been revoked" in (reply.get("WWW-Authenticate") or "")
        assert await gateway.status(bob.id, CREDENTIALS) == 200
        assert gateway.worker.metrics.revocation_unwatched == {"id_token": 3}
        # What was shown there is no bearer for what asks for an access token.
        assert await gateway.status(bob.id) == 401


async def test_aws_credentials_for_a_sessions_id_token_go_with_its_access_token(
    tmp_path: Path, cognito: LocalCognito
) -> None:
    async with guarded(tmp_path, cognito, "first_use: check") as gateway:
        browser = await visitor(gateway, cognito, "alice")
        assert (await asks(gateway, browser)).status == 200
        portal, revocation = gateway.worker.app.portal, gateway.worker.app.revocation
        assert portal is not None
        assert revocation is not None
        (live,) = portal.sessions.live.values()
        assert live.session is not None
        # Nobody watches who rests, and the sign-out is no news before somebody asks.
        await until(lambda: len(revocation.ledger.schedule) == 0)
        end(cognito, "AdminUserGlobalSignOut", sign_in(cognito, "alice"), "alice")
        assert await gateway.status(live.session.id_token, CREDENTIALS) == 401
        # The form's token was of the session that has ended.
        assert (await asks(gateway, browser)).status == 403
        assert (await browser.get("/")).status == 401


async def asks(gateway: Guarded, browser: Browser) -> Reply:
    """For AWS credentials, as a form of ours does."""
    return await browser.post(CREDENTIALS, f"csrf={await form_token(gateway, browser)}")


def seen(browser: Browser) -> Callable[[], Awaitable[int]]:
    async def status() -> int:
        return (await browser.get("/")).status

    return status


async def visitor(gateway: Guarded, cognito: LocalCognito, name: str) -> Browser:
    """A browser with a session of this user's tokens."""
    tokens, now = sign_in(cognito, name), time.time()
    portal = gateway.worker.app.portal
    assert portal is not None
    session = Session(
        id=name, pool_id=POOL, client_id=CLIENT, subject=name, username=name, created=now, renewed=now,
        expires=now + 3600, access=tokens.access, id_token=tokens.id, refresh=tokens.refresh,
    )  # fmt: skip
    ticket = await portal.store.keep(session, until=now + 3600)
    return Browser(gateway.worker.port, jar_of(session, ticket))


async def test_another_sign_in_of_the_user_stays_or_goes_as_cognito_says(
    tmp_path: Path, cognito: LocalCognito
) -> None:
    async with guarded(tmp_path, cognito) as gateway:
        one, other = sign_in(cognito, "alice"), sign_in(cognito, "alice")
        assert [await gateway.status(each.access) for each in (one, other)] == [200, 200]
        end(cognito, "RevokeToken", one, "alice")
        await gateway.refuses(one.access, CHECK_EVERY + 0.5)
        assert await gateway.status(other.access) == 200
        end(cognito, "AdminDisableUser", other, "alice")
        await gateway.refuses(other.access, CHECK_EVERY + 0.5)


async def test_who_is_enabled_again_signs_in_again(tmp_path: Path, cognito: LocalCognito) -> None:
    async with guarded(tmp_path, cognito) as gateway:
        old = sign_in(cognito, "alice")
        assert await gateway.status(old.access) == 200
        end(cognito, "AdminDisableUser", old, "alice")
        await gateway.refuses(old.access, CHECK_EVERY + 0.5)
        cognito.call("AdminEnableUser", UserPoolId=POOL, Username="alice")
        await asyncio.sleep(1.1)  # times of issue are whole seconds
        new = sign_in(cognito, "alice")
        assert [await gateway.status(each.access) for each in (new, old)] == [200, 401]


@pytest.mark.parametrize("first_use", ["allow", "check"])
async def test_a_token_that_was_revoked_before_it_was_seen(
    tmp_path: Path, cognito: LocalCognito, first_use: str
) -> None:
    async with guarded(tmp_path, cognito, f"first_use: {first_use}") as gateway:
        alice, bob = sign_in(cognito, "alice"), sign_in(cognito, "bob")
        end(cognito, "GlobalSignOut", alice, "alice")
        first = await gateway.status(alice.access)
        assert first == (200 if first_use == "allow" else 401)
        # With allow it is asked about at once, not only when it is due.
        assert await gateway.refuses(alice.access, 0.5) < 0.5
        assert await gateway.status(bob.access) == 200
        if first_use == "check":
            assert gateway.checks == {"revoked": 1, "active": 1}


async def test_with_check_many_requests_wait_for_one_question(tmp_path: Path, cognito: LocalCognito) -> None:
    async with guarded(tmp_path, cognito, "first_use: check") as gateway:
        alice = sign_in(cognito, "alice")
        got = await asyncio.gather(*(gateway.status(alice.access) for _ in range(20)))
        assert got == [200] * 20
        # On a busy machine perhaps the next, too.
        assert gateway.checks["active"] <= 2


async def test_nothing_is_asked_on_a_requests_way(tmp_path: Path, cognito: LocalCognito) -> None:
    async with guarded(tmp_path, cognito) as gateway:
        alice = sign_in(cognito, "alice")
        began = time.monotonic()
        for _ in range(200):
            assert await gateway.status(alice.access) == 200
        assert gateway.checks.get("active", 0) <= 2 + (time.monotonic() - began) / (0.6 * CHECK_EVERY)


# --- Cognito cannot be asked ---


async def test_allow_goes_on_and_says_how_old_the_checks_are(tmp_path: Path, cognito: LocalCognito) -> None:
    async with guarded(tmp_path, cognito) as gateway:
        alice = sign_in(cognito, "alice")
        assert await gateway.status(alice.access) == 200
        await until(lambda: gateway.checks.get("active", 0) >= 1)
        port = int(cognito.url.rpartition(":")[2])
        await cognito.stop()
        began = time.monotonic()
        while time.monotonic() - began < 2.5 * CHECK_EVERY or gateway.checks.get("error", 0) < 2:
            assert await gateway.status(alice.access) == 200
            await asyncio.sleep(0.05)
        assert gateway.worker.metrics.revocation_oldest_check > CHECK_EVERY
        assert len(gateway.events("revocation_check_failed")) == 1
        # A new one, too: its key is known.
        cognito.call("AdminDisableUser", UserPoolId=POOL, Username="alice")
        await cognito.start(port=port)
        # The pause between attempts grows while it fails; a few seconds here.
        await gateway.refuses(alice.access, 20.0)


@pytest.mark.parametrize("first_use", ["allow", "check"])
async def test_deny_waits_for_cognito(tmp_path: Path, cognito: LocalCognito, first_use: str) -> None:
    async with guarded(tmp_path, cognito, f"on_error: deny, first_use: {first_use}") as gateway:
        alice, bob = sign_in(cognito, "alice"), sign_in(cognito, "bob")
        assert await gateway.status(alice.access) == 200
        await until(lambda: gateway.checks.get("active", 0) >= 1)
        port = int(cognito.url.rpartition(":")[2])
        await cognito.stop()
        await becomes(lambda: gateway.status(alice.access), 503, CHECK_EVERY + 1.0)
        reply = await once(gateway.worker.port, get("/", f"Authorization: Bearer {alice.access}"))
        assert reply.get("Retry-After") == "10"
        if first_use == "check":
            assert await gateway.status(bob.access) == 503
        await cognito.start(port=port)
        await becomes(lambda: gateway.status(alice.access), 200, 20.0)


# --- reload ---


async def test_who_is_denied_stays_so_through_a_reload(tmp_path: Path, cognito: LocalCognito) -> None:
    async with guarded(tmp_path, cognito) as gateway:
        alice, bob = sign_in(cognito, "alice"), sign_in(cognito, "bob")
        assert [await gateway.status(each.access) for each in (alice, bob)] == [200, 200]
        end(cognito, "GlobalSignOut", alice, "alice")
        await gateway.refuses(alice.access, CHECK_EVERY + 0.5)
        path = tmp_path / "gateway.yaml"
        path.write_text(path.read_text().replace("check_every: 1s", "check_every: 2s"))
        before = gateway.worker.app
        await gateway.worker.reload(load(path, {}).config)
        assert gateway.worker.app is not before
        assert [await gateway.status(each.access) for each in (alice, bob)] == [401, 200]
        # Sign-ins in use are watched under the new one.
        end(cognito, "GlobalSignOut", bob, "bob")
        await gateway.refuses(bob.access, 2 * CHECK_EVERY + 0.5)


# --- shared through Redis ---


@contextlib.asynccontextmanager
async def replicas(
    folder: Path, cognito: LocalCognito, redis: RedisServer, revocation: str = ""
) -> AsyncIterator[list[Guarded]]:
    settings = f"redis_url: '{redis.url}'{', ' if revocation else ''}{revocation}"
    async with contextlib.AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(guarded(folder / name, cognito, settings)) for name in ("a", "b")
        ]


async def test_replicas_ask_once_and_all_know(
    tmp_path: Path, cognito: LocalCognito, redis: RedisServer
) -> None:
    async with replicas(tmp_path, cognito, redis) as both:
        alice = sign_in(cognito, "alice")
        began, asked, told = time.monotonic(), 0, 0
        while time.monotonic() - began < 3 * CHECK_EVERY or asked < 3 or told < 3:
            for gateway in both:
                assert await gateway.status(alice.access) == 200
            await asyncio.sleep(0.05)
            asked = sum(gateway.checks.get("active", 0) for gateway in both)
            told = sum(gateway.checks.get("shared", 0) for gateway in both)
        # One question in 0.6 to 0.8 s, whichever worker asks; both would have asked twice as often.
        assert asked <= 1 + (time.monotonic() - began) / (0.6 * CHECK_EVERY)
        end(cognito, "GlobalSignOut", alice, "alice")
        took = await asyncio.gather(*(gateway.refuses(alice.access, 3.0) for gateway in both))
        # Redis is a process of its own, which has to get its turns, too.
        assert max(took) < 2 * CHECK_EVERY
        assert sum(gateway.checks.get("revoked", 0) for gateway in both) == 1
        keys = redis.ask("KEYS cognito_gateway:revocation:*")
        assert b"denied:" in keys
        for secret in alice.access.split("."):
            assert secret.encode() not in keys


async def test_redis_killed_and_restarted_in_the_middle(
    tmp_path: Path, cognito: LocalCognito, redis: RedisServer
) -> None:
    async with replicas(tmp_path, cognito, redis) as both:
        alice, bob = sign_in(cognito, "alice"), sign_in(cognito, "bob")
        for gateway in both:
            assert [await gateway.status(each.access) for each in (alice, bob)] == [200, 200]
        redis.kill()
        end(cognito, "GlobalSignOut", alice, "alice")
        for gateway in both:
            await gateway.refuses(alice.access, CHECK_EVERY + 1.0)
            assert await gateway.status(bob.access) == 200
        redis.start()
        for gateway in both:
            await until(lambda gateway=gateway: bool(gateway.events("redis_recovered")))  # type: ignore[misc]
        end(cognito, "GlobalSignOut", bob, "bob")
        for gateway in both:
            await gateway.refuses(bob.access, CHECK_EVERY + 1.0)


# --- several workers ---


@pytest.mark.parametrize(("workers", "replicas"), [(1, 1), (4, 1), (2, 5)])
def test_workers_and_replicas_share_the_calls(tmp_path: Path, workers: int, replicas: int) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(
        f"listen: {{workers: {workers}}}\n"
        f"cognito: {{revocation: {{check_every: 30s, calls_per_second: 30, replicas: {replicas}}}}}\n"
    )
    config = load(path, {}).config
    log = configure(config.log, Lines())  # type: ignore[arg-type]  # a raw stream is all it needs
    made = revocation_of(config, cache_of(lambda *_: None), metrics=WorkerMetrics(), log=log, previous=None)
    log.close()
    assert made is not None
    pace, taken = made.ledger.pace, 0
    for tick in range(2000):
        while pace.wait(tick / 20) == 0:
            pace.began(tick / 20)
            taken += 1
    assert taken == pytest.approx(100 * 30 / (workers * replicas), rel=0.03)
