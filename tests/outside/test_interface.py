"""The public surface, promise by promise: commands, answers, endpoints, metrics, logs."""

from __future__ import annotations

import asyncio
import base64
import json
import platform
import re
import time
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from gateway.version import VERSION
from tests.outside.support import (
    DEMO_CLIENT,
    DEMO_PASSWORD,
    DEMO_POOL,
    DEMO_USER,
    ROOT,
    SCRIPT,
    Served,
    cognito,
    pinned,
    run,
    serving,
)
from tests.support import local_cognito
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, access_claims, issuer_of, sign
from tests.support.wire import OK, Client, Received, Reply, Upstream, get, once

COMMANDS = (
    *(
        "serve",
        "check-config",
        "config-schema",
        "demo",
        "local-cognito",
        "token",
        "explain",
        "sign-up",
        "setup",
        "credentials",
        "doctor",
        "version",
    ),
)

METRICS = (
    *("requests_total", "request_duration_seconds", "upstream_duration_seconds", "requests_in_flight"),
    *("auth_decisions_total", "token_cache_hits_total", "token_cache_misses_total", "jwks_fetches_total"),
    *("jwks_keys", "jwks_last_success_timestamp_seconds", "upstream_errors_total", "config_reloads_total"),
    *("workers", "build_info"),
)
ACCESS_FIELDS = [
    *("timestamp", "level", "event", "request_id", "client", "method", "path", "status", "duration_ms"),
    *("request_bytes", "response_bytes", "upstream_ms", "subject", "pool", "decision", "reason"),
]

METADATA = "http://api.test/.well-known/oauth-protected-resource"
CHALLENGE = 'Bearer realm="cognito-gateway"'

POOL_FLAGS = ("token", "--username", "alice", "--user-pool-id", DEMO_POOL, "--client-id", DEMO_CLIENT)


