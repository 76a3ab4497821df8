"""Canonical paths: what is accepted reads the same to every server behind us, the laxest included."""

from __future__ import annotations

import contextlib
import re
from itertools import product
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.errors import AmbiguousPath, BadRequest
from gateway.policy.paths import canonical_path, split_target
from tests.support.costs import cpu_seconds
from tests.support.fuzz import examples

# Fragments that some server somewhere reads as another thing than the next server does.
_DOUBTFUL = [
    *("/", "//", ".", "..", "/.", "/..", "/./", "/../", "\\", ";", ";x=y", "..;", "%", "%%", "%2", "%zz"),
    *("%2e", "%2E", "%2f", "%2F", "%5c", "%5C", "%3b", "%3B", "%25", "%2525", "%252e", "%252f", "%255c"),
    *("%00", "%0a", "%0d%0a", "%7f", "%c0%ae", "%e0%80%af", "%ff", "%c3%a9", "%20", "%23", "%3f", "%u002e"),
    *("%25%32%65", "%25%32%66", "%%32%65", "%2%65", "%2\x35", "%25%35%63", "%25%33%62", "%ef%bc%8f"),
    *("a", "admin", "public", "A", "~", "@", ":", "+", ",", "*", "$&", "'()", "-_", "2e", "5"),
]
fragments = st.lists(st.sampled_from(_DOUBTFUL), max_size=8).map(lambda parts: "/" + "".join(parts))
any_text = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=24).map("/".__add__)


def _decoded(path: str) -> str:
    return unquote_to_bytes(path.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")


def _without_parameters(path: str) -> str:
    return "/".join(segment.partition(";")[0] for segment in path.split("/"))


def _without_dots(path: str) -> str:
    """RFC 3986 section 5.2.4."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)


def lax_readings(raw_path: str) -> set[str]:
    """What servers make of a path: every combination of the liberties they are known to take, in any order
    that has been seen. Written without a look at the code under test."""
    once = _decoded(raw_path)
    readings = {once, _decoded(once), _decoded(_decoded(once))}
    for slashes, parameters, dots, collapse in product((False, True), repeat=4):
        for reading in list(readings):
            path = reading
            if slashes:
                path = path.replace("\\", "/")
            if parameters:
                path = _without_parameters(path)
            if collapse:
                path = re.sub("/+", "/", path)
            if dots:
                path = _without_dots(path)
            readings.add(path)
    return readings


@settings(max_examples=examples(500))
@given(fragments | any_text)
@example("/public/%25%32%65%25%32%65/admin")
@example("/public/%25%32%66..%25%32%66admin")
@example("/a%2")
def test_accepted_requests_read_the_same_to_every_server(raw_path: str) -> None:
    try:
        path = canonical_path(raw_path)
    except AmbiguousPath:
        return
    assert lax_readings(raw_path) == {path}


@settings(max_examples=examples(200))
@given(st.lists(st.text(st.characters(codec="utf-8", min_codepoint=0xA1), min_size=1), max_size=4))
def test_what_is_not_ascii_is_accepted_encoded_and_matched_decoded(segments: list[str]) -> None:
    path = "/" + "/".join(segments)
    encoded = "".join(
        each if each == "/" else "".join(f"%{byte:02X}" for byte in each.encode()) for each in path
    )
    assert canonical_path(encoded) == path


@pytest.mark.parametrize(
    ("raw_path", "path"),
    [
        ("/", "/"),
        ("/a/b.c/..d/...", "/a/b.c/..d/..."),
        ("/a/", "/a/"),
        ("/a%20b", "/a b"),
        ("/a%3Fb%23c", "/a?b#c"),
        ("/%41dmin", "/Admin"),
        ("/100%25", "/100%"),
        ("/caf%C3%A9", "/café"),
        ("/~u/@x:1,(2)!*'$&=+", "/~u/@x:1,(2)!*'$&=+"),
        ("/a|b{c}^`<>\"", "/a|b{c}^`<>\""),
    ],
)  # fmt: skip
def test_a_plain_path_is_itself_and_an_encoded_one_is_decoded_once(raw_path: str, path: str) -> None:
    assert canonical_path(raw_path) == path


@pytest.mark.parametrize(
    "raw_path",
    [
        *("/..", "/.", "/a/../b", "/a/./b", "/a/..", "/%2e%2e/a", "/.%2e/a", "/%2E./a", "/a/%2e"),
        *("//", "//a", "/a//b", "/a//", "/a\\b", "/a%5cb", "/a%5Cb", "/a%2fb", "/a%2Fb", "/%252e%252e/a"),
        *("/%25%32%65", "/%zz", "/%", "/%2", "/a%", "/%u002e", "/%00", "/a%0d%0ab", "/a%0ab", "/%7f", "/%1f"),
        *("/a;b", "/a;", "/..;/a", "/%3b", "/a%3Bx", "/%c0%ae", "/%ff", "/%ed%a0%80", "/%c0%ae%c0%ae/"),
    ],
)
def test_an_ambiguous_path_is_refused(raw_path: str) -> None:
    with pytest.raises(AmbiguousPath):
        canonical_path(raw_path)


@pytest.mark.parametrize(
    "target", ["", "*", "a", "http://x/", "/a#b", "/#", "/a b", "/a\x7f", "/é", "/a\tb", "/\0"]
)
def test_targets_not_in_origin_form_are_refused(target: str) -> None:
    with pytest.raises(BadRequest):
        split_target(target)


@given(any_text)
def test_a_target_is_split_at_its_first_question_mark_and_nothing_is_lost(target: str) -> None:
    try:
        path, query = split_target(target)
    except BadRequest:
        assert "#" in target
        return
    assert path + query == target
    assert "?" not in path
    assert query[:1] in {"", "?"}


@settings(max_examples=20)
@given(st.sampled_from(["/.", "/a", "/%41", "/%2e", "/;", "/..a"]))
def test_a_long_path_costs_in_proportion(fragment: str) -> None:
    """No input makes the expressions look at a character more than a few times."""
    path = fragment * (16 * 1024)

    def read() -> None:
        with contextlib.suppress(AmbiguousPath):
            canonical_path(path)

    assert cpu_seconds(read) < 0.5
