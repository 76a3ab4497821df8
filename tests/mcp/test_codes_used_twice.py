"""Authorization codes: their bounds, and what ends when one is presented twice (RFC 6749 section 4.1.2)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.mcp.authorization_codes import LIFE, MOST, MOST_OF_ONE, RECOGNISED, Granted, MemoryCodes
from tests.support.mcp_client import MCP, RESOURCE, call, code_of, registered, tokens_of
from tests.support.portal import a_session
from tests.support.site import POOL, Site, seed, site
from tests.support.streams import CHUNKED
from tests.support.tokens import KeyPair
from tests.support.waiting import PATIENCE, until
from tests.support.wire import Client, Received, Reply, get


def error_of(reply: Reply) -> str:
    assert reply.status == 400, reply.body
    return str(json.loads(reply.body)["error"])


def revoked_at_cognito(at: Site) -> int:
    return sum(grant.revoked for grant in at.local.state.pools[POOL].grants.values())


@pytest.mark.parametrize("tokens", ["sealed", "cognito"])
async def test_the_tokens_of_a_code_that_is_presented_twice_end(tmp_path: Path, tokens: str) -> None:
    more = f"mcp: {{resource: '{RESOURCE}', tokens: {tokens}}}\n"
    async with site(tmp_path, more=more) as at:
        program, thief = await registered(at), await registered(at, client_name="Thief")
        other = await tokens_of(program, at.browser())
        code = await code_of(program, at.browser())
        first = json.loads((await program.redeem(code)).body)
        renewed = json.loads((await program.refresh(first["refresh_token"])).body)
        issued = [each["access_token"] for each in (first, renewed)]
        for token in issued:
            assert (await call(at.worker.port, token)).status == 200
        # By anyone: the thief has no verifier.
        assert error_of(await thief.redeem(code)) == "invalid_grant"
        for token in issued:
            refused = await call(at.worker.port, token)
            assert refused.status == 401
            assert 'error="invalid_token"' in (refused.get("www-authenticate") or "")
        for answer in (first, renewed):
            assert error_of(await program.refresh(answer["refresh_token"])) == "invalid_grant"
        await until(lambda: revoked_at_cognito(at) == 1)
        # A third request ends nothing more, and the client's other sign-in goes on.
        assert error_of(await program.redeem(code)) == "invalid_grant"
        assert (await call(at.worker.port, other["access_token"])).status == 200
        assert (await program.refresh(other["refresh_token"])).status == 200
        (line,) = await at.logged("mcp_code_used_twice")
        assert line["level"] == "warning"
        assert revoked_at_cognito(at) == 1
        # No reload of the configuration revives what has ended.
        path = tmp_path / "gateway.yaml"
        path.write_text(path.read_text().replace("user_pools", "clock_leeway: 1s, user_pools"))
        await at.worker.reload(at.source.load().config)
        for token in issued:
            assert (await call(at.worker.port, token)).status == 401


async def test_while_cognito_is_unavailable_they_end_here(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        program = await registered(at)
        code = await code_of(program, at.browser())
        tokens = json.loads((await program.redeem(code)).body)
        await at.local.stop()
        assert error_of(await program.redeem(code)) == "invalid_grant"
        assert (await call(at.worker.port, tokens["access_token"])).status == 401
        assert error_of(await program.refresh(tokens["refresh_token"])) == "invalid_grant"
        await at.logged("revocation_failed")


async def test_without_origin_jti_they_end_as_well(tmp_path: Path) -> None:
    """Where token revocation is off for the app client, nothing but the token itself names the sign-in."""
    async with site(tmp_path, more=MCP, seeded=seed(EnableTokenRevocation=False)) as at:
        program = await registered(at)
        other = await tokens_of(program, at.browser())
        code = await code_of(program, at.browser())
        tokens = json.loads((await program.redeem(code)).body)
        assert error_of(await program.redeem(code)) == "invalid_grant"
        assert (await call(at.worker.port, tokens["access_token"])).status == 401
        assert error_of(await program.refresh(tokens["refresh_token"])) == "invalid_grant"
        assert (await call(at.worker.port, other["access_token"])).status == 200


async def test_the_event_stream_of_such_a_token_ends(tmp_path: Path) -> None:
    async def silent(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n")
        await reader.read()

    async with site(tmp_path, more=MCP) as at:
        program = await registered(at)
        code = await code_of(program, at.browser())
        token = json.loads((await program.redeem(code)).body)["access_token"]
        at.upstream.script = silent
        async with await Client.connect(at.worker.port) as stream:
            await stream.send(get("/mcp", f"Authorization: Bearer {token}"))
            assert (await stream.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert error_of(await program.redeem(code)) == "invalid_grant"
            assert await asyncio.wait_for(stream.reader.readexactly(5), PATIENCE) == b"0\r\n\r\n"


def _granted(subject: str) -> Granted:
    session = a_session(KeyPair.generate("k"))
    return Granted("c", "http://127.0.0.1/", "x" * 43, (), replace(session, subject=subject))


async def test_codes_end_and_are_bounded() -> None:
    codes, granted = MemoryCodes(), _granted("a")
    first = await codes.keep(granted, 0.0)
    assert await codes.take(first, LIFE) is None
    mine = [await codes.keep(granted, 1.0) for _ in range(MOST_OF_ONE + 1)]
    assert await codes.take(mine[0], 2.0) is None
    taken = await codes.take(mine[-1], 2.0)
    assert taken is not None
    assert taken.granted is granted
    for number in range(MOST + 10):
        users = replace(granted, session=replace(granted.session, subject=str(number)))
        await codes.keep(users, 3.0)
    assert len(codes) <= MOST + 1
    await codes.keep(granted, 3.0 + LIFE)
    assert len(codes) == 2


async def test_used_codes_are_recognised_once_for_a_while_and_bounded() -> None:
    codes, granted = MemoryCodes(), _granted("a")

    async def used(at: float) -> str:
        code = await codes.keep(granted, at)
        taken = await codes.take(code, at)
        assert taken is not None
        assert not taken.again
        return code

    code = await used(0.0)
    again = await codes.take(code, RECOGNISED - 1)
    assert again is not None
    assert again.again
    assert await codes.take(code, RECOGNISED - 1) is None
    late = await used(0.0)
    assert await codes.take(late, RECOGNISED) is None
    many = [await used(1.0) for _ in range(MOST + 1)]
    assert len(codes) == MOST
    assert await codes.take(many[0], 2.0) is None
    assert await codes.take(many[-1], 2.0) is not None
    await used(1.0 + RECOGNISED)
    assert len(codes) == 1