# --- commands ---


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_usage_is_2(command: str, tmp_path: Path) -> None:
    done = run(SCRIPT, command, "--nonsense", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: cognito-gateway")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_0(command: str) -> None:
    done = run(SCRIPT, command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: cognito-gateway {command}")


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve"],
        ["serve", "--config", "wrong.yaml"],
        ["serve", "--config", "."],
        ["check-config"],
        ["check-config", "wrong.yaml"],
        ["check-config", "binary.yaml"],
        ["local-cognito", "--listen", "192.0.2.1:0"],
        ["local-cognito", "--seed", "nothing.yaml"],
        ["local-cognito", "--seed", "wrong.yaml"],
        ["setup"],
        ["setup", "--plan", "--region", "us-east-1", "--endpoint-url", "http://127.0.0.1:9"],
        ["sign-up", "enable"],
        ["sign-up", "disable", "--user-pool-id", DEMO_POOL, "--endpoint-url", "http://127.0.0.1:9"],
        ["credentials", "--username", "alice"],
        ["explain"],
        ["explain", "a.b.c", "--config", "wrong.yaml"],
        ["doctor"],
        ["doctor", "--json", "--config", "wrong.yaml"],
        ["token", "--username", "alice"],
        ["token", "--username", "alice", "--config", "wrong.yaml"],
        [*POOL_FLAGS, "--password-file", "nothing"],
        [*POOL_FLAGS, "--endpoint-url", "http://127.0.0.1:9"],
    ],
    ids=" ".join,
)
def test_what_a_user_can_cause_is_1_and_a_sentence(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("listen: ]\n")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00a")
    done = run(SCRIPT, *arguments, cwd=tmp_path, stdin=DEMO_PASSWORD + "\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert DEMO_PASSWORD not in done.stderr


def test_version() -> None:
    done = run(SCRIPT, "version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"cognito-gateway {VERSION}",
        f"Python {platform.python_version()}",
        f"aiohttp {version('aiohttp')}",
    ]


def test_config_schema_is_the_committed_file() -> None:
    done = run(SCRIPT, "config-schema")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (ROOT / "config/gateway.schema.json").read_text(encoding="utf-8")


# --- answers when we refuse ---


class Bench:
    """A gateway, its pool's key, and an upstream that does what the path says."""

    def __init__(self, served: Served, upstream: Upstream, key: KeyPair) -> None:
        self.served, self.upstream, self.key = served, upstream, key

    def token(self, **changes: Any) -> str:
        return sign(self.key, access_claims(**changes)).decode()

    async def bearer(self, target: str = "/", *lines: str, **changes: Any) -> Reply:
        return await self.served.ask(target, f"Authorization: Bearer {self.token(**changes)}", *lines)

    async def log(self, reply: Reply, event: str) -> dict[str, Any]:
        """The line that the request of this answer left; the log's own thread may be a moment behind."""
        # The API's answers are passed on as they are: there the upstream knows it.
        request_id = reply.get("X-Request-Id") or (self.upstream.last.get("X-Request-Id") or b"").decode()
        for _ in range(1200):
            for line in self.served.log:
                if line["event"] == event and line.get("request_id") == request_id:
                    return line
            await asyncio.sleep(0.05)
        raise AssertionError(f"no {event} of {request_id} in the log")


async def by_path(received: Received, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    match received.target:
        case b"/silent":
            await asyncio.sleep(30)
        case b"/broken":
            writer.write(b"HTTP/1.1 banana\r\n\r\n")
        case b"/gone":
            writer.close()
        case _:
            writer.write(OK)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    key = KeyPair.generate("key-1")
    routes = "routes: [{path: /open, auth: none}, {path: /either, auth: optional}]"
    async with (
        Upstream(script=by_path).running() as upstream,
        serving(
            tmp_path,
            upstream=f"{upstream.url}', response_timeout: '3s",
            pools=pinned(tmp_path, key),
            more=f"{routes}\nlog: {{level: debug}}",
        ) as served,
    ):
        yield Bench(served, upstream, key)


def problem(reply: Reply) -> dict[str, Any]:
    """The body of a refusal, its form checked."""
    assert reply.get("Content-Type") == "application/problem+json"
    body: dict[str, Any] = json.loads(reply.body)
    assert set(body) == {"type", "title", "status", "detail", "request_id"}
    assert body["status"] == reply.status
    assert body["request_id"] == reply.get("X-Request-Id")
    assert all(isinstance(body[name], str) and body[name] for name in ("type", "title", "detail"))
    return body


async def test_no_credentials(bench: Bench) -> None:
    for lines in ([], ["Authorization: Basic YTpi"]):
        reply = await bench.served.ask("/", *lines)
        assert reply.status == 401
        assert reply.all("WWW-Authenticate") == [f'{CHALLENGE}, resource_metadata="{METADATA}"']
        problem(reply)
        line = await bench.log(reply, "request")
        assert (line["decision"], line["reason"], line["status"]) == ("refused", "no_credentials", 401)
    assert bench.upstream.requests == []


BAD_TOKENS: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"exp": int(time.time()) - 60}, "token_expired"),
    "another client's": ({"client_id": "another0client"}, "wrong_client"),
    "an ID token": ({"token_use": "id"}, "wrong_token_use"),
    "another pool's": ({"iss": issuer_of("ap-south-1_Another01")}, "wrong_issuer"),
    "not yet valid": ({"nbf": int(time.time()) + 3600}, "token_not_yet_valid"),
    "without exp": ({"exp": "soon"}, "token_payload"),
}


@pytest.mark.parametrize("which", BAD_TOKENS)
async def test_a_bad_token(bench: Bench, which: str) -> None:
    changes, reason = BAD_TOKENS[which]
    reply = await bench.bearer(**changes)
    assert reply.status == 401
    body = problem(reply)
    challenge = f'{CHALLENGE}, error="invalid_token", error_description="{body["detail"]}"'
    assert reply.all("WWW-Authenticate") == [f'{challenge}, resource_metadata="{METADATA}"']
    # The client hears the class; expiry is the one thing it can do something about.
    expired = "The access token has expired."
    assert body["detail"] == (expired if which == "expired" else "The access token is invalid.")
    line = await bench.log(reply, "auth_failure")
    assert line["reason"] == reason
    assert line["exact"] != body["detail"]
    assert (await bench.log(reply, "request"))["reason"] == reason
    assert bench.upstream.requests == []


