"""`token --flow browser`: a plain HTTP client plays the browser, from the address to the last page."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
import jwt
import pytest

from local_cognito.server import LocalCognito
from tests.support.commands import Forked, run
from tests.support.local_cognito import serving
from tests.support.managed_login import person
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE, until

POOL, CLIENT = "us-east-1_Browser12", "browserclient"
PASSWORD = "Correct-Horse-1"
CAROL = "carol@elsewhere.example"


def seed(port: int, **client: Any) -> dict[str, Any]:
    return {
        "UserPools": [
            {
                "Id": POOL,
                "PoolName": "browser",
                "Domain": "browser",
                "IdentityProviders": [{"ProviderName": "Google", "ProviderType": "Google"}],
                "Clients": [
                    {
                        "ClientId": CLIENT,
                        "ClientName": "a",
                        "ExplicitAuthFlows": ["ALLOW_REFRESH_TOKEN_AUTH"],
                        "AllowedOAuthFlowsUserPoolClient": True,
                        "AllowedOAuthFlows": ["code"],
                        "AllowedOAuthScopes": ["openid", "email", "aws.cognito.signin.user.admin"],
                        "SupportedIdentityProviders": ["COGNITO", "Google"],
                        "CallbackURLs": [f"http://localhost:{port}/callback"],
                        **client,
                    }
                ],
                "Users": [{"Username": "alice", "Password": PASSWORD}],
            }
        ]
    }


def environ(home: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "HTTP_PROXY": "http://127.0.0.1:9", **more}


@dataclass
class Command:
    """A command that waits for its browser."""

    port: int
    folder: Path
    forked: Forked

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text()

    async def asked(self) -> dict[str, str]:
        """Return the parameters of the address that is printed."""
        await until(lambda: "oauth2/authorize?" in self.err or self.forked.poll() is not None)
        (url,) = re.findall(r"\n  (http\S+)\n", self.err)
        return dict(parse_qsl(urlsplit(url).query))

    async def back(self, location: str, host: str = "") -> tuple[int, str]:
        """Return to the command as the browser does; return the status and the page."""
        url = location.replace("localhost", "127.0.0.1")
        headers = {"Host": host or f"localhost:{self.port}"}
        async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
            return answer.status, await answer.text()

    async def ended(self) -> int:
        return await asyncio.to_thread(self.forked.wait, PATIENCE)


@contextlib.contextmanager
def command(local: LocalCognito, folder: Path, port: int, *flags: str, **variables: str) -> Iterator[Command]:
    words = ["token", "--flow", "browser", "--callback-port", str(port), *flags]
    words += ["--user-pool-id", POOL, "--client-id", CLIENT, "--endpoint-url", local.url]
    words += [] if "--domain" in flags else ["--domain", local.url]
    out, err = folder / "out", folder / "err"
    for path in (out, err):
        path.write_text("")
    forked = Forked(words, cwd=folder, environ=environ(folder, **variables), out=out, err=err)
    try:
        yield Command(port, folder, forked)
    finally:
        if forked.poll() is None:
            os.kill(forked.pid, 9)
            forked.wait(PATIENCE)


@contextlib.asynccontextmanager
async def pool(**client: Any) -> AsyncIterator[tuple[LocalCognito, int]]:
    port = free_port()
    async with serving(seed(port, **client)) as local:
        yield local, port


def claims(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token.strip(), options={"verify_signature": False}))


async def test_the_token_is_all_that_is_printed(tmp_path: Path) -> None:
    async with pool() as (local, port), person(local) as alice:
        with command(local, tmp_path, port, "--username", "alice") as it:
            asked = await it.asked()
            assert asked["redirect_uri"] == f"http://localhost:{port}/callback"
            assert (asked["code_challenge_method"], asked["login_hint"]) == ("S256", "alice")
            assert "Open this address in a browser on this machine" in it.err
            assert await alice.open(asked) == ""
            status, page = await it.back(await alice.submit(username="alice", password=PASSWORD))
            assert (status, "You are signed in." in page) == (200, True)
            assert await it.ended() == 0
            assert it.out.count("\n") == 1
            assert (claims(it.out)["token_use"], claims(it.out)["username"]) == ("access", "alice")
            assert claims(it.out)["jti"] not in it.err


async def test_a_person_without_a_password(tmp_path: Path) -> None:
    async with pool(ClientSecret="s" * 24) as (local, port), person(local) as carol:
        (tmp_path / "secret").write_text("s" * 24)
        (tmp_path / "g.yaml").write_text(
            f"cognito: {{endpoint_url: '{local.url}', user_pools: [{{id: {POOL}, client_ids: [{CLIENT}], "
            f"domain: '{local.url}', client_secret_file: secret, audiences: ['https://api.test']}}]}}\n"
        )
        words = ["token", "--flow", "browser", "--callback-port", str(port), "--identity-provider", "Google"]
        words += ["--id", "--config", "g.yaml"]
        out, err = tmp_path / "out", tmp_path / "err"
        err.touch()
        forked = Forked(words, cwd=tmp_path, environ=environ(tmp_path), out=out, err=err)
        it = Command(port, tmp_path, forked)
        asked = await it.asked()
        assert (asked["identity_provider"], asked["resource"]) == ("Google", "https://api.test")
        assert await carol.open(asked) == ""
        assert (await it.back(await carol.submit(email=CAROL)))[0] == 200
        assert await it.ended() == 0, it.err
        assert claims(it.out)["email"] == CAROL


async def test_stored_tokens_need_no_browser(tmp_path: Path) -> None:
    async with pool() as (local, port), person(local) as alice:
        with command(local, tmp_path, port, "--cache", "--max-age", "5m") as it:
            asked = await it.asked()
            assert (asked["max_age"], asked["prompt"]) == ("300", "login")
            await alice.open(asked)
            await it.back(await alice.submit(username="alice", password=PASSWORD))
            assert await it.ended() == 0
            first = it.out
        for flags in (("--cache",), ("--refresh",)):
            with command(local, tmp_path, port, *flags) as it:
                assert await it.ended() == 0, it.err
                assert "oauth2/authorize" not in it.err
                assert (it.out == first) == (flags == ("--cache",))


async def test_only_the_callback_of_this_sign_in_is_taken(tmp_path: Path) -> None:
    async with pool() as (local, port), person(local) as alice:
        with command(local, tmp_path, port) as it:
            asked = await it.asked()
            base = f"http://localhost:{port}"
            state = asked["state"]
            for target, host, status in (
                ("/favicon.ico", "", 404),
                (f"/callback?code=x&state={state}", "evil.test", 404),
                (f"/callback?code=x&state={state}", f"evil.test:{port}", 404),
                ("/callback?code=x&state=another", "", 400),
                ("/callback?code=x", "", 400),
                (f"/callback?code=x&state={state}&code=y", "", 400),
                (f"/callback?state={state}" + "&a=1" * 30, "", 400),
            ):
                assert (await it.back(base + target, host))[0] == status, target
            # A connection that says nothing keeps nobody out.
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await alice.open(asked)
            assert (await it.back(await alice.submit(username="alice", password=PASSWORD)))[0] == 200
            assert await it.ended() == 0
            assert await reader.read() == b""
            writer.close()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"error": "access_denied", "error_description": "no\x1b[31m"}, "says: access_denied: no [31m"),
        ({"code": "00000000-0000-4000-8000-000000000000"}, "the token endpoint: invalid_grant"),
        ({}, "neither a code nor an error"),
    ],
)
async def test_what_fails_is_said_on_both_sides(tmp_path: Path, answer: dict[str, str], told: str) -> None:
    async with pool() as (local, port):
        with command(local, tmp_path, port) as it:
            query = urlencode({**answer, "state": (await it.asked())["state"]})
            status, page = await it.back(f"http://localhost:{port}/callback?{query}")
            assert (status, told in page) == (400, True), page
            assert await it.ended() == 1
            assert it.out == ""
            assert told in it.err
            assert "\x1b" not in it.err


async def test_another_sign_ins_tokens_are_refused(tmp_path: Path) -> None:
    async with pool() as (local, port), person(local) as mallory:
        with command(local, tmp_path, port) as it:
            asked = await it.asked()
            await mallory.open(asked | {"nonce": "another"})
            await it.back(await mallory.submit(username="alice", password=PASSWORD))
            assert await it.ended() == 1
            assert "its nonce is another" in it.err


async def test_the_chosen_browser_is_opened_and_writes_nothing_into_the_token(tmp_path: Path) -> None:
    opener = tmp_path / "opener"
    opener.write_text(f'#!/bin/sh\necho noise; echo noise >&2\nprintf %s "$1" > {tmp_path}/opened\n')
    opener.chmod(opener.stat().st_mode | stat.S_IXUSR)
    async with pool() as (local, port), person(local) as alice:
        with command(local, tmp_path, port, BROWSER=f"{opener} %s") as it:
            asked = await it.asked()
            assert "Opening the sign-in page in your browser." in it.err
            opened = tmp_path / "opened"
            await until(lambda: opened.exists() and asked["state"] in opened.read_text())
            await alice.open(asked)
            await it.back(await alice.submit(username="alice", password=PASSWORD))
            assert await it.ended() == 0
            assert claims(it.out)["username"] == "alice"
            assert "noise" not in it.err
        opened.unlink()
        with command(local, tmp_path, port, "--no-browser", BROWSER=f"{opener} %s") as it:
            await it.asked()
            assert "Open this address" in it.err
        assert not opened.exists()


async def test_nobody_comes(tmp_path: Path) -> None:
    async with pool() as (local, port):
        with command(local, tmp_path, port, "--timeout", "1s") as it:
            assert await it.ended() == 1
            assert "nobody signed in within 1 s" in it.err
            assert f"add http://localhost:{port}/callback to the app client's allowed callback URLs" in it.err


async def test_a_taken_port(tmp_path: Path) -> None:
    async with pool() as (local, port):
        with socket.create_server(("127.0.0.1", port)), command(local, tmp_path, port) as it:
            assert await it.ended() == 1
            assert f"127.0.0.1:{port} cannot be listened on" in it.err
            assert "--callback-port" in it.err


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    at = ["--user-pool-id", POOL, "--client-id", CLIENT]
    done = run("token", "--flow", "browser", *at, environ=environ(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "token: --flow browser needs managed login: pass --domain URL" in done.stderr
    (tmp_path / "p").write_text("x")
    words = ["token", "--flow", "browser", *at, "--password-file", str(tmp_path / "p")]
    assert "--password-file has no use with --flow browser" in run(*words, environ=environ(tmp_path)).stderr
    done = run("token", "--callback-port", "70000", *at, environ=environ(tmp_path))
    assert done.returncode == 2
