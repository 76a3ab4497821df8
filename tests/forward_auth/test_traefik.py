"""Traefik's forwardAuth, by a client that does what its source does; no Traefik is installed where these run.

Read in pkg/middlewares/auth/forward.go: `forward_request` is its `writeHeader` with `authRequestHeaders`,
`sent_on` what it does with a 2xx and `authResponseHeadersRegex`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

from tests.support.assertions import HEADER, curve, settings
from tests.support.behind import CLIENTS_OWN, ENDPOINTS, MISLEADING
from tests.support.forward_auth import ROUTES, asked_gateway, documented
from tests.support.wire import Reply, get, once

Headers = dict[str, list[str]]

HOP_BY_HOP = (
    "Connection", "Keep-Alive", "Te", "Trailers", "Transfer-Encoding", "Upgrade",
    "Proxy-Authenticate", "Proxy-Authorization",
)  # fmt: skip


def canonical(name: str) -> str:
    """net/http's CanonicalHeaderKey: names with a dot or underscore are tokens as well."""
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


def received(*lines: str) -> Headers:
    headers: Headers = {}
    for line in lines:
        name, _, value = line.partition(": ")
        headers.setdefault(canonical(name), []).append(value)
    return headers


def forward_request(method: str, uri: str, host: str, headers: Headers, allowed: set[str]) -> bytes:
    """The GET that Traefik sends, with trustForwardHeader off."""
    asked = {name: values for name, values in headers.items() if name not in HOP_BY_HOP}
    for named in headers.get("Connection", []):
        for each in named.split(","):
            asked.pop(canonical(each.strip()), None)
    asked = {name: values for name, values in asked.items() if name in allowed}
    asked |= {
        "X-Forwarded-For": ["192.0.2.7"],
        "X-Forwarded-Method": [method],
        "X-Forwarded-Proto": ["https"],
        "X-Forwarded-Host": [host],
        "X-Forwarded-Uri": [uri],
    }
    lines = [f"{name}: {value}" for name, values in asked.items() for value in values]
    return get("/oauth2/auth", *lines, "Accept-Encoding: gzip", "Content-Length: 0")


def sent_on(headers: Headers, reply: Reply, pattern: re.Pattern[str]) -> Headers:
    kept = {name: values for name, values in headers.items() if not pattern.search(name)}
    for line in reply.head.decode().split("\r\n")[1:]:
        name, _, value = line.partition(": ")
        if pattern.search(canonical(name)):
            kept.setdefault(canonical(name), []).append(value)
    return kept


async def test_traefiks_requests_get_the_routes_verdicts_and_identity(tmp_path: Path) -> None:
    middlewares = yaml.safe_load(documented("yaml", 2))["http"]["middlewares"]
    settings = middlewares["cognito-gateway"]["forwardAuth"]
    assert settings["address"].endswith("/oauth2/auth")
    pattern = re.compile(settings["authResponseHeadersRegex"])
    allowed = {canonical(name) for name in settings["authRequestHeaders"]}
    async with asked_gateway(tmp_path) as gateway:
        user = gateway.bearer()
        admin = gateway.bearer(**{"cognito:groups": ["admins"]})
        for uri, method, lines, status in (
            ("/public/x", "POST", (), 200),
            ("/public/x", "POST", CLIENTS_OWN, 200),
            ("/form", "GET", (), 200),
            ("/form", "POST", (), 401),
            ("/api?x=/public/", "GET", (), 401),
            ("/admin/x", "GET", (user,), 403),
            ("/admin/x", "GET", (admin, *CLIENTS_OWN), 200),
            ("/admin/x", "GET", (user, *CLIENTS_OWN), 403),
            ("/public/../admin/x", "GET", (admin,), 403),
            # Its client's headers for nginx stay with Traefik.
            ("/admin/x", "GET", (admin, "X-Original-URL: /public/x", "X-Original-Method: GET"), 200),
            ("/form", "get", (), 403),
            *(("/admin/x", "GET", (user, line), 403) for line in MISLEADING),
            ("/admin/x", "GET", (user, "Connection: X-Forwarded-Uri, X-Forwarded-Method"), 403),
        ):
            headers = received(*lines)
            asked = forward_request(method, uri, "api.test", headers, allowed)
            reply = await once(gateway.port, asked)
            assert (uri, method, lines, reply.status) == (uri, method, lines, status)
            if status != 200:
                assert reply.get("Location") is None
                continue
            upstream = sent_on(headers, reply, pattern)
            identity = {
                name: values for name, values in upstream.items() if "uth" in name and name != "Authorization"
            }
            assert "root" not in str(identity)
            assert ("X-Auth-Request-Groups" in identity) is (admin in lines)
            assert set(identity) <= {
                "X-Auth-Request-User", "X-Auth-Request-Preferred-Username", "X-Auth-Request-Groups",
            }  # fmt: skip