async def test_two_credentials_and_malformed_ones(bench: Bench) -> None:
    token = bench.token()
    for lines in (
        [f"Authorization: Bearer {token}", f"Authorization: Bearer {token}"],
        [f"Authorization: Bearer {token}, Basic YTpi"],
        ["Authorization: Bearer"],
        ["Authorization: Bearer a b"],
        ["Authorization:"],
    ):
        reply = await bench.served.ask("/", *lines)
        assert reply.status == 400, lines
        body = problem(reply)
        challenge = f'{CHALLENGE}, error="invalid_request", error_description="{body["detail"]}"'
        assert reply.all("WWW-Authenticate") == [f'{challenge}, resource_metadata="{METADATA}"']
    assert bench.upstream.requests == []


@pytest.mark.parametrize(
    "head",
    [
        get("/a//b"),
        get("/a/../b"),
        get("/a/%2e%2e/b"),
        get("/a%2fb"),
        get("/a;b"),
        get("/a\\b"),
        get("/a", "Content-Length: 1", "Transfer-Encoding: chunked"),
        get("/a", "Content-Length: 1", "Content-Length: 2"),
        get("/a", "Host: other.test"),
        get("/a", "X-A : 1"),
        b"GET /a HTTP/1.1\r\n\r\n",
    ],
)
async def test_ambiguous_paths_and_bad_framing(bench: Bench, head: bytes) -> None:
    authorized = head.replace(b"\r\n", f"\r\nAuthorization: Bearer {bench.token()}\r\n".encode(), 1)
    reply = await once(bench.served.port, authorized)
    assert reply.status == 400
    assert reply.get("WWW-Authenticate") is None
    problem(reply)
    assert bench.upstream.requests == []


@pytest.mark.parametrize(
    ("target", "status", "reason"),
    [
        ("/silent", 504, "upstream_timeout"),
        ("/broken", 502, "upstream_broken"),
        ("/gone", 502, "upstream_broken"),
    ],
)
async def test_the_upstream_fails(bench: Bench, target: str, status: int, reason: str) -> None:
    reply = await bench.bearer(target)
    assert reply.status == status
    assert reply.get("WWW-Authenticate") is None
    problem(reply)
    line = await bench.log(reply, "request")
    assert (line["decision"], line["reason"]) == ("allowed", reason)


async def test_the_upstream_is_not_there(tmp_path: Path) -> None:
    key = KeyPair.generate("key-1")
    async with serving(tmp_path, upstream="http://127.0.0.1:9", pools=pinned(tmp_path, key)) as served:
        reply = await served.bearer(sign(key, access_claims()))
        assert reply.status == 502
        problem(reply)
        assert (await served.ask("/")).status == 401, "decided before the upstream is asked"


async def test_methods_heads_and_bodies_that_are_too_much(bench: Bench) -> None:
    for method in ("TRACE", "CONNECT"):
        target = "api.test:443" if method == "CONNECT" else "/"
        reply = await bench.served.ask(target, f"Authorization: Bearer {bench.token()}", method=method)
        assert 400 <= reply.status < 500
    reply = await bench.bearer("/", "X-Large: " + "x" * 40_000)
    assert reply.status in {400, 431}
    assert bench.upstream.requests == []


# --- endpoints ---


@pytest.mark.parametrize("target", ["/oauth2", "/oauth2/whatever", "/%6Fauth2/x", "/oauth2/auth/x?y"])
async def test_the_reserved_prefix_is_never_proxied(bench: Bench, target: str) -> None:
    for reply in (await bench.bearer(target), await bench.served.ask(target)):
        assert reply.status == 404
        problem(reply)
    assert bench.upstream.requests == []


