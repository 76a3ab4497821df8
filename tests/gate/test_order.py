"""Every way in takes the same checks in the same order, and the shortcut gives what `judge` gives."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Refusal
from gateway.gate import judge
from gateway.gate.authenticate import Authenticator, Verification
from gateway.gate.limits import Limits
from gateway.gate.own_paths import OwnPaths
from gateway.gate.steps import begin
from gateway.gate.verdict import Forward
from gateway.http.cors import CorsPolicy
from gateway.http.headers import scan
from gateway.http.request import Request
from gateway.policy.routes import RouteTable
from gateway.sessions.from_cookie import ByCookie
from tests.support.envoy_client import GRPC, Stub, check, envoy
from tests.support.running import Running, logged
from tests.support.wire import get, once

# The order, as docs/architecture.md says it: what is asked, who is asking, how often, may they.
ORDER: tuple[tuple[object, str], ...] = (
    (judge, "readings"),
    (OwnPaths, "hold"),
    (CorsPolicy, "preflight"),
    (Limits, "count_here"),
    (RouteTable, "need"),
    (ByCookie, "recognise"),
    (ByCookie, "resolve"),
    (Authenticator, "recognise"),
    (Limits, "suspect"),
    (Authenticator, "begin"),
    (Verification, "decode"),
    (Verification, "verify"),
    (Verification, "principal"),
    (Limits, "disproved"),
    (Limits, "count"),
    (judge, "decide"),
)
NAMES = [name for _, name in ORDER]
RATE = "rate_limit: {requests_per_second: 1000}\n"
YAML = (
    GRPC
    + "cors: {allow_origins: ['https://app.test']}\n"
    + "routes: [{path: /open/**, auth: none}, {path: /maybe/**, auth: optional},"
    + " {path: /admin/**, groups: [admins]}]\n"
)
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
ORIGIN = ("Origin: https://app.test", "Access-Control-Request-Method: GET")
COOKIE = "Cookie: cognito_gateway_session=1.unknown"
# What is sent: the path, the method, and the headers for a given gateway.
Lines = Callable[[Running], Sequence[str]]
ROWS: dict[str, tuple[str, str, Lines]] = {
    "open route": ("/open/{}", "GET", lambda _: ()),
    "open route with a token": ("/open/{}", "GET", lambda gateway: [gateway.bearer()]),
    "nobody": ("/api/{}", "GET", lambda _: ()),
    "nobody, optional": ("/maybe/{}", "GET", lambda _: ()),
    "new token": ("/api/{}", "GET", lambda gateway: [gateway.bearer()]),
    "new token to write": ("/api/{}", "POST", lambda gateway: [gateway.bearer()]),
    "token that ended": ("/api/{}", "GET", lambda gateway: [gateway.bearer(lifetime=-60)]),
    "garbage": ("/maybe/{}", "GET", lambda _: ["Authorization: Bearer a.b.c"]),
    "two credentials": ("/api/{}", "GET", lambda _: ["Authorization: Bearer a, Basic b"]),
    "another scheme": ("/maybe/{}", "GET", lambda _: ["Authorization: Basic YTpi"]),
    "not in the group": ("/admin/{}", "GET", lambda gateway: [gateway.bearer()]),
    "cookie of no session": ("/api/{}", "GET", lambda _: [COOKIE]),
    "token beside a cookie": ("/api/{}", "GET", lambda gateway: [COOKIE, gateway.bearer()]),
    "ambiguous path": ("/open/%2e%2e/{}", "GET", lambda gateway: [gateway.bearer()]),
    "preflight": ("/api/{}", "OPTIONS", lambda _: ORIGIN),
    "no preflight": ("/api/{}", "OPTIONS", lambda _: ()),
}
Way = Callable[[Running, Stub, str, str, Sequence[str]], Any]


async def proxied(gateway: Running, _: Stub, path: str, method: str, lines: Sequence[str]) -> None:
    await once(gateway.port, get(path, *lines, method=method), method=method)


async def websocket(gateway: Running, _: Stub, path: str, method: str, lines: Sequence[str]) -> None:
    await once(gateway.port, get(path, *UPGRADE, *lines, method=method), method=method)


def naming(target: str, method: str, value: str = "{}") -> Way:
    """Forward auth whose proxy names the original request in these headers."""

    async def ask(gateway: Running, _: Stub, path: str, wanted: str, lines: Sequence[str]) -> None:
        named = f"{target}: {value.format(path)}", f"{method}: {wanted}"
        await once(gateway.port, get("/oauth2/auth", *named, *lines))

    return ask


async def behind(gateway: Running, _: Stub, path: str, method: str, lines: Sequence[str]) -> None:
    await once(gateway.port, get(f"/oauth2/auth{path}", *lines, method=method), method=method)


async def grpc(_: Running, stub: Stub, path: str, method: str, lines: Sequence[str]) -> None:
    parted = (line.partition(": ") for line in lines)
    headers = {name.lower(): value for name, _, value in parted}
    await stub.Check(check(path, headers, method=method))


WAYS: dict[str, Way] = {
    "proxied": proxied,
    "WebSocket": websocket,
    "X-Original-URL": naming("X-Original-URL", "X-Original-Method", "https://api.test{}"),
    "X-Original-URI": naming("X-Original-URI", "X-Original-Method"),
    "X-Forwarded-Uri": naming("X-Forwarded-Uri", "X-Forwarded-Method"),
    "behind the endpoint": behind,
    "gRPC": grpc,
}


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps that were taken, each by the code that takes it."""
    steps: list[str] = []

    def noting(name: str, whole: Callable[..., Any]) -> Callable[..., Any]:
        def step(*given: Any, **more: Any) -> Any:
            steps.append(name)
            return whole(*given, **more)

        return step

    for owner, name in ORDER:
        monkeypatch.setattr(owner, name, noting(name, getattr(owner, name)))
    return steps


