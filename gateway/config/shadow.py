"""Detection of routes that can never match, by language inclusion over path segments. Pure.

A route is dead if, for each of its methods, earlier routes match every path that it matches. The result is
exact for all paths; where paths cannot have empty segments, further routes may be dead that are not found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

# Stands for a segment that no pattern names; a NUL, since no path may contain one.
_OTHER = "\0"
# Real patterns need a few dozen steps; beyond this many nothing is reported rather than delaying the start.
_MOST_STEPS = 5_000

Methods = frozenset[str] | None


def dead_routes(routes: Sequence[tuple[str, Methods]]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield each route that can never match, with the earlier routes that together match its requests."""
    split = [_segments(path) for path, _ in routes]
    for index, (_, methods) in enumerate(routes):
        near = [earlier for earlier in range(index) if _may_meet(split[earlier], split[index])]
        if near and (takers := _takers(index, methods, near, routes, split)):
            yield index, takers


def covered(path: str, by: Sequence[str]) -> bool:
    """Return whether every request path that `path` matches is matched by one of `by`."""
    return _covered(_segments(path), [_segments(pattern) for pattern in by])


def _takers(
    index: int,
    methods: Methods,
    near: Sequence[int],
    routes: Sequence[tuple[str, Methods]],
    split: Sequence[list[str]],
) -> tuple[int, ...]:
    for earlier in near:
        theirs = routes[earlier][1]
        if (theirs is None or (methods is not None and methods <= theirs)) and _covered(
            split[index], [split[earlier]]
        ):
            return (earlier,)
    takers: set[int] = set()
    for method in methods if methods is not None else {_OTHER, *_mentioned(near, routes)}:
        fit = [earlier for earlier in near if method in (routes[earlier][1] or {method})]
        if not _covered(split[index], [split[earlier] for earlier in fit]):
            return ()
        for earlier in list(fit):
            rest = [each for each in fit if each != earlier]
            if _covered(split[index], [split[each] for each in rest]):
                fit = rest
        takers.update(fit)
    return tuple(sorted(takers))


def _mentioned(near: Sequence[int], routes: Sequence[tuple[str, Methods]]) -> set[str]:
    return {method for earlier in near for method in routes[earlier][1] or ()}


def _segments(path: str) -> list[str]:
    return path.split("/")[1:]


def _may_meet(one: Sequence[str], other: Sequence[str]) -> bool:
    """Return False if no path can match both; a cheap test that settles most pairs of routes."""
    for mine, theirs in zip(one, other, strict=False):
        if "**" in (mine, theirs):
            return True
        if mine != theirs and "*" not in (mine, theirs):
            return False
    longer = one if len(one) > len(other) else other
    return all(segment == "**" for segment in longer[min(len(one), len(other)) :])


def _covered(pattern: Sequence[str], by: Sequence[Sequence[str]]) -> bool:
    """Decide language inclusion by walking the pattern beside the set of states that `by` can be in."""
    if not by:
        return False
    alphabet = {_OTHER, "", *pattern, *(segment for each in by for segment in each)} - {"*", "**"}
    start = frozenset(state for index in range(len(by)) for state in _closure(by, index, 0))
    todo = [(position, start) for _, position in _closure([pattern], 0, 0)]
    seen = set(todo)
    while todo:
        position, states = todo.pop()
        for segment in alphabet:
            after = frozenset(state for each in states for state in _step(by, *each, segment))
            for _, following in _step([pattern], 0, position, segment):
                if following == len(pattern) and not any(at == len(by[index]) for index, at in after):
                    return False
                pair = (following, after)
                if pair not in seen:
                    seen.add(pair)
                    todo.append(pair)
        if len(seen) > _MOST_STEPS:
            return False
    return True


def _closure(patterns: Sequence[Sequence[str]], index: int, position: int) -> Iterator[tuple[int, int]]:
    """Yield the position, and those after it that `**` reaches without a segment."""
    yield index, position
    while position < len(patterns[index]) and patterns[index][position] == "**":
        position += 1
        yield index, position


def _step(
    patterns: Sequence[Sequence[str]], index: int, position: int, segment: str
) -> Iterator[tuple[int, int]]:
    if position == len(patterns[index]):
        return
    wanted = patterns[index][position]
    if wanted == "**":
        yield from _closure(patterns, index, position)
    elif wanted == segment or (wanted == "*" and segment):
        yield from _closure(patterns, index, position + 1)
