"""Authorization codes that replicas share through a real Redis, and what that Redis sees of them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.errors import ConfigurationError
from tests.support import local_cognito
from tests.support.mcp_client import MCP, McpProgram, answer_of, asked, call, code_of, registered
from tests.support.programs import serving
from tests.support.redis_server import RedisServer, patience, redis_server
from tests.support.site import CLIENT, POOL, Browser, Site, seed, site
from tests.support.waiting import PATIENCE
from tests.support.wire import Reply, Upstream

pytestmark = pytest.mark.engine
KEYS = "KEYS cognito_gateway:mcp_code:*"
ENDED = "cognito_gateway:ended_sign_ins"


def key_of(code: str) -> str:
    return f"cognito_gateway:mcp_code:{hashlib.sha256(code.encode()).hexdigest()}"


def _shared(folder: Path, url: str) -> str:
    (folder / "secret").write_text("a" * 44 + "\n")
    return f"session: {{secret_file: '{folder}/secret', redis_url: '{url}'}}"


@contextlib.asynccontextmanager
async def _two(folder: Path) -> AsyncIterator[tuple[RedisServer, Site, Site]]:
    """Run a Redis and two replicas of a gateway that share it."""
    (folder / "other").mkdir()
    with redis_server(folder) as redis, patience(20):
        shared = _shared(folder, redis.url)
        async with (
            site(folder, more=MCP, sign_in=shared) as one,
            site(folder / "other", more=MCP, sign_in=shared) as other,
        ):
            yield redis, one, other


async def test_a_code_of_one_replica_is_redeemed_at_another_once(tmp_path: Path) -> None:
    async with _two(tmp_path) as (redis, one, other):
        program = await registered(one)
        code = await code_of(program, one.browser())
        key = key_of(code)
        assert 0 < int(redis.ask(f"PTTL {key}").strip(b":\r\n")) <= 60_000
        stored = redis.ask(f"GET {key}")
        assert len(stored) > 1000
        assert code.encode() not in key.encode() + stored
        assert b"eyJ" not in stored
        program.port = other.worker.port
        answers = await asyncio.gather(*(program.redeem(code) for _ in range(5)))
        _at_most_one(answers)
        # The second has removed it.
        assert redis.ask(KEYS) == b"*0\r\n"
        # What somebody else writes there is no code.
        code = await code_of(program, one.browser())
        for planted in ("x", "A" * 900):
            assert redis.ask(f"SET {key_of(code)} {planted}") == b"+OK\r\n"
            assert (await program.redeem(code)).status == 400
            code = await code_of(program, one.browser())
        key = key_of(code)
        assert redis.ask(f"DEL {key}") == b":1\r\n"
        assert redis.ask(f"LPUSH {key} x") == b":1\r\n"
        assert (await program.redeem(code)).status == 400


async def test_a_code_presented_twice_ends_its_tokens_at_every_replica(tmp_path: Path) -> None:
    async with _two(tmp_path) as (redis, one, other):
        program = await registered(one)
        kept = json.loads((await program.redeem(await code_of(program, one.browser()))).body)
        code = await code_of(program, one.browser())
        tokens = json.loads((await program.redeem(code)).body)
        key = key_of(code)
        assert 60_000 < int(redis.ask(f"PTTL {key}").strip(b":\r\n")) <= 600_000
        stored = redis.ask(f"GET {key}")
        assert b"eyJ" not in stored
        assert (await call(one.worker.port, tokens["access_token"])).status == 200
        # What others write there is ignored, and disturbs nothing.
        assert redis.ask(f"SET {ENDED} x") == b"+OK\r\n"
        program.port = other.worker.port
        assert (await program.redeem(code)).status == 400
        await _refused(one.worker.port, tokens["access_token"])
        program.port = one.worker.port
        assert (await program.refresh(tokens["refresh_token"])).status == 400
        assert (await call(one.worker.port, kept["access_token"])).status == 200
        for planted in ("e x", "e [1,2]", "e [[]]", "f {}", "e [] g []", f"e {'x' * 4000}"):
            assert redis.ask(f"XADD {ENDED} * {planted}").startswith(b"$")
        # Later ones are still read.
        code = await code_of(program, one.browser())
        tokens = json.loads((await program.redeem(code)).body)
        assert (await call(one.worker.port, tokens["access_token"])).status == 200
        program.port = other.worker.port
        assert (await program.redeem(code)).status == 400
        await _refused(one.worker.port, tokens["access_token"])
        assert b"eyJ" not in redis.ask(f"XRANGE {ENDED} - +")
        assert 0 < int(redis.ask(f"TTL {ENDED}").strip(b":\r\n")) <= 87_000


def _at_most_one(answers: Sequence[Reply]) -> None:
    """The second request ends the first one's tokens, perhaps before these were issued."""
    statuses = sorted(reply.status for reply in answers)
    assert statuses[0] in {200, 400}
    assert statuses[1:] == [400] * (len(answers) - 1)


