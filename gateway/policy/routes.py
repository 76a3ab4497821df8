"""Route matching: patterns compiled into one automaton over path segments. Pure.

The cost of a match depends on the number of path segments that patterns look at, not on the number of routes.
The first route in the configuration's order whose pattern and method match wins.

Invariant: the result is a pure function of a request's readings and its method.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.config.model import Route
from gateway.policy.decide import VALID_TOKEN, Need, need_of, strictest


class _Node:
    """A state of the automaton: the possible next segments, and the routes that end here."""

    __slots__ = ("deep", "ends", "is_deep", "literal", "star")

    def __init__(self, *, is_deep: bool = False) -> None:
        self.literal: dict[str, _Node] = {}
        self.star: _Node | None = None
        self.deep: _Node | None = None  # `**`: any number of segments, including none
        self.is_deep = is_deep
        self.ends: list[int] = []

    def child(self, segment: str) -> _Node:
        if segment == "**":
            self.deep = self.deep or _Node(is_deep=True)
            return self.deep
        if segment == "*":
            self.star = self.star or _Node()
            return self.star
        return self.literal.setdefault(segment, _Node())


class RouteTable:
    """The configuration's routes, compiled once; immutable afterwards."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = tuple(routes)
        self._needs = tuple(need_of(route) for route in routes)
        self._root = _Node()
        for index, route in enumerate(self._routes):
            node = self._root
            for segment in route.path.split("/")[1:]:
                node = node.child(segment)
            node.ends.append(index)

    def need(self, paths: Iterable[str], method: str) -> Need:
        """Return what a request requires whose path has these readings: what satisfies all of them.

        What no route matches needs a valid token. Many servers treat `/admin/` and `/admin` alike: a route
        that matches the other spelling counts too, unless it does so only by a final `**`.
        """
        needs: list[Need] = []
        for path in paths:
            index, other = self._first_two(path, method)
            needs.append(VALID_TOKEN if index is None else self._needs[index])
            if other is not None and not self._routes[other].path.endswith("/**"):
                needs.append(self._needs[other])
        return strictest(needs)

    def match(self, path: str, method: str) -> Route | None:
        """Return the first route for this canonical path and method, or None."""
        index, _ = self._first_two(path, method)
        return None if index is None else self._routes[index]

    def scopes(self, path: str) -> tuple[str, ...]:
        """Return the scopes that some method of this path may need, in the configuration's order.

        The empty path stands for all routes.
        """
        found = range(len(self._routes)) if not path else self._all(path)
        return tuple(dict.fromkeys(scope for index in found for scope in self._routes[index].scopes))

    def acr(self, path: str) -> tuple[str, ...]:
        """Return the accepted ways to sign in of the first route for this path that has some."""
        found = (self._routes[index].acr for index in self._all(path))
        return next(filter(None, found), ())

    def _all(self, path: str) -> list[int]:
        """Return every route for the path, whatever its methods."""
        states = _through(_with_deep(self._root), path.split("/")[1:])
        return sorted(index for node in states for index in node.ends)

    def _first_two(self, path: str, method: str) -> tuple[int | None, int | None]:
        """Return the first route for the path, and the first with its final slash removed or added."""
        *front, last = path.split("/")[1:]
        before = _through(_with_deep(self._root), front)
        states = _advance(before, last)
        other = _advance(states, "") if last else before
        return self._first(states, method), self._first(other, method)

    def _first(self, states: Sequence[_Node], method: str) -> int | None:
        for index in sorted(index for node in states for index in node.ends):
            methods = self._routes[index].methods
            if methods is None or method in methods:
                return index
        return None


def _with_deep(node: _Node) -> list[_Node]:
    """Return the node and what a following `**` reaches without a segment: `/a/**` also matches `/a`."""
    reached = [node]
    while node.deep is not None:
        node = node.deep
        reached.append(node)
    return reached


def _through(states: list[_Node], segments: Sequence[str]) -> list[_Node]:
    """Return the states after all of these segments.

    Below a `**` nothing changes until a segment that some pattern names: those between are skipped, otherwise
    a path of 15,000 segments would block the event loop for 10 ms.
    """
    at, end = 0, len(segments)
    while at < end and states:
        following = _advance(states, segments[at])
        at += 1
        if following == states and all(node.is_deep and node.star is None for node in states):
            named = {name for node in states for name in node.literal}
            while at < end and segments[at] not in named:
                at += 1
        states = following
    return states


def _advance(states: list[_Node], segment: str) -> list[_Node]:
    following: dict[int, _Node] = {}
    for node in states:
        steps = [node] if node.is_deep else []
        literal = node.literal.get(segment)
        if literal is not None:
            steps.append(literal)
        # `*` is one non-empty segment; so `/a/*` does not match `/a/`.
        if node.star is not None and segment:
            steps.append(node.star)
        for step in steps:
            for reached in _with_deep(step):
                following[id(reached)] = reached
    return list(following.values())
