"""Routes that can never match, against a second, slower opinion: every path up to a length, by regex."""

# ruff: noqa: E501 - the sentences stand whole, as they are shown

from __future__ import annotations

import itertools
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.complete import methods
from gateway.config.model import Route
from gateway.config.shadow import covered, dead_routes
from gateway.policy.routes import RouteTable
from tests.support.config_files import said

SEGMENTS = st.sampled_from(["a", "b", "*", "**"])
PATTERNS = st.builds(
    lambda segments, slash: "/" + "/".join([*segments, ""] if slash else segments),
    st.lists(SEGMENTS, min_size=1, max_size=3),
    st.booleans(),
)
# Every path of up to five segments over two spelled ones, one that no pattern spells, and the empty one.
PATHS = [
    "/" + "/".join(path)
    for length in range(1, 6)
    for path in itertools.product(["a", "b", "z", ""], repeat=length)
]
ROUTES = st.lists(
    st.tuples(PATTERNS, st.sampled_from([None, ("GET",), ("HEAD",), ("PUT",), ("GET", "PUT")])), max_size=5
)


def _regex(pattern: str) -> re.Pattern[str]:
    parts = {"**": "(?:/[^/]*)*", "*": "/[^/]+"}
    return re.compile("".join(parts.get(each, "/" + re.escape(each)) for each in pattern.split("/")[1:]))


@given(PATTERNS, st.lists(PATTERNS, max_size=3))
def test_covered_is_language_inclusion(pattern: str, by: list[str]) -> None:
    mine, theirs = _regex(pattern), [_regex(each) for each in by]
    missed = [
        path for path in PATHS if mine.fullmatch(path) and not any(each.fullmatch(path) for each in theirs)
    ]
    assert covered(pattern, by) is not bool(missed)


@given(ROUTES)
def test_a_dead_route_is_one_that_the_router_never_chooses(
    given_routes: list[tuple[str, tuple[str, ...] | None]],
) -> None:
    routes = [
        Route(path, methods(which), "none", groups=(str(n),)) for n, (path, which) in enumerate(given_routes)
    ]
    table = RouteTable(routes)
    chosen = {
        table.match(path, method) for path in PATHS[:341] for method in ("GET", "HEAD", "PUT", "DELETE")
    }
    dead = {index for index, _ in dead_routes([(route.path, route.methods) for route in routes])}
    assert {index for index, route in enumerate(routes) if route not in chosen} == dead


@pytest.mark.parametrize(
    ("routes", "line"),
    [
        (
            "[{path: /a/**}, {path: /a}]",
            "routes[1].path: never matches: routes[0] (F:2) takes every such request first",
        ),
        (
            "[{path: /a/*, methods: [GET]}, {path: /a/b, methods: [HEAD]}]",
            "routes[1].path: never matches: routes[0] (F:2) takes every such request first",
        ),
        (
            "[{path: /**, methods: [GET]}, {path: /**}, {path: /b, methods: [PUT]}]",
            "routes[2].path: never matches: routes[1] (F:2) takes every such request first",
        ),
        (
            "[{path: /a, methods: [GET]}, {path: /a, methods: [PUT]}, {path: /c}, {path: /a, methods: [PUT, GET]}]",
            "routes[3].path: never matches: routes[0] (F:2), routes[1] (F:2) together take every such request first",
        ),
        (
            "[{path: /oauth2/sign_in}]",
            "routes[0].path: never matches: everything under /oauth2/ is the gateway's own (sign_in.prefix)",
        ),
        (
            "[{path: /.well-known/oauth-protected-resource/*}]",
            "routes[0].path: never matches: this is the gateway's own metadata (RFC 9728)",
        ),
    ],
)
def test_a_shadowed_route_has_its_message(tmp_path: Path, routes: str, line: str) -> None:
    assert said(tmp_path, f"routes:\n  {routes}\n") == [f"F:2: warning: {line}"]


@pytest.mark.parametrize(
    "routes",
    [
        "[{path: /a}, {path: /a/**}]",
        "[{path: /a, methods: [GET]}, {path: /a}]",
        "[{path: /a/*}, {path: /a/}]",
        "[{path: /**, methods: [GET]}, {path: /a, methods: [GET, POST]}]",
        "[{path: /oauth2}, {path: /oauth2x/a}, {path: /*/sign_in}]",
        "[{path: /A}, {path: /a}]",
    ],
)
def test_nothing_is_said_about_routes_that_can_match(tmp_path: Path, routes: str) -> None:
    assert said(tmp_path, f"routes:\n  {routes}\n") == []


def test_a_thousand_routes_are_checked_quickly() -> None:
    routes = [(f"/api/v{n % 7}/thing{n}/*", None) for n in range(1000)] + [
        ("/api/**", None),
        ("/api/x", None),
    ]
    began = time.thread_time()
    assert list(dead_routes(routes)) == [(1001, (1000,))]
    assert time.thread_time() - began < 20


def test_patterns_made_to_be_hard_are_given_up() -> None:
    """`**` before many `*` has as many states as there are subsets of positions: 2 ** 40 here."""
    hard = "/**/a" + "/*" * 40
    began = time.thread_time()
    assert not covered(hard, [hard])
    assert time.thread_time() - began < 40