def routed(http: dict[str, Any], path: str) -> tuple[str, str]:
    """The service and the path that Traefik sends a client's request to.

    Of the routers that match, the one with the highest priority, which is else its rule's length; `Path` and
    `PathPrefix` compare strings (pkg/muxer/http/matcher.go).
    """
    found = []
    for router in http["routers"].values():
        terms = re.findall(r"(Path|PathPrefix)\(`([^`]*)`\)", router["rule"])
        assert " || ".join(f"{kind}(`{value}`)" for kind, value in terms) == router["rule"]
        if any(path == value if kind == "Path" else path.startswith(value) for kind, value in terms):
            found.append((router.get("priority", len(router["rule"])), router))
    router = max(found, key=lambda each: each[0])[1]
    for name in router.get("middlewares", ()):
        path = http["middlewares"][name].get("replacePath", {}).get("path", path)
    return router["service"], path


async def test_a_client_never_gets_the_answer_that_is_for_traefik(tmp_path: Path) -> None:
    http = yaml.safe_load(documented("yaml", 2))["http"]
    more = settings(tmp_path, curve()) + ROUTES
    naming = ("X-Forwarded-Method: GET", "X-Forwarded-Uri: /api")
    assert routed(http, "/api")[0] == routed(http, "/oauth2")[0] == "api"
    assert routed(http, "/oauth2/sign_in") == ("cognito-gateway", "/oauth2/sign_in")
    async with asked_gateway(tmp_path, more) as gateway:
        told = await once(gateway.port, get("/oauth2/auth/api", gateway.bearer()))
        assert (told.status, bool(told.get(HEADER))) == (200, True)
        for target in ENDPOINTS:
            # Versions differ in whether they match the path as it came, or decoded.
            raw, mark, query = target.partition("?")
            for seen in {raw, unquote(raw)}:
                service, path = routed(http, seen)
                if service == "api":
                    continue
                sent = (path if path != seen else raw) + mark + query
                for lines in ((), naming):
                    reply = await once(gateway.port, get(sent, gateway.bearer(), *lines))
                    assert reply.status in {400, 401, 403, 404}, (target, seen, lines, reply.status)
                    assert b"x-auth-request-" not in reply.head.lower()
                    assert reply.get(HEADER) is None
                if re.fullmatch(r"/oauth2/auth(-or-sign-in)?(/.*)?", seen):
                    assert (service, path, reply.status) == ("cognito-gateway", "/oauth2/nothing-there", 404)


def test_the_labels_say_what_the_file_says() -> None:
    middlewares = yaml.safe_load(documented("yaml", 2))["http"]["middlewares"]
    labels = yaml.safe_load(documented("yaml", 3))["labels"]
    forward = middlewares["cognito-gateway"]["forwardAuth"]
    prefix = "traefik.http.middlewares."
    assert labels[f"{prefix}cognito-gateway.forwardauth.address"] == forward["address"]
    regex = labels[f"{prefix}cognito-gateway.forwardauth.authResponseHeadersRegex"]
    # Compose reads `$` as a variable, and `$$` as a sign.
    assert regex.replace("$$", "$") == forward["authResponseHeadersRegex"]
    asked = labels[f"{prefix}cognito-gateway.forwardauth.authRequestHeaders"]
    assert asked.split(",") == forward["authRequestHeaders"]
    assert middlewares["without-token"]["headers"]["customRequestHeaders"] == {"Authorization": ""}
    assert labels[f"{prefix}without-token.headers.customrequestheaders.Authorization"] == ""
    ours = yaml.safe_load(documented("yaml", 4))["labels"]
    replaced = middlewares["nothing-there"]["replacePath"]["path"]
    assert ours[f"{prefix}nothing-there.replacepath.path"] == replaced
    for name, router in yaml.safe_load(documented("yaml", 2))["http"]["routers"].items():
        said = {"middlewares": ",".join(router.get("middlewares", ()))}
        said |= {key: str(value) for key, value in router.items() if key != "middlewares"}
        if name != "api":
            for key, value in said.items():
                assert ours.get(f"traefik.http.routers.{name}.{key}", "") == value
