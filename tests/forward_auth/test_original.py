"""Which request a proxy asks about: every way to name it, and every way to name two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import (
    AmbiguousPath,
    BodyTooLarge,
    MalformedAuthorization,
    NoCredentials,
    NoKeys,
    NotFound,
    OriginalRequestUnclear,
    Refusal,
    UpstreamBusy,
)
from gateway.gate.forward_auth import about, endpoint_of, original, status_for_proxy
from gateway.http.headers import HeaderTable, scan
from gateway.http.request import Peer, Request

ENDPOINT = "/oauth2/auth"
TABLE = HeaderTable(["X-Auth-Request-User"], trusted=True)
PEER = Peer("127.0.0.1", b"127.0.0.1", trusted=True, proto=b"http", table=TABLE, upstream_host=None)


def request(*headers: tuple[str, str], behind: str = "", query: str = "", method: str = "GET") -> Request:
    made = Request(PEER, b"id", 0.0)
    made.method, made.raw_path, made.query = method, ENDPOINT + behind, query
    made.head = scan([(name.encode(), value.encode("latin-1")) for name, value in headers], TABLE)
    return made


NGINX = (("X-Original-URL", "/a?b=c"), ("X-Original-Method", "POST"))
TRAEFIK = (("X-Forwarded-Uri", "/a?b=c"), ("X-Forwarded-Method", "POST"))


@pytest.mark.parametrize(
    "headers",
    [
        NGINX,
        TRAEFIK,
        (("x-original-uri", "/a?b=c"), ("x-original-method", "POST")),
        (("X-Original-URL", "https://api.test:8443/a?b=c"), ("X-Original-Method", "POST")),
        (("X-Original-URL", "HTTP://[::1]:80/a?b=c"), ("X-Original-Method", "POST")),
        NGINX + TRAEFIK,
        (*NGINX, ("X-Original-URI", "/a?b=c")),
    ],
    ids=str,
)
def test_every_way_to_name_it(headers: tuple[tuple[str, str], ...]) -> None:
    named = original(request(*headers), ENDPOINT)
    assert named is not None
    assert named.target == ("POST", "/a", "?b=c")


def test_envoy_appends_its_path_and_keeps_its_method() -> None:
    named = original(request(behind="/a", query="?b=c", method="DELETE"), ENDPOINT)
    assert named is not None
    assert named.target == ("DELETE", "/a", "?b=c")
    root = original(request(behind="/"), ENDPOINT)
    assert root is not None
    assert root.target == ("GET", "/", "")


def test_nothing_named_is_none_and_a_query_of_the_endpoint_names_nothing() -> None:
    assert original(request(), ENDPOINT) is None
    assert original(request(query="?/a"), ENDPOINT) is None
    assert original(request(("X-Forwarded-For", "192.0.2.1"), ("X-Real-IP", "192.0.2.1")), ENDPOINT) is None


@pytest.mark.parametrize(
    "headers",
    [
        NGINX[:1],
        NGINX[1:],
        TRAEFIK[:1],
        TRAEFIK[1:],
        (NGINX[0], TRAEFIK[1]),
        (*NGINX, *TRAEFIK[:1]),
        (*NGINX, ("X-Forwarded-Uri", "/b?b=c"), ("X-Forwarded-Method", "POST")),
        (*NGINX, ("X-Forwarded-Uri", "/a?b=c"), ("X-Forwarded-Method", "GET")),
        (*NGINX, ("X-Forwarded-Uri", "/a"), ("X-Forwarded-Method", "POST")),
        (*NGINX, ("X-Original-URI", "/b")),
        (*NGINX, NGINX[0]),
        (*NGINX, ("x-original-url", "/public")),
        (*NGINX, ("X-Original-Method", "GET")),
        (*NGINX, ("Connection", "close, X-Original-URL")),
        (("Connection", "x-forwarded-uri"), *TRAEFIK),
        # All of it named away: what is left names nothing, and "a valid token" is not the question.
        (("Connection", "X-Original-URL, X-Original-Method"), *NGINX),
        (("Connection", "close"), ("Connection", "X-Forwarded-Method,X-Forwarded-Uri"), *TRAEFIK),
        (("Connection", "keep-alive"), ("Connection", "X-ORIGINAL-METHOD"), *NGINX),
        (NGINX[0], ("X-Original-Method", "CONNECT")),
        (NGINX[0], ("X-Original-Method", "TRACE")),
        (NGINX[0], ("X-Original-Method", "")),
        (NGINX[0], ("X-Original-Method", "GET POST")),
        (NGINX[0], ("X-Original-Method", "GET\xe9")),
        (NGINX[0], ("X-Original-Method", "G" * 33)),
    ],
    ids=str,
)
def test_half_a_request_or_two_of_them_are_refused(headers: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(OriginalRequestUnclear):
        original(request(*headers), ENDPOINT)


def test_a_path_behind_the_endpoint_and_headers_that_disagree_are_refused() -> None:
    with pytest.raises(OriginalRequestUnclear):
        original(request(*NGINX, behind="/public"), ENDPOINT)
    with pytest.raises(OriginalRequestUnclear):
        original(request(*NGINX, behind="/a", query="?b=c", method="GET"), ENDPOINT)
    assert original(request(*NGINX, behind="/a", query="?b=c", method="POST"), ENDPOINT) is not None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a",
        "*",
        "?x",
        "/a#/public",
        "/a b",
        "/a\xe9",
        "http:/a",
        "ftp://api.test/a",
        "https://api.test",
        "https://api.test?/a",
        "https://api.test#/a",
        "https:///a",
        "https://user@api.test/a",
        "https://api.test:8443:1/a",
        "https://api.test\\@evil/a",
        "https://[::1/a",
        "javascript:/a",
    ],
)
def test_what_is_no_url_is_ambiguous(url: str) -> None:
    with pytest.raises(AmbiguousPath):
        original(request(("X-Original-URL", url), NGINX[1]), ENDPOINT)


@pytest.mark.parametrize("name", ["X_Original_URL", "X.Original.Method", "SCRIPT_NAME", "api_key", "X!Auth"])
def test_a_name_that_servers_differ_about_is_refused(name: str) -> None:
    """The gateway drops such a header where it serves the request; here its proxy would send it on."""
    for more in ((), NGINX, TRAEFIK):
        with pytest.raises(OriginalRequestUnclear, match=name):
            original(request((name, "/public"), *more), ENDPOINT)


@pytest.mark.parametrize("method", ["post", "Get", "gET", "P\xf6st", "POST,GET", "1GET", "-X"])
def test_a_method_in_other_than_upper_case_is_refused(method: str) -> None:
    for headers in (NGINX, TRAEFIK):
        with pytest.raises(OriginalRequestUnclear):
            original(request(headers[0], (headers[1][0], method)), ENDPOINT)


@pytest.mark.parametrize("host", ["a.test, b.test", "a?x", "user@a.test", "a.test:99999", "a b", "[::1"])
def test_a_host_that_is_none_or_two_is_refused(host: str) -> None:
    with pytest.raises(OriginalRequestUnclear):
        original(request(*TRAEFIK, ("X-Forwarded-Host", host)), ENDPOINT)


def test_two_hosts_in_two_lines_are_refused() -> None:
    hosts = [("X-Forwarded-Host", "a.test"), ("X-Forwarded-Host", "b.test")]
    with pytest.raises(OriginalRequestUnclear):
        original(request(*TRAEFIK, *hosts), ENDPOINT)
    assert original(request(*TRAEFIK, hosts[0]), ENDPOINT) is not None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "X-Original-URL",
                    "x-original-uri",
                    "X-Forwarded-Uri",
                    "X-Original-Method",
                    "X-Forwarded-Method",
                    "X_Original_URL",
                    "Connection",
                ]
            ),
            st.sampled_from(["/admin", "/public", "GET", "POST", "https://h/admin", "", "close"]),
        ),
        max_size=6,
    ),
    st.sampled_from(["", "/admin", "/public"]),
)
def test_whatever_is_named_is_the_only_one_named(headers: list[tuple[str, str]], behind: str) -> None:
    """A client that can add headers, but take none away, shuts itself out or changes nothing."""
    ours = (("X-Original-URL", "/admin"), ("X-Original-Method", "GET"))
    try:
        named = original(request(*ours, *headers, behind=behind), ENDPOINT)
    except Refusal:
        return
    assert named is not None
    assert named.target == ("GET", "/admin", "")


def test_the_request_that_is_asked_about_is_a_value_and_the_one_that_asks_stays_as_it_came() -> None:
    asking = request(("X-Original-URL", "https://api.test/a?b=c"), NGINX[1], ("Host", "gateway:8000"))
    named = original(asking, ENDPOINT)
    assert named is not None
    asked = about(asking, named)
    assert (asked.method, asked.raw_path, asked.query, asked.elsewhere) == ("POST", "/a", "?b=c", True)
    assert (asked.head.forwarded_host, asked.head.forwarded_proto) == (b"api.test", b"https")
    assert (asking.method, asking.raw_path, asking.query) == ("GET", ENDPOINT, "")
    assert (asking.head.forwarded_host, asking.head.forwarded_proto) == (None, None)


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/oauth2/auth", ENDPOINT),
        ("/oauth2/auth/", ENDPOINT),
        ("/oauth2/auth/x", ENDPOINT),
        ("/oauth2/auth//x", ENDPOINT),
        ("/oauth2/auth/-or-sign-in", ENDPOINT),
        ("/oauth2/auth-or-sign-in", f"{ENDPOINT}-or-sign-in"),
        ("/oauth2/auth-or-sign-in/x", f"{ENDPOINT}-or-sign-in"),
        ("/oauth2/auth-or-sign-inx", None),
        ("/oauth2/auth-or", None),
        ("/oauth2/authx", None),
        ("/oauth2/auth.", None),
        ("/oauth2/Auth", None),
        ("/oauth2/%61uth", None),
        ("/oauth2", None),
        ("//oauth2/auth", None),
    ],
)
def test_the_endpoints_are_two_paths_and_what_is_behind_them(path: str, endpoint: str | None) -> None:
    assert endpoint_of(path, ENDPOINT) == endpoint


def test_proxies_hear_statuses_that_nginx_knows() -> None:
    answers = {
        NoCredentials: 401,
        MalformedAuthorization: 401,
        AmbiguousPath: 403,
        NotFound: 403,
        BodyTooLarge: 403,
        NoKeys: 503,
        UpstreamBusy: 503,
    }
    for refusal, status in answers.items():
        assert status_for_proxy(refusal()) == status
