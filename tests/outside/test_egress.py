"""Calls to AWS by way of a company's proxy that inspects TLS with its own CA: each stack, each command.

The names of AWS do not resolve here, or lead nowhere: what is answered came through the proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.config.egress import egress_of
from gateway.errors import CognitoUnavailable, SignInRefused
from gateway.keys.fetch import FetchFailed, HttpSource
from gateway.sessions.token_endpoint import redeem
from local_cognito.server import LocalCognito
from tests.support import commands, local_cognito
from tests.support.connect_proxy import ConnectProxy
from tests.support.ports import free_port
from tests.support.programs import Served, environment, serving, until
from tests.support.site import Browser
from tests.support.waiting import PATIENCE
from tests.support.wire import Upstream

POOL, CLIENT, ALICE, PASSWORD = "us-east-1_Egress123", "egressclient", "alice@example.com", "Correct-Horse-1"
IDP, IDENTITY = "cognito-idp.us-east-1.amazonaws.com", "cognito-identity.us-east-1.amazonaws.com"
JWKS = f"https://{IDP}/{POOL}/.well-known/jwks.json"
SEED: dict[str, Any] = {
    "UserPools": [
        {
            "Id": POOL,
            "PoolName": "egress",
            "Clients": [
                {
                    "ClientId": CLIENT,
                    "ClientName": "web",
                    "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
                }
            ],
            "Users": [{"Username": ALICE, "Password": PASSWORD}],
        }
    ]
}


@dataclass
class Company:
    """A network whose only way out is the proxy."""

    local: LocalCognito
    proxy: ConnectProxy
    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        return {
            "HTTPS_PROXY": self.proxy.url,
            "NO_PROXY": "",
            "AWS_CA_BUNDLE": str(self.proxy.authority.file),
            "SSL_CERT_FILE": "",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "HOME": str(self.folder),
        }

    def pools(self, *more: str) -> str:
        pool = {"id": POOL, "client_ids": [CLIENT], "issuers": [f"{self.local.url}/{POOL}"], "jwks_url": JWKS}
        return "\n".join([f"  user_pools: [{json.dumps(pool)}]", *(f"  {line}" for line in more)])

    def configuration(self, *more: str, upstream: str = "http://127.0.0.1:1") -> Path:
        path = self.folder / "g.yaml"
        path.write_text(f"upstream: {{url: '{upstream}'}}\ncognito:\n{self.pools(*more)}\n")
        return path


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    with (
        local_cognito.running(SEED) as local,
        ConnectProxy(tmp_path, int(local.url.rpartition(":")[2])).running() as proxy,
    ):
        yield Company(local, proxy, tmp_path)


@contextlib.asynccontextmanager
async def served(
    company: Company, *cognito: str, environ: dict[str, str]
) -> AsyncIterator[tuple[Served, Upstream]]:
    upstream = Upstream()
    pools = company.pools("revocation: {check_every: 1s}", *cognito)
    async with (
        upstream.running(),
        serving(company.folder, upstream=upstream.url, pools=pools, environ=environ) as running,
    ):
        yield running, upstream


def run(
    *arguments: str | Path, given: str = "", environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return commands.run(*arguments, given=given, environ=environment(**(environ or {})))


def signed_in(company: Company, environ: dict[str, str], *flags: str | Path) -> str:
    done = run("token", "--username", ALICE, *flags, given=f"{PASSWORD}\n", environ=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- the gateway -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["environment", "configuration"])
async def test_keys_sign_in_and_revocation_go_through_the_proxy_and_the_upstream_never(
    company: Company, by: str
) -> None:
    ca_file = company.proxy.authority.file
    if by == "environment":
        lines, environ = [], company.environ
    else:
        # What the environment says is wrong then, and does not matter.
        lines = [f"proxy: {company.proxy.url}", f"ca_file: {ca_file}"]
        nobody = f"http://127.0.0.1:{free_port()}"
        environ = {**company.environ, "HTTPS_PROXY": nobody, "NO_PROXY": "*", "AWS_CA_BUNDLE": "/nowhere"}
    async with served(company, *lines, environ=environ) as (gateway, upstream):
        # Key sets (aiohttp).
        assert company.proxy.hosts == {IDP}
        browser = Browser(gateway.port)
        await browser.open("/oauth2/sign_in?return_to=/app")
        # InitiateAuth (boto3).
        await browser.submit(username=ALICE, password=PASSWORD)
        assert browser.location == "/app"
        assert (await browser.open("/app")).status == 200
        # GetUser (aiohttp): a user who was disabled is out.
        await asyncio.to_thread(company.local.call, "AdminDisableUser", UserPoolId=POOL, Username=ALICE)

        async def out() -> bool:
            return (await browser.open("/app")).status != 200

        await until(out)
        assert upstream.connections
    assert company.proxy.hosts == {IDP}
    # Nothing on loopback was asked of it: not the upstream, not the metrics.
    assert not [each for each in company.proxy.connected if each.startswith(("127.", "localhost"))]


async def test_roots_are_read_again_when_their_file_changes(company: Company, tmp_path: Path) -> None:
    roots = tmp_path / "roots.pem"
    source = HttpSource(JWKS, egress_of(company.proxy.url, roots, {}), timeout=PATIENCE)
    with pytest.raises(FetchFailed, match=f": cognito.ca_file {roots}: no such file or directory$"):
        await source.read()
    roots.write_bytes(company.proxy.authority.file.read_bytes())
    assert b'"keys"' in await source.read()


async def test_a_private_ca_without_key_identifiers_is_trusted_on_every_interpreter(company: Company) -> None:
    """Its certificates are such: VERIFY_X509_STRICT, 3.13's default, refuses them (docs/tls.md)."""
    egress = egress_of(company.proxy.url, company.proxy.authority.file, {})
    assert b'"keys"' in await HttpSource(JWKS, egress, timeout=PATIENCE).read()