async def steps_of(
    way: Way, taken: list[str], gateway: Running, stub: Stub, path: str, method: str, lines: Sequence[str]
) -> list[str]:
    """What one request took; the shortcut may have looked for its token before `judge` does."""
    taken.clear()
    await way(gateway, stub, path, method, lines)
    return [name for name, _ in groupby(taken)]


async def reasons(gateway: Running, count: int) -> list[str]:
    return [line["reason"] for line in (await logged(gateway, "request", count))[-count:]]


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("more", ["", RATE], ids=["", "rate limit"])
async def test_every_way_in_takes_the_same_steps(
    tmp_path: Path, taken: list[str], more: str, row: str
) -> None:
    template, method, lines = ROWS[row]
    async with envoy(tmp_path, YAML + more, listen_lines="trusted_proxies: [127.0.0.1]") as at:
        gateway, stub = at
        ways = {name: way for name, way in WAYS.items() if method == "GET" or name != "WebSocket"}
        firsts, agains = [], []
        for number, way in enumerate(ways.values()):
            # A target that nobody asked for before, then one that is known, by the same client.
            path, sent = template.format(number), lines(gateway)
            firsts.append(await steps_of(way, taken, gateway, stub, path, method, sent))
            agains.append(await steps_of(way, taken, gateway, stub, path, method, sent))
        for each in (firsts, agains):
            assert each[0]
            assert each == [each[0]] * len(ways), list(ways)
            assert sorted(each[0], key=NAMES.index) == each[0]
        assert len(set(await reasons(gateway, 2 * len(ways)))) == 1


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_the_gateways_own_paths_are_never_proxied(
    tmp_path: Path, taken: list[str], method: str
) -> None:
    listen = "trusted_proxies: [127.0.0.1]"
    async with envoy(tmp_path, YAML + RATE, listen_lines=listen) as (gateway, stub):
        lines = ORIGIN if method == "OPTIONS" else ()
        for path in ("/.well-known/oauth-protected-resource/x", "/oauth2/sign_in", "/oauth2/nothing"):
            for name, way in WAYS.items():
                if method == "OPTIONS" and name == "WebSocket":
                    continue
                steps = await steps_of(way, taken, gateway, stub, path, method, lines)
                # People's pages have limits of their own.
                counted = method == "GET" and not path.startswith("/oauth2/")
                whole = ["readings", "hold", "preflight"] + ["count_here"] * counted
                ours = name in {"proxied", "WebSocket"}
                assert steps[: len(whole)] == (whole if ours else whole[:2]), (name, path)
        assert gateway.upstream.requests == []


