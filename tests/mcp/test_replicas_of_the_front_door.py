"""Authorization codes that replicas share through a real Redis, and what that Redis sees of them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.errors import ConfigurationError
from tests.support import local_cognito
from tests.support.mcp_client import MCP, McpProgram, answer_of, asked, call, code_of, registered
from tests.support.programs import serving
from tests.support.redis_server import RedisServer, patience, redis_server
from tests.support.site import CLIENT, POOL, Browser, seed, site
from tests.support.waiting import PATIENCE
from tests.support.wire import Reply, Upstream

pytestmark = pytest.mark.engine
KEYS = "KEYS cognito_gateway:mcp_code:*"


def key_of(redis: RedisServer) -> str:
    """The one code's key."""
    answer = redis.ask(KEYS)
    assert answer.startswith(b"*1\r\n"), answer
    return answer.split(b"\r\n")[2].decode()


def _shared(folder: Path, url: str) -> str:
    (folder / "secret").write_text("a" * 44 + "\n")
    return f"session: {{secret_file: '{folder}/secret', redis_url: '{url}'}}"


async def test_a_code_of_one_replica_is_redeemed_at_another_once(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with redis_server(tmp_path) as redis, patience(20):
        shared = _shared(tmp_path, redis.url)
        async with (
            site(tmp_path, more=MCP, sign_in=shared) as one,
            site(tmp_path / "other", more=MCP, sign_in=shared) as other,
        ):
            program = await registered(one)
            code = await code_of(program, one.browser())
            key = key_of(redis)
            assert 0 < int(redis.ask(f"PTTL {key}").strip(b":\r\n")) <= 60_000
            stored = redis.ask(f"GET {key}")
            assert len(stored) > 1000
            assert code.encode() not in key.encode() + stored
            assert b"eyJ" not in stored
            program.port = other.worker.port
            answers = await asyncio.gather(*(program.redeem(code) for _ in range(5)))
            assert sorted(reply.status for reply in answers) == [200] + [400] * 4
            assert redis.ask(KEYS) == b"*0\r\n"
            # What somebody else writes there is no code.
            code = await code_of(program, one.browser())
            for planted in ("x", "A" * 900):
                assert redis.ask(f"SET {key_of(redis)} {planted}") == b"+OK\r\n"
                assert (await program.redeem(code)).status == 400
                code = await code_of(program, one.browser())
            key = key_of(redis)
            assert redis.ask(f"DEL {key}") == b":1\r\n"
            assert redis.ask(f"LPUSH {key} x") == b":1\r\n"
            assert (await program.redeem(code)).status == 400


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
                    assert sorted(reply.status for reply in answers) == [200] + [400] * 7
                    (first,) = [reply for reply in answers if reply.status == 200]
                    crossed = _worker(first) != _worker(allowed)
            token = json.loads(first.body)["access_token"]
            # Whichever worker issued the token, both accept it.
            seen: set[bytes] = set()
            async with asyncio.timeout(PATIENCE):
                while len(seen) < 2:
                    replies = await asyncio.gather(*(call(served.port, token) for _ in range(16)))
                    assert {reply.status for reply in replies} == {200}
                    seen = {
                        (each.get("X-Request-Id") or b"").partition(b"-")[0] for each in upstream.requests
                    }


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
