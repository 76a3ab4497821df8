"""Paths that `paths:` lets through: whatever a server makes of one is among its readings."""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.config.model import Paths, Route
from gateway.errors import AmbiguousPath, Forbidden, NoCredentials
from gateway.policy.decide import decide
from gateway.policy.paths import BACKSLASH, SLASH, canonical_path
from gateway.policy.readings import readings
from gateway.policy.routes import RouteTable
from tests.support.costs import cpu_seconds
from tests.support.fuzz import examples

_switch = st.sampled_from(["reject", "pass"])
switches = st.builds(Paths, _switch, _switch, _switch)
EVERYTHING = Paths("pass", "pass", "pass")
_PARTS = [
    *(
        "/",
        "//",
        "/",
        "a",
        "admin",
        "public",
        ".",
        "..",
        ";",
        ";x",
        ";x=1",
        "..;",
        "%2e",
        "%2E%2e",
        "%3b",
        "%3B",
    ),
    *("%2f", "%2F", "%5c", "%5C", "%20", "%25", "%252f", "%c3%a9", "%61", "~", "%00", "\\"),
]
raw_paths = st.lists(st.sampled_from(_PARTS), max_size=8).map(lambda parts: "/" + "".join(parts))

Step = Callable[[str], str]


def _decode(kept: Sequence[str]) -> Step:
    """What a server does that decodes once and leaves these escapes alone."""

    def step(path: str) -> str:
        pieces = re.split("(?i)(" + "|".join(kept) + ")", path) if kept else [path]
        return "".join(piece if piece.lower() in kept else unquote(piece) for piece in pieces)

    return step


def servers(paths: Paths) -> Iterator[tuple[Step, ...]]:
    """Every server that takes some of the liberties that were let through, in some order."""
    decoders = [_decode([]), _decode(["%5c"])]
    steps: list[Step] = []
    if paths.encoded_slash == "pass":
        decoders += [_decode(["%2f"]), _decode(["%2f", "%5c"])]
        steps.append(lambda path: path.replace("\\", "/"))
    if paths.double_slash == "pass":
        steps.append(lambda path: re.sub("/+", "/", path))
    if paths.semicolon == "pass":
        steps += [
            lambda path: "/".join(segment.split(";")[0] for segment in path.split("/")),
            lambda path: path.split(";")[0],
            lambda path: "/".join([*path.split("/")[:-1], path.split("/")[-1].split(";")[0]]),
        ]
    for decoder in decoders:
        for count in range(min(len(steps), 3) + 1):
            for server in itertools.permutations([decoder, *steps], count + 1):
                # One that never decodes sees what no route can be written for.
                if decoder in server:
                    yield server


def views(raw_path: str, paths: Paths) -> set[str]:
    return {_through(server, raw_path) for server in servers(paths)}


def _through(server: Sequence[Step], path: str) -> str:
    for step in server:
        path = step(path)
    return path


def _marked(view: str) -> str:
    """As a reading writes it: an encoded slash that stayed, a backslash that is data."""
    view = re.sub("(?i)%2f", SLASH, view)
    return re.sub(r"(?i)%5c|\\", BACKSLASH, view)


@settings(max_examples=examples(250), deadline=None)
@given(raw_paths, switches)
@example("/public;%2fadmin", EVERYTHING)
@example("/a%3bb;c/d", EVERYTHING)
@example("/public/%3b/..;x/admin", EVERYTHING)
@example("/public%5c;x%2f/admin", EVERYTHING)
def test_whatever_a_server_sees_is_among_the_readings(raw_path: str, paths: Paths) -> None:
    try:
        read = readings(raw_path, paths)
    except AmbiguousPath:
        return
    for view in views(raw_path, paths):
        assert _marked(view) in read
        assert not {".", ".."} & set(view.replace("\\", "/").split("/"))


TABLE = RouteTable(
    [
        Route("/admin/**", None, "required", groups=("admins",)),
        Route("/*/admin/**", None, "required", groups=("admins",)),
        Route("/public/**", None, "none"),
        Route("/**", None, "optional"),
    ]
)