# GET by a stranger, POST without a form, OPTIONS; with a pool of which nothing but its keys is known.
ANSWERS = {
    "/oauth2/": (303, 405, 405),
    "/oauth2/auth": (401, 401, 401),
    "/oauth2/setup": (404, 400, 405),
    "/oauth2/sign_in": (200, 400, 405),
    "/oauth2/sign_up": (200, 400, 405),
    "/oauth2/confirm": (200, 400, 405),
    "/oauth2/forgot_password": (200, 400, 405),
    "/oauth2/challenge": (303, 400, 405),
    "/oauth2/sign_out": (303, 400, 405),
    "/oauth2/start": (404, 405, 405),
    "/oauth2/callback": (404, 405, 405),
    "/oauth2/userinfo": (401, 405, 405),
    "/oauth2/credentials": (401, 405, 405),
    "/.well-known/oauth-protected-resource": (200, 405, 405),
}


async def test_what_each_endpoint_answers_to_each_method(bench: Bench) -> None:
    seen = {}
    for path in ANSWERS:
        got = await bench.served.ask(path)
        head = await bench.served.ask(path, method="HEAD")
        assert (head.status, head.body) == (got.status, b""), path
        others = [
            await bench.served.ask(path, "Content-Length: 0", method="POST"),
            await bench.served.ask(path, method="OPTIONS"),
        ]
        seen[path] = (got.status, *(reply.status for reply in others))
        for reply in (got, *others):
            if reply.status >= 400:
                problem(reply)
            assert (reply.get("Allow") is not None) == (reply.status == 405)
    assert seen == ANSWERS
    assert bench.upstream.requests == []


async def test_not_configured(tmp_path: Path) -> None:
    routes = "routes: [{path: /open, auth: none}, {path: /either, auth: optional}]"
    pools = "  user_pools: []"
    async with (
        Upstream().running() as upstream,
        serving(tmp_path, upstream=upstream.url, pools=pools, more=routes) as served,
    ):
        for target in ("/", "/oauth2/auth", "/oauth2/userinfo"):
            for lines in ([], ["Authorization: Bearer a.b.c"]):
                reply = await served.ask(target, *lines)
                assert (reply.status, reply.get("WWW-Authenticate")) == (503, None)
                assert "http://api.test/oauth2/" in problem(reply)["detail"]
                assert reply.get("Link") == '<http://api.test/oauth2/>; rel="help"'
        assert (await served.ask("/either", "Authorization: Bearer a.b.c")).status == 503
        assert upstream.requests == []
        for target in ("/open", "/either"):
            assert (await served.ask(target)).status == 200
        for target in ("/oauth2/", "/oauth2/setup"):
            assert (await served.ask(target, "Accept: text/html")).status == 200
        browser = await served.ask("/api", "Accept: text/html", "Sec-Fetch-Mode: navigate")
        assert (browser.status, browser.get("Location")) == (302, "/oauth2/")


async def test_the_portal_sends_strangers_to_sign_in(bench: Bench) -> None:
    reply = await bench.served.ask("/oauth2/", "Accept: text/html")
    assert (reply.status, reply.get("Location")) == (303, "/oauth2/sign_in")
    assert bench.upstream.requests == []


async def test_what_only_looks_like_the_prefix_is_the_apis(bench: Bench) -> None:
    for target in ("/oauth2x", "/api/oauth2/x", "/oauth"):
        assert (await bench.bearer(target)).status == 200
        assert bench.upstream.last.target == target.encode()


@pytest.mark.parametrize(("path", "resource"), [("", "/"), ("/api/v1/config", "/api/v1/config")])
async def test_protected_resource_metadata(bench: Bench, path: str, resource: str) -> None:
    reply = await bench.served.ask(f"/.well-known/oauth-protected-resource{path}")
    assert reply.status == 200
    assert reply.get("Content-Type") == "application/json"
    document = json.loads(reply.body)
    assert document["resource"] == f"http://api.test{resource}"
    assert document["authorization_servers"] == [issuer_of(POOL_ID)]
    assert bench.upstream.requests == []


