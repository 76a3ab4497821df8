"""The guides as somebody follows them: every line of a block for a shell is run, in order, in one shell."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

from tests.support import local_cognito
from tests.support.demos import taking_turns
from tests.support.mcp_client import McpProgram, call, tokens_of
from tests.support.ports import free_port
from tests.support.programs import (
    DEMO_CLIENT,
    DEMO_PASSWORD,
    DEMO_POOL,
    DEMO_USER,
    ROOT,
    SCRIPT,
    run,
    serving,
    started,
)
from tests.support.site import ALICE, PASSWORD, Browser
from tests.support.wire import Upstream, get, once


def lines_of(name: str) -> list[str]:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line]


def exports_of(name: str) -> dict[str, str]:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    words = [word for line in re.findall(r"(?m)^    export (.*)$", text) for word in line.split()]
    return dict(word.split("=", 1) for word in words)


async def shell(folder: Path, lines: list[str], environ: dict[str, str]) -> str:
    script = "\n".join([f'PATH="{SCRIPT.parent}:$PATH"', *lines])
    done = await asyncio.to_thread(run, "bash", "-euc", script, cwd=folder, environ=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_machine_clients(tmp_path: Path) -> None:
    lines, exported = lines_of("machine-clients.md"), exports_of("machine-clients.md")
    pool = exported["POOL"]
    assert exported.keys() >= {"AWS_ENDPOINT_URL", "DOMAIN", "AWS_DEFAULT_REGION"}
    setting_up, calling = lines[:-3], lines[-3:]
    document = {"UserPools": [{"Id": pool, "PoolName": "p", "Clients": []}]}
    with local_cognito.running(document) as local:
        environ = exported | {"AWS_ENDPOINT_URL": local.url, "DOMAIN": local.url}
        shown = await shell(tmp_path, [*setting_up, 'echo "CLIENT $CLIENT_ID $CLIENT_SECRET"'], environ)
        found = re.search(r"(?m)^CLIENT (\w+) (\S+)$", shown)
        assert found, shown
        configured = (
            f"  endpoint_url: {local.url}\n  user_pools: [{{id: {pool}, client_ids: ['{found[1]}']}}]"
        )
        text = (ROOT / "docs/machine-clients.md").read_text(encoding="utf-8")
        # The first block of routes: another shows those for delegated tokens.
        routes, *_ = re.findall(r"(?ms)^(routes:\n.*?)^```$", text)
        headers = "identity_headers: {claims: {X-Auth-Request-Client: client_id}}\n"
        async with (
            Upstream().running() as upstream,
            serving(tmp_path, upstream=upstream.url, pools=configured, more=routes + headers) as served,
        ):
            environ |= {"CLIENT_ID": found[1], "CLIENT_SECRET": found[2]}
            calls = [line.replace(":8000/", f":{served.port}/") for line in calling]
            shown = await shell(tmp_path, calls, environ)
            received = upstream.last
    assert shown.startswith("ok")
    assert "403 Forbidden" in shown
    assert 'error="insufficient_scope"' in shown
    assert 'scope="orders/write"' in shown
    assert len(upstream.requests) == 1
    assert received.get("X-Auth-Request-User") == received.get("X-Auth-Request-Client") == found[1].encode()
    assert received.get("X-Auth-Request-Preferred-Username") is None
    assert received.get("X-Auth-Request-Groups") is None


async def test_the_first_user_of_a_pool_that_setup_made(tmp_path: Path) -> None:
    text = (ROOT / "docs/start.md").read_text(encoding="utf-8")
    (making,) = re.findall(r"(?m)^    (aws cognito-idp admin-create-user .*)$", text)
    (token,) = re.findall(r"(?m)^    TOKEN=\$\((cognito-gateway token .*)\)$", text)
    with local_cognito.running({"UserPools": []}) as local:
        environ = exports_of("machine-clients.md") | {"AWS_ENDPOINT_URL": local.url}
        setup = "cognito-gateway setup --pool-name orders --write gateway.yaml"
        await shell(tmp_path, [setup, f"echo '  endpoint_url: {local.url}' >> gateway.yaml"], environ)
        (pool,) = re.findall(r"id: (\S+)", (tmp_path / "gateway.yaml").read_text())
        making = making.replace("ap-south-1_AbCdEfGhI", pool)
        shown = await shell(tmp_path, [making, f"curl -s {local.url}/_outbox"], environ)
        (first,) = re.findall(r"temporary password is (\S+)\.\"", shown)
        token = token.replace("config/gateway.yaml", "gateway.yaml")
        answers = f"printf '%s\\n' '{first}' 'Another-Wonderland-1'"
        assert (await shell(tmp_path, [f"{answers} | {token}"], environ)).startswith("eyJ")


async def test_an_mcp_server_from_a_bare_pool(tmp_path: Path) -> None:
    """Every command of the page, with its configuration; then a client goes the whole way."""
    text = (ROOT / "docs/mcp.md").read_text(encoding="utf-8")
    create, secret, check, serve = lines_of("mcp.md")
    (yaml, *_) = re.findall(r"(?ms)^```yaml\n(.*?)^```$", text)
    pool, port = "ap-south-1_AbCdEfGhI", free_port()
    resource = f"http://127.0.0.1:{port}/mcp"
    user = {"Username": ALICE, "Password": PASSWORD, "Attributes": {"email": ALICE}}
    bare = {"Id": pool, "PoolName": "bare", "Clients": [], "Users": [user]}
    with local_cognito.running({"UserPools": [bare]}) as local:
        async with Upstream().running() as upstream:
            environ = exports_of("machine-clients.md") | {"AWS_ENDPOINT_URL": local.url}
            client = (await shell(tmp_path, [create, secret], environ)).strip()
            for old, new in {
                "1example23456789": client,
                "http://127.0.0.1:8080": upstream.url,
                "https://api.example.com/mcp": resource,
                "cognito:\n": f"cognito:\n  endpoint_url: {local.url}\n",
            }.items():
                assert old in yaml
                yaml = yaml.replace(old, new)
            (tmp_path / "gateway.yaml").write_text(yaml)
            assert await shell(tmp_path, [check], {})
            listen = {
                "COGNITO_GATEWAY_LISTEN__ADDRESS": f"127.0.0.1:{port}",
                "COGNITO_GATEWAY_METRICS__ADDRESS": "127.0.0.1:0",
            }
            command: list[str | Path] = [SCRIPT.parent / serve.split()[0], *serve.split()[1:]]
            async with started(tmp_path, command, environ=listen) as program:
                await program.says("started")
                mcp = McpProgram(port, resource=resource)
                assert (await mcp.register()).status == 201
                tokens = await tokens_of(mcp, Browser(port))
                assert (await call(port, tokens["access_token"])).status == 200
                assert (await mcp.refresh(tokens["refresh_token"])).status == 200
                assert (await once(port, get("/mcp"))).status == 401
                assert await program.stop() == 0


async def test_five_minutes(tmp_path: Path) -> None:
    demo, *lines = lines_of("start.md")
    assert demo == "cognito-gateway demo"
    port = free_port()
    with taking_turns():
        async with started(tmp_path, [SCRIPT, "demo", "--port", str(port)]) as program:
            printed = await program.says("Ctrl-C stops everything.")
            (cognito,) = re.findall(r"(?m)^local Cognito +http://127\.0\.0\.1:(\d+)", printed)
            assert all(
                each in "\n".join(lines) for each in (DEMO_POOL, DEMO_CLIENT, DEMO_USER, DEMO_PASSWORD)
            )
            lines = [line.replace(":8000/", f":{port}/").replace(":9229", f":{cognito}") for line in lines]
            shown = await shell(tmp_path, lines, {})
            program.interrupt()
            assert await program.end() == 0
    refused, _, answer = shown.rpartition('\n{"')
    assert " 401 " in refused
    assert json.loads('{"' + answer)["service"] == "sample-api"
