"""The compiled matcher against one that tries route after route."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.model import Route
from gateway.policy.routes import RouteTable

_segment = st.sampled_from(["a", "b", "", "*", "**", "a.b"])
_pattern = st.lists(_segment, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
_path = st.lists(st.sampled_from(["a", "b", "", "a.b", "axb", "*"]), min_size=1, max_size=5).map(
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


@settings(max_examples=600)
@given(st.lists(st.tuples(_pattern, _methods), max_size=8), _path, st.sampled_from(["GET", "POST"]))
def test_the_first_route_that_fits_wins(
    rules: list[tuple[str, frozenset[str] | None]], path: str, method: str
) -> None:
    routes = [Route(pattern, methods, "none") for pattern, methods in rules]
    expected = None
    for route in routes:
        fits = naive(route.path.split("/")[1:], path.split("/")[1:])
        if fits and (route.methods is None or method in route.methods):
            expected = route
            break
    assert RouteTable(routes).match(path, method) is expected


def test_a_thousand_routes_cost_like_ten() -> None:
    def cost(count: int) -> float:
        routes = [Route(f"/api/v{number}/*/items/**", None, "none") for number in range(count)]
        match = RouteTable(routes).match
        best = float("inf")
        for _ in range(7):
            began = time.perf_counter()
            for _ in range(300):
                match(f"/api/v{count - 1}/x/items/7", "GET")
            best = min(best, time.perf_counter() - began)
        return best

    assert cost(1000) < 3 * cost(10)