async def test_the_token_endpoint_is_reached_through_the_proxy(company: Company) -> None:
    egress = egress_of(company.proxy.url, company.proxy.authority.file, {})
    ask: dict[str, Any] = {
        "client_id": CLIENT, "client_secret": None, "code": "made-up", "verifier": "v" * 43,
        "redirect_uri": "https://app.test/oauth2/callback",
    }  # fmt: skip
    with pytest.raises(SignInRefused, match="invalid_"):
        await redeem("https://login.example.com", egress, **ask)
    assert company.proxy.connected == ["login.example.com:443"]
    with pytest.raises(CognitoUnavailable, match=r"certificate verify failed: .* of cognito\.ca_file"):
        await redeem("https://login.example.com", egress_of(company.proxy.url, _other(company), {}), **ask)


def _other(company: Company) -> Path:
    """Roots of somebody else."""
    folder = company.folder / "other"
    folder.mkdir(exist_ok=True)
    return ConnectProxy(folder, 0).authority.file


# --- the commands ------------------------------------------------------------------------------------------


def test_every_command_takes_the_proxy_and_the_roots(company: Company) -> None:
    environ, flags = company.environ, ("--user-pool-id", POOL, "--client-id", CLIENT)
    assert signed_in(company, environ, *flags).count(".") == 2
    path = company.configuration()
    token = signed_in(company, environ, "--config", path)
    explained = run("explain", "--config", path, token, environ=environ)
    assert explained.returncode == 0, explained.stdout
    made = run(
        "setup", "--json", "--region", "us-east-1", "--pool-name", "another", "--identity-pool",
        environ=environ,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    closed = run("sign-up", "disable", "--user-pool-id", POOL, environ=environ)
    assert closed.returncode == 0, closed.stderr
    looked = run("doctor", "--json", "--config", path, environ=environ)
    found = {each["about"]: each for each in json.loads(looked.stdout)["findings"]}
    assert found[f"keys of {POOL}"]["level"] == "good"
    assert found["clock"]["level"] == "good"
    assert found[f"user pool {POOL}"]["level"] != "unknown"
    given = run(
        "credentials", "--username", ALICE, "--identity-pool-id",
        json.loads(made.stdout)["identity_pool_id"], "--config", path,
        given=f"{PASSWORD}\n", environ=environ,
    )  # fmt: skip
    # The new identity pool belongs to another user pool: AWS's refusal is what came back.
    assert "NotAuthorizedException" in given.stderr, given.stderr
    assert {IDP, IDENTITY, "iam.amazonaws.com"} <= company.proxy.hosts


def test_ssl_cert_file_is_taken_by_both_stacks(company: Company) -> None:
    environ = {name: value for name, value in company.environ.items() if name != "AWS_CA_BUNDLE"}
    environ["SSL_CERT_FILE"] = str(company.proxy.authority.file)
    path = company.configuration()
    token = signed_in(company, environ, "--config", path)
    assert run("explain", "--config", path, token, environ=environ).returncode == 0


def test_a_proxy_with_a_password(tmp_path: Path) -> None:
    with (
        local_cognito.running(SEED) as local,
        ConnectProxy(tmp_path, int(local.url.rpartition(":")[2]), password="us@er:p:w").running() as proxy,
    ):
        company = Company(local, proxy, tmp_path)
        path = company.configuration()
        with_password = {**company.environ, "HTTPS_PROXY": proxy.url.replace("//", "//us%40er:p%3Aw@")}
        token = signed_in(company, with_password, "--config", path)
        assert run("explain", "--config", path, token, environ=with_password).returncode == 0
        assert proxy.refused == 0
        # Without it, each stack says who refused.
        told = run("token", "--username", ALICE, "--config", path, given="x\n", environ=company.environ)
        assert (told.returncode, told.stderr) == (
            1,
            f"cognito-gateway: the proxy {proxy.url} (HTTPS_PROXY) cannot be reached or refuses CONNECT: "
            "check it and its credentials\n",
        )
        explained = run("explain", "--config", path, token, environ=company.environ)
        assert f"the proxy {proxy.url} (HTTPS_PROXY) answered 407 to CONNECT" in explained.stdout
        assert "p%3Aw" not in told.stderr + explained.stdout


@pytest.mark.parametrize(
    ("variable", "named"),
    [("AWS_CA_BUNDLE", "AWS_CA_BUNDLE"), ("SSL_CERT_FILE", "SSL_CERT_FILE"), (None, "the system")],
)
def test_a_tls_error_names_the_roots_and_the_setting(
    company: Company, variable: str | None, named: str
) -> None:
    environ = {name: value for name, value in company.environ.items() if name != "AWS_CA_BUNDLE"}
    other = _other(company)
    if variable is not None:
        environ[variable] = str(other)
        named = f"{named} ({other})"
    path = company.configuration()
    told = run("token", "--username", ALICE, "--config", path, given="x\n", environ=environ)
    explained = run("explain", "--config", path, "a.b.c", environ=environ)
    looked = run("doctor", "--json", "--config", path, environ=environ)
    (keys,) = [each for each in json.loads(looked.stdout)["findings"] if each["about"] == f"keys of {POOL}"]
    for text in (told.stderr, keys["what"]):
        assert "certificate verify failed: " in text
        assert f"the trusted CAs are those of {named}" in text
        assert "set cognito.ca_file to a file with its CA" in text
    assert told.stderr.count("\n") == 1
    assert explained.returncode == 1


def test_a_ca_file_that_cannot_be_used(company: Company) -> None:
    empty = company.folder / "empty.pem"
    empty.write_text("nothing\n")
    checked = run("check-config", company.configuration(f"ca_file: {empty}"))
    assert checked.returncode == 1
    assert f"cognito.ca_file: {empty}: contains no readable certificate: use PEM" in checked.stderr
    warned = run("check-config", company.configuration(), environ={"AWS_CA_BUNDLE": "/nowhere.pem"})
    assert warned.returncode == 0
    assert "warning: cognito.ca_file: AWS_CA_BUNDLE /nowhere.pem: no such file or directory" in warned.stderr
