"""The compiled matcher against one that tries route after route."""

from __future__ import annotations

import sys
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.config.model import Auth, Route
from gateway.policy.decide import need_of
from gateway.policy.routes import RouteTable
from tests.support.fuzz import examples

_segment = st.sampled_from(["a", "b", "", "*", "**", "a.b"])
_pattern = st.lists(_segment, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
_path = st.lists(st.sampled_from(["a", "b", "", "a.b", "axb", "*"]), min_size=1, max_size=8).map(
    lambda parts: "/" + "/".join(parts)
)
_methods = st.sampled_from([None, frozenset({"GET", "HEAD"}), frozenset({"POST"})])


def naive(pattern: list[str], path: list[str]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(naive(pattern[1:], path[count:]) for count in range(len(path) + 1))
    if not path or (pattern[0] == "*" and not path[0]):
        return False
    return pattern[0] in {"*", path[0]} and naive(pattern[1:], path[1:])


_METHODS = st.sampled_from(["GET", "POST"])
# Each rule another need, so that one cannot be taken for another.
_auth = st.sampled_from(["none", "optional", "required"])
_RULES = st.lists(st.tuples(_pattern, _methods, _auth), max_size=8)
Rules = list[tuple[str, frozenset[str] | None, Auth]]


def routes_of(rules: Rules) -> list[Route]:
    return [
        Route(pattern, methods, auth, groups=() if auth == "none" else (f"g{number}",))
        for number, (pattern, methods, auth) in enumerate(rules)
    ]


def first(routes: list[Route], path: str, method: str) -> Route | None:
    for route in routes:
        fits = naive(route.path.split("/")[1:], path.split("/")[1:])
        if fits and (route.methods is None or method in route.methods):
            return route
    return None


def other_spelling(path: str) -> str:
    return path[:-1] if path.endswith("/") else path + "/"


@settings(max_examples=examples(200))
@given(_RULES, _path, _METHODS)
# What was passed over below a `**` was between, and not nothing.
@example([("/**/a/b", None, "none")], "/a/a/axb/b", "GET")
@example([("/**/a/*", None, "none")], "/a/a/axb/axb/b", "GET")
@example([("/**/a/**/b", None, "none"), ("/**", None, "required")], "/a/a/axb/axb/b", "GET")
def test_the_first_route_that_fits_wins(rules: Rules, path: str, method: str) -> None:
    routes = routes_of(rules)
    assert RouteTable(routes).match(path, method) is first(routes, path, method)


@settings(max_examples=examples(200))
@given(_RULES, st.lists(_path, min_size=1, max_size=3, unique=True), _METHODS)
def test_the_scopes_required_satisfy_every_reading_and_spelling(
    rules: Rules, paths: list[str], method: str
) -> None:
    routes = routes_of(rules)
    asked: list[Route | None] = []
    for path in paths:
        asked.append(first(routes, path, method))
        other = first(routes, other_spelling(path), method) if path != "/" else None
        if other is not None and not other.path.endswith("/**"):
            asked.append(other)
    need = RouteTable(routes).need(paths, method)
    auths = [need_of(route).auth for route in asked]
    assert need.auth == next(auth for auth in ("required", "optional", "none") if auth in auths)
    assert set(need.conditions) == {condition for route in asked for condition in need_of(route).conditions}


@pytest.mark.parametrize(
    ("routes", "path", "auth"),
    [
        # Servers that take `/admin/` for `/admin` are many.
        ([("/admin", "required"), ("/**", "none")], "/admin/", "required"),
        ([("/admin/", "required"), ("/**", "none")], "/admin", "required"),
        ([("/u/*", "required"), ("/**", "none")], "/u/7/", "required"),
        ([("/u/*/", "optional"), ("/**", "none")], "/u/7", "optional"),
        ([("/docs", "none"), ("/docs/", "required")], "/docs", "required"),
        # A rule for all that lies below says nothing about the path itself, which has its own.
        ([("/docs", "none"), ("/docs/**", "required")], "/docs", "none"),
        ([("/docs", "none")], "/docs", "none"),
        ([("/docs", "none")], "/docs/", "required"),
        ([("/docs/", "none"), ("/**", "required")], "/docs/", "none"),
        ([("/", "none"), ("/**", "required")], "/", "none"),
        ([("/admin", "required"), ("/**", "none")], "/admin/x", "none"),
        ([("/admin", "required"), ("/**", "none")], "/adminx/", "none"),
    ],
)
def test_a_trailing_slash_grants_no_access(routes: list[tuple[str, Auth]], path: str, auth: Auth) -> None:
    table = RouteTable([Route(pattern, None, each) for pattern, each in routes])
    assert table.need([path], "GET").auth == auth


def test_a_thousand_routes_cost_like_ten() -> None:
    def cost(count: int) -> float:
        routes = [Route(f"/api/v{number}/*/items/**", None, "none") for number in range(count)]
        need = RouteTable(routes).need
        best = float("inf")
        for _ in range(15):
            began = time.thread_time()
            for _ in range(300):
                need([f"/api/v{count - 1}/x/items/7"], "GET")
            best = min(best, time.thread_time() - began)
        return best

    assert cost(1000) < 10 * cost(10)  # one after the other it would be a hundred times


@pytest.mark.parametrize("pattern", ["/a/**", "/**", "/**/x", "/a/**/x/**"])
def test_many_segments_do_not_slow_the_match(pattern: str) -> None:
    table = RouteTable([Route(pattern, None, "required")])
    calls = 0

    def count(frame: object, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        table.need(["/a" * 15_000], "GET")
    finally:
        sys.setprofile(None)
    assert calls < 100


def test_the_scopes_of_a_path_are_those_any_method_may_need() -> None:
    table = RouteTable(
        [
            Route("/a/*", frozenset({"GET"}), "required", scopes=("r",)),
            Route("/a/b", frozenset({"PUT"}), "required", scopes=("w", "r")),
            Route("/c/**", None, "required", scopes=("c",)),
        ]
    )
    assert table.scopes("/a/b") == ("r", "w")
    assert table.scopes("/a/x") == ("r",)
    assert table.scopes("/c") == ("c",)
    assert table.scopes("/x") == ()
    assert table.scopes("") == ("r", "w", "c")