@settings(max_examples=examples(250), deadline=None)
@given(raw_paths, switches)
@example("/public/..%2fadmin", EVERYTHING)
@example("/public%2f..%2f/admin", EVERYTHING)
@example("/x;/admin", EVERYTHING)
@example("/%2fadmin", EVERYTHING)
def test_no_server_serves_the_admins_path_to_others(raw_path: str, paths: Paths) -> None:
    try:
        need = TABLE.need(readings(raw_path, paths), "GET")
        decide(need, None, 0.0)
    except (AmbiguousPath, NoCredentials, Forbidden):
        return
    for view in views(raw_path, paths):
        assert not re.match(r"(/[^/]+)?/admin(/|\Z)", view)


@given(raw_paths)
def test_without_a_switch_there_is_one_reading_and_it_is_the_canonical_path(raw_path: str) -> None:
    strict = Paths("reject", "reject", "reject")
    try:
        expected = canonical_path(raw_path)
    except AmbiguousPath:
        with pytest.raises(AmbiguousPath):
            readings(raw_path, strict)
        return
    assert readings(raw_path, strict) == (expected,)
    # A switch changes nothing for a path that has nothing to do with it.
    assert readings(raw_path, EVERYTHING) == (expected,)


@pytest.mark.parametrize(
    ("raw_path", "paths", "expected"),
    [
        ("/a%2Fb", Paths("pass", "reject", "reject"), {"/a\x01b", "/a/b"}),
        ("/a%5cb", Paths("pass", "reject", "reject"), {"/a\x02b", "/a/b"}),
        ("/a//b", Paths("reject", "pass", "reject"), {"/a//b", "/a/b"}),
        ("/a;x/b;y", Paths("reject", "reject", "pass"), {"/a;x/b;y", "/a/b", "/a;x/b", "/a"}),
        ("/a%3bx;y", Paths("reject", "reject", "pass"), {"/a;x;y", "/a;x", "/a"}),
        ("/plain", EVERYTHING, {"/plain"}),
    ],
)
def test_the_readings_of_a_path(raw_path: str, paths: Paths, expected: set[str]) -> None:
    assert set(readings(raw_path, paths)) == expected


@pytest.mark.parametrize(
    "raw_path",
    [
        *("/a/..%2fb", "/a%2f..", "/a%2f.%2fb", "/..%5cb", "/a/..;/b", "/a/..;x/b", "/a/%2e%2e;/b", "/.;x/b"),
        *("//a", "///", "/%2fa", "/;x/a", "/%5ca", "/a\\b", "/a%00", "/a%01b", "/a%02b", "/%252f", "/a/../b"),
        *("/%25%32%66", "/a%3", "/%c0%af", "/a/%3b..;/%2e%2e"),
    ],
)
def test_paths_that_no_setting_allows(raw_path: str) -> None:
    with pytest.raises(AmbiguousPath):
        readings(raw_path, EVERYTHING)


@pytest.mark.parametrize(
    ("raw_path", "paths"),
    [
        ("/a%2fb", Paths("reject", "pass", "pass")),
        ("/a%5cb", Paths("reject", "pass", "pass")),
        ("/a//b", Paths("pass", "reject", "pass")),
        ("/a%2f/b", Paths("pass", "reject", "pass")),
        ("/a/;x/b", Paths("pass", "reject", "pass")),
        ("/a;b", Paths("pass", "pass", "reject")),
        ("/a%3bb", Paths("pass", "pass", "reject")),
    ],
)
def test_a_switch_lets_through_its_own_and_nothing_else(raw_path: str, paths: Paths) -> None:
    with pytest.raises(AmbiguousPath):
        readings(raw_path, paths)


def need_of(path: str) -> None:
    with contextlib.suppress(AmbiguousPath):
        TABLE.need(readings(path, EVERYTHING), "GET")


@pytest.mark.parametrize("unit", ["/a;", "/a//a", "/a%2fa", "/a;%2fa//a%5ca;", "/a;x%2fb;", ";%2f%5c//"])
def test_a_path_made_to_be_read_in_many_ways_costs_no_more_than_a_long_one(unit: str) -> None:
    for length in (500, 2_000, 32_000):
        path = "/" + (unit * length)[:length].rpartition(unit)[0]
        assert cpu_seconds(functools.partial(need_of, path)) < 0.5