async def test_probes(bench: Bench) -> None:
    health = await bench.served.probe("/healthz")
    ready = await bench.served.probe("/readyz")
    assert (health.status, ready.status) == (200, 200)
    assert json.loads(ready.body)["status"] == "ready"
    for path in ("/metrics", "/healthz", "/readyz"):
        assert (await bench.served.ask(path)).status == 401, "they are not on the public port"


async def test_routes_that_need_no_token(bench: Bench) -> None:
    spoofed = ("X-Auth-Request-User: mallory", "X_Auth_Request_User: mallory", "X.Auth.Request.User: mallory")
    assert (await bench.served.ask("/open", "Authorization: Bearer nonsense", *spoofed)).status == 200
    assert (await bench.served.ask("/either", *spoofed)).status == 200
    assert not [line for each in bench.upstream.requests for line in each.headers if b"mallory" in line[1]]
    assert (await bench.served.ask("/either", "Authorization: Bearer nonsense")).status == 401
    assert (await bench.bearer("/either", *spoofed)).status == 200
    assert bench.upstream.last.all("X-Auth-Request-User") == [access_claims()["sub"].encode()]
    assert bench.upstream.last.get("Authorization") is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc-123._X", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("a b", False),
        ("a,b", False),
        ("é", False),
    ],
)
async def test_request_ids(bench: Bench, given: str, *, kept: bool) -> None:
    refused = await bench.served.ask("/", f"X-Request-Id: {given}")
    passed = await bench.bearer("/", f"X-Request-Id: {given}")
    (at_upstream,) = bench.upstream.last.all("X-Request-Id")
    for reply, seen in ((refused, str(refused.get("X-Request-Id"))), (passed, at_upstream.decode())):
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", seen)
        assert (seen == given) == kept
        assert (await bench.log(reply, "request"))["request_id"] == seen


# --- metrics and logs ---


async def test_metrics(bench: Bench) -> None:
    await bench.bearer("/api/v1/config")
    await bench.bearer("/api/v1/config?x=1", exp=1)
    await bench.bearer("/broken")
    text = (await bench.served.probe("/metrics")).body.decode()
    families = set(re.findall(r"(?m)^# TYPE (\S+) ", text))
    # The promise; docs/metrics.md has those that came later.
    assert families >= {f"cognito_gateway_{name}" for name in METRICS}
    assert all(name.startswith("cognito_gateway_") for name in families)
    samples = await bench.served.samples()
    assert samples['cognito_gateway_requests_total{code="200",method="GET"}'] == 1
    assert samples['cognito_gateway_auth_decisions_total{reason="token_expired",result="refused"}'] == 1
    assert samples['cognito_gateway_upstream_errors_total{reason="upstream_broken"}'] == 1
    assert samples[f'cognito_gateway_jwks_keys{{pool="{POOL_ID}"}}'] == 1
    assert samples[f'cognito_gateway_build_info{{version="{VERSION}"}}'] == 1
    for chosen in ("api/v1", "alice", "key-1", access_claims()["sub"], CLIENT_ID, "127.0.0.1"):
        assert chosen not in text


async def test_metrics_labels_are_not_the_clients_to_choose(bench: Bench) -> None:
    for method in ("BREW", "PROPFIND", "X" * 60):
        async with await Client.connect(bench.served.port) as client:
            await client.ask(get("/", method=method))
    names = await bench.served.samples()
    methods = set(re.findall(r'method="(\w+)"', " ".join(names)))
    assert methods <= {"GET", "other"}


async def test_access_lines(bench: Bench) -> None:
    before = time.time()
    reply = await bench.bearer("/api/v1/config?password=swordfish")
    line = await bench.log(reply, "request")
    assert list(line) == ACCESS_FIELDS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])
    assert line["timestamp"] >= time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(before))
    expected = {
        "level": "info",
        "client": "127.0.0.1",
        "method": "GET",
        "path": "/api/v1/config",
        "status": 200,
        "request_bytes": 0,
        "response_bytes": 2,
        "subject": access_claims()["sub"],
        "pool": POOL_ID,
        "decision": "allowed",
        "reason": "valid_token",
    }
    assert {name: line[name] for name in expected} == expected
    assert line["duration_ms"] >= line["upstream_ms"] >= 0
    success = await bench.log(reply, "auth_success")
    assert success["subject"] == access_claims()["sub"]