async def test_a_page_is_counted_for_who_brings_a_token(tmp_path: Path, taken: list[str]) -> None:
    async with envoy(tmp_path, YAML + RATE) as (gateway, stub):
        steps = await steps_of(proxied, taken, gateway, stub, "/oauth2/sign_in", "GET", [COOKIE])
        assert steps == ["readings", "hold", "preflight"]
        assert await reasons(gateway, 1) == ["own_page"]
        bearer = "Authorization: Bearer nothing"
        steps = await steps_of(proxied, taken, gateway, stub, "/oauth2/sign_in", "GET", [bearer])
        assert steps[:4] == ["readings", "hold", "preflight", "count_here"]


# --- the shortcut ---


def request(gateway: Running, path: str, *lines: str, method: str = "GET") -> Request:
    """A request as a connection has it when its head was read."""
    app = gateway.worker.app
    made = Request(app.peer("127.0.0.1", secure=False), app.request_ids.next(), time.monotonic())
    made.method, made.raw_path = method, path
    parted = (line.encode().partition(b": ") for line in lines)
    made.head = scan([(name, value) for name, _, value in parted], made.peer.table)
    made.credentials = made.head.authorization
    return made


def outcome(asked: Request, judged: Callable[[Request], object]) -> tuple[object, ...] | None:
    """The verdict, and what was noted; None where the shortcut was not for this request."""
    verdict: tuple[object, ...]
    try:
        given = judged(asked)
        if given is None:
            return None
        assert isinstance(given, Forward), given
        verdict = (given.identity, given.authorization, given.signer)
    except Refusal as refusal:
        verdict = (type(refusal), str(refusal))
    noted = (asked.principal, asked.decision, asked.reason, asked.credentials, asked.vary, asked.by_cookie)
    return (*verdict, *noted)


@pytest.mark.parametrize("forward_token", ["false", "true"])
async def test_the_shortcut_gives_what_judge_gives(tmp_path: Path, forward_token: str) -> None:
    upstream = f"forward_token: {forward_token}"
    async with envoy(tmp_path, YAML, upstream_lines=upstream) as (gateway, _):
        user, admin = gateway.bearer(), gateway.bearer(**{"cognito:groups": ["admins"]})
        # Whether the shortcut is for it, where its target and token are known.
        rows = [
            (True, "/api/x", (user,), "GET"),
            (True, "/api/x", (user.replace("Bearer", "bearer"),), "GET"),
            (True, "/api/x", (user,), "POST"),
            (True, "/api/x", (user, COOKIE), "GET"),
            (True, "/admin/x", (admin,), "GET"),
            (True, "/admin/x", (user,), "GET"),
            (True, "/maybe/x", (user,), "GET"),
            (True, "/open/x", (user,), "GET"),
            (True, "/open/x", (), "GET"),
            (True, "/open/x", (COOKIE,), "GET"),
            (True, "/open/x", ("Authorization: Basic YTpi",), "GET"),
            (False, "/api/x", (), "GET"),
            (False, "/maybe/x", (), "GET"),
            (False, "/api/x", (user, user), "GET"),
            (False, "/api/x", (user.replace("Bearer", "BEARER"),), "GET"),
            (False, "/api/unknown", (user,), "GET"),
        ]
        for _, path, lines, method in rows[:-1]:
            await once(gateway.port, get(path, *lines, method=method))
        gate = gateway.worker.app.gate
        for quick, path, lines, method in rows:
            at_once = outcome(request(gateway, path, *lines, method=method), gate.at_once)
            assert (at_once is not None) is quick, (path, lines, method)
            if quick:
                asked = request(gateway, path, *lines, method=method)
                assert at_once == outcome(asked, lambda each: begin(gate.judge(each.asked())))