async def _refused(port: int, token: str) -> None:
    """Wait until this token is refused."""
    async with asyncio.timeout(PATIENCE):
        while (await call(port, token)).status == 200:
            await asyncio.sleep(0.05)
    assert (await call(port, token)).status == 401


async def test_without_redis_no_code_is_given_or_taken(tmp_path: Path) -> None:
    with redis_server(tmp_path) as redis, patience(20):
        async with site(tmp_path, more=MCP, sign_in=_shared(tmp_path, redis.url)) as at:
            program, browser = await registered(at), at.browser()
            code = await code_of(program, browser)
            redis.stop()
            reply = await program.redeem(code)
            assert reply.status == 503
            assert json.loads(reply.body)["error"] == "temporarily_unavailable"
            assert reply.get("retry-after") == "1"


async def test_worker_processes_share_codes_and_redeem_each_once(tmp_path: Path) -> None:
    """Two workers of one `serve`: a request ID begins alike for all requests of a worker."""
    with redis_server(tmp_path) as redis, local_cognito.running(seed()) as cognito:
        pools = f"  endpoint_url: '{cognito.url}'\n  user_pools: [{{id: {POOL}, client_ids: [{CLIENT}]}}]"
        more = f"sign_in: {{{_shared(tmp_path, redis.url)}}}\n{MCP}"
        workers = {"COGNITO_GATEWAY_LISTEN__WORKERS": "2"}
        async with (
            Upstream().running() as upstream,
            serving(tmp_path, upstream=upstream.url, pools=pools, more=more, environ=workers) as served,
        ):
            program = McpProgram(served.port)
            assert (await program.register()).status == 201
            crossed = False
            async with asyncio.timeout(4 * PATIENCE):
                while not crossed:
                    browser = Browser(served.port)
                    await asked(program, browser)
                    allowed = await browser.submit(decision="allow")
                    code = answer_of(allowed)["code"]
                    answers = await asyncio.gather(*(program.redeem(code) for _ in range(8)))
                    _at_most_one(answers)
                    first = next((reply for reply in answers if reply.status == 200), None)
                    crossed = first is not None and _worker(first) != _worker(allowed)
            assert first is not None
            ended = json.loads(first.body)["access_token"]
            code = await code_of(program, Browser(served.port))
            token = json.loads((await program.redeem(code)).body)["access_token"]
            # Whichever worker issued the token, both accept it.
            seen: set[bytes] = set()
            async with asyncio.timeout(PATIENCE):
                while len(seen) < 2:
                    replies = await asyncio.gather(*(call(served.port, token) for _ in range(16)))
                    assert {reply.status for reply in replies} == {200}
                    seen = {
                        (each.get("X-Request-Id") or b"").partition(b"-")[0] for each in upstream.requests
                    }
            # The tokens of a code that was presented twice end at both.
            for each in (ended, token):
                if each is token:
                    assert (await program.redeem(code)).status == 400
                async with asyncio.timeout(PATIENCE):
                    while 200 in {
                        reply.status
                        for reply in await asyncio.gather(*(call(served.port, each) for _ in range(16)))
                    }:
                        await asyncio.sleep(0.1)


def _worker(reply: Reply) -> str:
    return (reply.get("x-request-id") or "").partition("-")[0]


def test_several_workers_need_redis(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    for workers in ("2", "auto"):
        path.write_text(
            f"listen: {{workers: {workers}}}\n"
            f"cognito: {{user_pools: [{{id: us-east-1_AbCdEfGhJ, client_ids: [abcde12345]}}]}}\n{MCP}"
        )
        with pytest.raises(ConfigurationError, match="redis_url") as told:
            load(path, {})
        mistakes = [line for line in str(told.value).splitlines() if ": warning: " not in line]
        assert len(mistakes) == 1
