"""What a newcomer meets in the first hour: the log says what was read, and each failure says what to do."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import Authority, accepting
from tests.support.ports import free_port
from tests.support.programs import (
    SCRIPT,
    Served,
    configuration,
    environment,
    pinned,
    serving,
    until,
)
from tests.support.promises import Bench
from tests.support.terminal import Terminal
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, access_claims, issuer_of, sign

# --- what was read -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", ["", "log: {level: debug}"])
async def test_the_start_names_configuration_pools_and_upstream(tmp_path: Path, more: str) -> None:
    pools = pinned(tmp_path, KeyPair.generate("k"))
    routes = "routes: [{path: /status, methods: [GET], auth: none}, {path: '/admin/**', groups: [admins]}]\n"
    async with serving(
        tmp_path, upstream="http://127.0.0.1:1", pools=pools, more=routes + more, ready=False
    ) as served:
        (line,) = await served.logged("started")
        assert line["configuration"] == str(tmp_path / "gateway.yaml")
        assert line["user_pools"] == [POOL_ID]
        assert line["upstream"] == "http://127.0.0.1:1"
        debug = [each for each in served.log if each["event"] == "route"]
    assert [(each["path"], each["auth"], each["groups"]) for each in debug] == (
        [("/status", "none", None), ("/admin/**", "required", ["admins"])] if more else []
    )


async def test_the_start_of_several_workers_and_of_the_environment_alone(tmp_path: Path) -> None:
    port, metrics = free_port(), free_port()
    variables = {
        "COGNITO_GATEWAY_LISTEN__ADDRESS": f"127.0.0.1:{port}",
        "COGNITO_GATEWAY_LISTEN__WORKERS": "2",
        "COGNITO_GATEWAY_METRICS__ADDRESS": f"127.0.0.1:{metrics}",
        "COGNITO_GATEWAY_UPSTREAM__URL": "unix:/run/api.sock",
    }
    out = tmp_path / "out"
    with out.open("wb") as stdout:
        process = subprocess.Popen(
            [SCRIPT, "serve"], cwd=tmp_path, env=environment(**variables), stdout=stdout, stderr=stdout
        )
    try:
        served = Served(process, out, out, port, metrics)
        await until(served.is_listening)
        (line,) = await served.logged("started")
        assert (line["configuration"], line["workers"]) == ("the environment", 2)
        assert (line["user_pools"], line["upstream"]) == ([], "unix:/run/api.sock")
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 60)


# --- text on a terminal, JSON otherwise --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "start"),
    [("", "Z INFO    started address="), ("log: {format: json}", '"event":"started"')],
)
def test_the_log_is_text_on_a_terminal_unless_json_is_asked_for(
    tmp_path: Path, more: str, start: str
) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(
        configuration(
            port=free_port(),
            metrics_port=free_port(),
            upstream="http://127.0.0.1:1",
            pools=pinned(tmp_path, KeyPair.generate("k")),
            more=more,
        )
    )
    with Terminal([SCRIPT, "serve", path], cwd=tmp_path) as terminal:
        terminal.says("started")
        terminal.write("\x03")
        assert start in terminal.rest()
        assert terminal.code() == 0


# --- log lines: address, expected and actual, a plain cause, a hint at doctor ------------------------------


async def test_a_key_set_that_cannot_be_fetched_names_its_address_and_cause_and_doctor_once(
    tmp_path: Path,
) -> None:
    url = f"http://127.0.0.1:{free_port()}/keys"
    pools = f"  user_pools: [{{id: {POOL_ID}, client_ids: [{CLIENT_ID}], jwks_url: '{url}'}}]"
    async with serving(tmp_path, upstream="http://127.0.0.1:1", pools=pools, ready=False) as served:
        lines = await served.logged("key_set_fetch_failed", 2)
    assert [line["exact"] for line in lines[:2]] == [f"{url}: connection refused"] * 2
    assert "doctor" in lines[0]["hint"]
    assert lines[1]["hint"] is None


def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As an HTTP server does that is called by https."""
    writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    writer.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_an_upstream_that_cannot_be_reached_is_named_with_its_cause(
    tmp_path: Path, scheme: str
) -> None:
    key = KeyPair.generate("k")
    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        # An http server called by https; nobody there at all.
        port = server.sockets[0].getsockname()[1] if scheme == "https" else free_port()
        upstream = f"{scheme}://127.0.0.1:{port}"
        async with serving(tmp_path, upstream=upstream, pools=pinned(tmp_path, key)) as served:
            for _ in range(2):
                assert (await served.bearer(sign(key, access_claims()))).status == 502
            lines = await served.logged("request_failed", 2)
    cause = "the server does not speak TLS" if scheme == "https" else "connection refused"
    assert [line["exact"][: len(upstream) + 2 + len(cause)] for line in lines] == [f"{upstream}: {cause}"] * 2
    assert [line["hint"] is None for line in lines] == [False, True]
    assert "doctor" in lines[0]["hint"]


async def test_an_upstream_with_the_wrong_certificate_is_named_with_its_cause(tmp_path: Path) -> None:
    key, authority = KeyPair.generate("k"), Authority(tmp_path)
    context = accepting(authority.sign("server", "other.test"))
    assert isinstance(context, ssl.SSLContext)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        upstream = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with serving(tmp_path, upstream=upstream, pools=pinned(tmp_path, key)) as served:
            assert (await served.bearer(sign(key, access_claims()))).status == 502
            (line,) = await served.logged("request_failed")
    assert line["exact"].startswith(f"{upstream}: certificate verify failed: ")


OTHER = issuer_of("eu-west-1_Other")
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "client": ({"client_id": "2other"}, f'client_id is "2other", expected {CLIENT_ID}'),
    "use": ({"token_use": "id", "aud": CLIENT_ID}, 'token_use is "id", expected access'),
    "issuer": (
        {"iss": issuer_of("eu-west-1_Other")},
        f'iss is "{issuer_of("eu-west-1_Other")}", expected one',
    ),
    "iat": ({"iat": int(time.time()) + 7200}, "is this machine's clock behind?"),
    "client of no kind": ({"client_id": 7}, f"client_id is not a string, expected {CLIENT_ID}"),
    "client that is long and strange": ({"client_id": 'x"\r\n' + "y" * 400}, 'client_id is "x\\"\\r\\nyyyy'),
}


@pytest.mark.parametrize("which", WRONG)
async def test_a_wrong_token_is_logged_with_what_it_says_and_what_was_expected(
    bench: Bench, which: str
) -> None:
    changes, told = WRONG[which]
    exact = (await bench.log(await bench.bearer(**changes), "auth_failure"))["exact"]
    assert told in exact
    assert len(exact) < 500
    assert "y" * 200 not in exact


async def test_no_token_of_anybody_is_in_what_is_logged_of_a_claim(bench: Bench) -> None:
    token = bench.token()
    exact = (await bench.log(await bench.bearer(client_id=token), "auth_failure"))["exact"]
    assert "[redacted]" in exact
    assert token[20:60] not in exact


@pytest.mark.parametrize(
    ("header", "told"),
    [("Bearer ", "is the token empty?"), ("Bearer Bearer {}", "does the value hold Bearer twice?")],
)
async def test_headers_that_a_shell_makes_by_mistake(bench: Bench, header: str, told: str) -> None:
    reply = await bench.served.ask("/", "Authorization: " + header.format(bench.token()))
    assert reply.status == 400
    line = await bench.log(reply, "auth_failure")
    assert (line["reason"], told in line["exact"]) == ("malformed_authorization", True)