async def test_every_line_of_the_log_is_json_with_its_three_first_fields(bench: Bench) -> None:
    await bench.bearer("/%0d%0aevent", "X-Request-Id: a\tb")
    await bench.served.ask("/<script>")
    await once(bench.served.port, b"\x16\x03\x01nonsense\r\n\r\n")
    assert await bench.served.stop() == 0
    lines = bench.served.log
    assert len(bench.served.stdout.splitlines()) == len(lines)
    assert all(list(line)[:3] == ["timestamp", "level", "event"] for line in lines)
    events = {line["event"] for line in lines}
    assert {"started", "key_set_loaded", "request", "draining", "stopped"} <= events
    assert bench.served.stderr == ""


async def test_nothing_secret_is_printed_anywhere(tmp_path: Path) -> None:
    wrong = "Wrong-Password-77"
    async with Upstream().running() as upstream, cognito(tmp_path) as (program, url):
        pools = f"  endpoint_url: {url}\n  user_pools: [{{id: {DEMO_POOL}, client_ids: [{DEMO_CLIENT}]}}]"
        debug = "log: {level: debug}"
        async with serving(tmp_path, upstream=upstream.url, pools=pools, more=debug) as served:
            boto = local_cognito.client(url)

            def sign_in(password: str) -> dict[str, str]:
                answer = boto.initiate_auth(
                    ClientId=DEMO_CLIENT,
                    AuthFlow="USER_PASSWORD_AUTH",
                    AuthParameters={"USERNAME": DEMO_USER, "PASSWORD": password},
                )
                return dict(answer["AuthenticationResult"])

            with pytest.raises(boto.exceptions.NotAuthorizedException):
                await asyncio.to_thread(sign_in, wrong)
            tokens = await asyncio.to_thread(sign_in, DEMO_PASSWORD)
            access, identity = tokens["AccessToken"], tokens["IdToken"]
            basic = base64.b64encode(f"{DEMO_USER}:{DEMO_PASSWORD}".encode()).decode()
            for lines in (
                [f"Authorization: Bearer {access}"],
                [f"Authorization: Bearer {identity}"],
                [f"Authorization: Bearer {access[:-4]}AAAA"],
                [f"Authorization: Bearer {access}, Bearer {identity}"],
                [f"Authorization: Basic {basic}"],
                [f"Authorization: {access}"],
                [f"Authorization: Bearer {access}", f"Bad Header {access}: 1"],
                [f"Cookie: cognito_gateway_session={tokens['RefreshToken']}", f"X-Request-Id: {access}"],
                [f"Host: {access}"],
                [f"Transfer-Encoding: {access}"],
            ):
                await served.ask(f"/api?access_token={access}&code={wrong}", *lines)
            await once(served.port, get("/", method=access[:20]))
            await served.ask(f"/api/{access}/x", f"Authorization: Bearer {access}")
            command = (SCRIPT, *POOL_FLAGS, "--username", DEMO_USER, "--endpoint-url", url)
            done = [
                await asyncio.to_thread(run, *command, cwd=tmp_path, stdin=password + "\n")
                for password in (wrong, DEMO_PASSWORD)
            ]
            assert [each.returncode for each in done] == [1, 0]
            assert done[0].stdout == ""
            assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", done[1].stdout), "the token and nothing else"
            assert await served.stop() == 0
        assert await program.stop() == 0
    printed = "".join(each.stdout + each.stderr for each in (served, program))
    printed += "".join(each.stderr for each in done)
    assert len(served.log) > 10
    secrets = {wrong, DEMO_PASSWORD, basic, tokens["RefreshToken"][:40], tokens["RefreshToken"][-40:]}
    for token in (access, identity, done[1].stdout.strip()):
        _, payload, signature = token.split(".")
        secrets |= {payload[:20], payload[20:60], signature[:20], signature[-20:]}
    assert [secret for secret in secrets if secret in printed] == []
